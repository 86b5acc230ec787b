"""The errors a user can meet. Each says what happened, what was got, what was expected and how to fix it.

The command line prints ``str(error)`` as one line and exits with :attr:`FerbenchError.exit_code`; a user never
sees a traceback for their own mistake.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "AgreementError",
    "DataError",
    "DatasetNotFoundError",
    "DeviceError",
    "FerbenchError",
    "ImageError",
    "InvalidSuiteError",
    "LabelError",
    "MissingDependencyError",
    "ModelFileError",
    "NoFaceError",
    "NotFittedError",
    "ParameterError",
    "RunError",
    "ShapeError",
    "SourceError",
    "StorageError",
    "UnknownNameError",
    "suggestion",
]


class FerbenchError(Exception):
    """Base of every error that is the user's to mend.

    Parameters
    ----------
    what : str
        What happened, without a full stop.
    got, expected, fix : object, optional
        What was found, what would have been right, and what to do; each becomes one clause of the message.

    Examples
    --------
    >>> print(FerbenchError("cannot read pixels", got="2303 values", expected="2304", fix="download the file again"))
    cannot read pixels: got 2303 values, expected 2304; download the file again
    """

    exit_code = 2

    def __init__(self, what: str, *, got: object = None, expected: object = None, fix: str | None = None) -> None:
        self.what, self.got, self.expected, self.fix = what, got, expected, fix
        facts = ", ".join(
            f"{name} {value}" for name, value in (("got", got), ("expected", expected)) if value is not None
        )
        super().__init__("; ".join(filter(None, [": ".join(filter(None, [what, facts])), fix])))

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (quality cells run in workers); keyword-only arguments need help to pickle.
        return (_rebuild, (type(self), self.__dict__, self.args))


def _rebuild(kind: type[FerbenchError], state: dict[str, object], args: tuple[object, ...]) -> FerbenchError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class AgreementError(FerbenchError):
    """An exported model strays too far from the network that it was made of."""

    exit_code = 3  # no mistake of the user's: what was asked for was done, and found wanting


class DataError(FerbenchError):
    """A file or a row of a dataset cannot be used as it is."""


class DatasetNotFoundError(DataError):
    """A dataset is not on this machine; the message names the files looked for, their source and their licence."""


class DeviceError(FerbenchError):
    """A device (a GPU, say) was asked for that is not there."""


class ImageError(DataError):
    """An image has a size, depth or colour space that cannot be used."""


class InvalidSuiteError(FerbenchError):
    """A suite file is not valid; the message names the file and the line."""


class LabelError(FerbenchError):
    """A label is not in its label space, or two spaces cannot be mapped."""


class ModelFileError(FerbenchError):
    """A saved pipeline is damaged, exchanged, of an unknown format, or not safe to load."""


class NoFaceError(FerbenchError):
    """No face was found and the pipeline was told to raise (``on_no_face="raise"``)."""


class NotFittedError(FerbenchError):
    """A pipeline was asked to predict before it was fitted."""


class ParameterError(FerbenchError):
    """A parameter has the wrong name, type or value."""


class RunError(FerbenchError):
    """A run folder cannot be used: locked, damaged, or made by another suite."""


class ShapeError(FerbenchError):
    """An array has the wrong shape or dtype."""


class SourceError(FerbenchError):
    """A camera, a video or an image folder cannot be read."""


class MissingDependencyError(FerbenchError):
    """An optional package is not installed; the message is the line that installs it."""

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs {package}, which is not installed", fix=f"pip install 'ferbench[{extra}]'"
        )
        self.package, self.extra = package, extra


class StorageError(RunError):
    """A disk is full, read-only or broken: no fault of the cell at work, and no other cell could be stored either."""


class UnknownNameError(FerbenchError):
    """A name (component, preset, dataset, label, parameter) does not exist; the nearest ones are suggested."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(
            f"unknown {kind} {name!r}", fix=suggestion(name, names) or f"known: {', '.join(names) or 'none'}"
        )
        self.kind, self.name, self.known = kind, name, names


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """``"did you mean 'x'?"`` for the nearest of the known names, or None where none is near."""
    close = get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else None
