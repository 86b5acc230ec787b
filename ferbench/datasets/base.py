"""What all datasets on disk share: located once, read once, split by name."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ferbench.datasets.archives import FileImages
from ferbench.datasets.content import Content, Skipped, content_digest
from ferbench.datasets.paths import locate
from ferbench.errors import DataError, ParameterError, UnknownNameError
from ferbench.faces import Image
from ferbench.labels import FER7
from ferbench.samples import DatasetInfo, LazyImages, Samples
from ferbench.specs import Spec

__all__ = ["ContemptChoice", "ContemptDataset", "StoredDataset", "skipped_warning"]

ContemptChoice = Literal["keep", "drop", "disgust", "neutral"]
"""What becomes of faces of contempt in a data set that has some."""

_NO_SPLIT = ""
"""Split of rows that are left out."""


class StoredDataset(ABC):
    """A dataset of files.

    Subclasses set ``known`` (the :class:`~ferbench.samples.DatasetInfo`) and implement ``_read``. Nothing is read
    before it is asked for; a pickled dataset carries its parameters only.

    Parameters
    ----------
    path : path, optional
        File or folder; by default the first of ``info.files`` under ``FERBENCH_DATA``.
    """

    known: DatasetInfo

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = path

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_content", "info", "location")}

    @cached_property
    def info(self) -> DatasetInfo:
        """What is known of the dataset; some need to look at the files first."""
        return self.known

    @cached_property
    def location(self) -> Path:
        """The file or folder that is read."""
        return locate(self.known, self.path)

    @abstractmethod
    def _read(self) -> Content:
        """Read everything from :attr:`location`."""

    @cached_property
    def _content(self) -> Content:
        content = self._read()
        if len(content.ids) == 0:
            first = f"; first: {content.skipped[0]}" if content.skipped else ""
            raise DataError(
                f"no usable row in {self.location}",
                got=f"{len(content.skipped)} unreadable{first}",
                expected=f"{self.known.title} data",
            )
        self._check_ids(content)
        return self._relabelled(content if content.revision else replace(content, revision=content_digest(content)))

    def _relabelled(self, content: Content) -> Content:
        """The content under the labels that were asked for; its revision stays that of the files."""
        return content

    def _check_ids(self, content: Content) -> None:
        if len(np.unique(content.ids)) != len(content.ids):
            twice = next(name for name, n in Counter(content.ids.tolist()).items() if n > 1)
            raise DataError(f"two images of {self.location} have the same id", got=twice, fix="rename one of them")

    @property
    def revision(self) -> str:
        """Content digest, 16 hex digits."""
        return self._content.revision

    @property
    def skipped(self) -> list[Skipped]:
        """Rows or files that could not be read, each with its reason."""
        return self._content.skipped

    @property
    def excluded(self) -> dict[str, int]:
        """Samples left out by the dataset's own protocol: {reason: count}."""
        return dict(self._content.excluded)

    def available_splits(self) -> dict[str, int]:
        """Splits that the files hold, with their sizes, in the official order."""
        sizes = Counter(self._content.splits.tolist())
        del sizes[_NO_SPLIT]
        order = [*self.info.splits, *sorted(set(sizes) - set(self.info.splits))]
        return {name: sizes[name] for name in order if sizes[name]}

    def split(self, name: str) -> Samples:
        """The samples of one split, or of ``"all"``.

        Raises
        ------
        UnknownNameError
            The dataset has no split of that name.
        DataError
            It has, but this file does not hold it; the message says what the file holds.
        """
        content = self._content
        if name == "all":
            index = np.flatnonzero(content.splits != _NO_SPLIT)
        else:
            if name not in self.info.splits:
                # Where there are splits, without "all": it is near to "val", and no answer to it.
                raise UnknownNameError(f"split of {self.info.name}", name, self.info.splits or ("all",))
            index = np.flatnonzero(content.splits == name)
        if not len(index):
            held = ", ".join(f"{split} ({n})" for split, n in self.available_splits().items())
            raise DataError(
                f"{self.location} has no {name!r} split", got=held, fix="choose one of these, or get the full dataset"
            )
        return Samples(
            images=_take(content, index),
            labels=content.labels[index],
            ids=content.ids[index],
            label_space=self.info.label_space,
            kind=self.info.kind,
            dataset=self.info.name,
            split=name,
            revision=content.revision,
            subjects=None if content.subjects is None else content.subjects[index],
            votes=None if content.votes is None else content.votes[index],
            vote_counts=None if content.vote_counts is None else content.vote_counts[index],
        )


class ContemptDataset(StoredDataset):
    """A dataset of files that has contempt among its expressions, or may have.

    Subclasses implement ``_info`` in place of ``info`` where the files decide it.

    Parameters
    ----------
    path : path, optional
        As of :class:`StoredDataset`.
    contempt : "keep", "drop", "disgust" or "neutral"
        ``keep``: contempt is an expression of its own. Otherwise labels are FER7's, for models that do not know
        contempt: its faces are left out, or counted as another expression, and so are votes for it.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, contempt: ContemptChoice = "keep") -> None:
        super().__init__(path)
        if contempt not in get_args(ContemptChoice):
            known = ", ".join(get_args(ContemptChoice))
            raise ParameterError(f"contempt of {self.known.name}", got=repr(contempt), expected=known)
        self.contempt = contempt

    @cached_property
    def info(self) -> DatasetInfo:
        """What is known of the dataset, with the labels that were asked for; records name it by its choices."""
        info = self._info()
        named = replace(info, name=str(Spec(info.name, self._choices())))
        # Official counts have contempt among them.
        return named if self.contempt == "keep" else replace(named, label_space=FER7, official_counts={})

    def _info(self) -> DatasetInfo:
        return self.known

    def _choices(self) -> dict[str, str]:
        """Parameters that decide which labels there are, where they are not the usual ones."""
        return {} if self.contempt == "keep" else {"contempt": self.contempt}

    def _relabelled(self, content: Content) -> Content:
        if self.contempt == "keep":
            return content
        is_contempt = content.labels == "contempt"
        content = replace(content, **self._votes(content))
        if self.contempt != "drop":
            return replace(content, labels=np.where(is_contempt, self.contempt, content.labels))
        if is_contempt.all():
            raise DataError(f"nothing is left of {self.location} without contempt", fix="contempt=keep")
        left_out = {"contempt": int(is_contempt.sum())} if is_contempt.any() else {}
        # Rows stay where they are, so that images stay a memory map.
        splits = np.where(is_contempt, _NO_SPLIT, content.splits)
        return replace(content, splits=splits, excluded={**content.excluded, **left_out})

    def _votes(self, content: Content) -> dict[str, Any]:
        """Votes over FER7; those for contempt that count as no other expression stand behind, with other choices."""
        if content.votes is None or content.vote_counts is None:
            return {"votes": None, "vote_counts": None}
        space = self.known.label_space
        counts_as = [self.contempt if label == "contempt" else label for label in space]
        table = np.array([[label == name for name in FER7] for label in counts_as])
        votes, counts = content.votes @ table.astype(np.float32), content.vote_counts
        lost = counts[:, : len(space)][:, ~table.any(axis=1)]
        total = votes.sum(axis=1, keepdims=True)
        return {
            "votes": np.divide(votes, total, out=votes, where=total > 0),
            "vote_counts": np.hstack([counts[:, : len(space)] @ table, lost, counts[:, len(space) :]]),
        }


def _take(content: Content, index: np.ndarray[Any, np.dtype[np.int64]]) -> Any:
    """Images at ascending positions; neighbours stay a view of the memory map instead of becoming a copy."""
    images: Any = content.images
    if isinstance(images, np.ndarray):
        first, last = int(index[0]), int(index[-1])
        return images[first : last + 1] if last - first + 1 == len(index) else images[index]
    if isinstance(images, FileImages):
        return FileImages(images.source, images.file_names[index])
    lazy: LazyImages | list[Image] = LazyImages(images, index)
    return lazy


def skipped_warning(dataset: object, *, at_most: int = 3) -> str | None:
    """One line for the user about rows that could not be read, or None where all could.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> skipped_warning(SimpleNamespace(skipped=[Skipped(7, "2303 pixels, expected 2304")]))
    '1 row skipped: row 7 (line 8): 2303 pixels, expected 2304'
    """
    skipped: list[Skipped] = list(getattr(dataset, "skipped", None) or [])
    if not skipped:
        return None
    shown = "; ".join(str(Skipped(*row)) for row in skipped[:at_most])
    more = f"; and {len(skipped) - at_most} more" if len(skipped) > at_most else ""
    return f"{len(skipped)} row{'s' if len(skipped) > 1 else ''} skipped: {shown}{more}"
