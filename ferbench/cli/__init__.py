"""The ``ferbench`` command: a table of verbs, one module for each.

This module imports nothing but the standard library and :mod:`ferbench.errors`, and of the verbs only the one that was
asked for: ``ferbench --help`` answers at once. A verb module has ``configure(parser)``, which adds its arguments, and
``main(args)``, which returns the exit code and keeps heavy imports to itself; its docstring is its help text.

Exit codes: 0 done, 1 a check found more than notes under ``--strict``, 2 the user's mistake (one line on stderr), 3 an
export that was refused, 130 interrupted, 141 the reader of stdout went away.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import select
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn, TextIO

from ferbench.errors import FerbenchError, UnknownNameError
from ferbench.native_output import import_quietly

__all__ = ["VERBS", "main"]

VERBS = {
    "run": "run a suite: fit, score and time its pipelines; resumes by default",
    "report": "build the report of a run again, as HTML and markdown",
    "merge": "merge runs of one suite that were made on several machines",
    "compare": "compare two runs row by row; exit code 3 where the second is worse",
    "evaluate": "score one pipeline on a dataset, with intervals",
    "predict": "name the expressions in photos, folders and clips",
    "train": "fit a pipeline on a dataset and save it",
    "combine": "make one network of several trained ones",
    "tune": "search for a pipeline's parameters on training faces",
    "export": "convert a trained network for another runtime, checked against it",
    "live": "name expressions on a camera, a clip or a synthetic stream",
    "temporal": "measure smoothings over time: flicker, lag, accuracy on streams of known truth",
    "serve": "the same as a web page: browser's or own camera, uploads, and a JSON API",
    "detectors": "score detectors by themselves: recall, false alarms, overlap, time",
    "list": "list detectors, features, classifiers, runtimes, datasets, pipelines, suites or checks",
    "show": "describe one component, pipeline, dataset, check, run or saved model",
    "data": "list datasets; audit and count what is in one",
    "doctor": "say what is installed, what is missing, and how the machine is set up",
}
"""Every verb and its line of help; each is the module ``ferbench.cli.<verb>``."""

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
READER_GONE = 141  # 128 + SIGPIPE


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are the toolkit's: one line, no usage dump."""

    def error(self, message: str) -> NoReturn:
        raise FerbenchError(message, fix=f"see '{self.prog} --help'")


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps paragraphs to the terminal's width, and leaves those with indented lines, such as examples, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip("\n").split("\n\n")
        return "\n\n".join(
            one if "\n  " in f"\n{one}" else argparse.HelpFormatter._fill_text(self, one, width, indent)
            for one in paragraphs
        )


def _top_parser() -> _Parser:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {line}" for verb, line in VERBS.items()]
    parser = _Parser(
        prog="ferbench",
        usage="ferbench VERB ... | --help | --version",
        description="Classical and deep facial-expression recognition, side by side, under one protocol.",
        epilog="\n".join(["verbs:", *lines, "", "'ferbench VERB --help' tells more of each."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    return parser


def _run_verb(verb: str, arguments: Sequence[str]) -> int:
    if verb not in VERBS:
        raise UnknownNameError("verb", verb, VERBS)
    module = importlib.import_module(f"ferbench.cli.{verb}")
    parser = _Parser(
        prog=f"ferbench {verb}",
        description=module.__doc__,
        formatter_class=_HelpFormatter,
    )
    module.configure(parser)
    code: int = module.main(parser.parse_args(arguments))
    return code


def _dispatch(argv: Sequence[str]) -> int:
    # The verb is split off by hand: argparse's sub-parsers would have to import every verb to know its arguments.
    if argv and not argv[0].startswith("-"):
        return _run_verb(argv[0], argv[1:])
    parser = _top_parser()
    if parser.parse_args(argv).version:
        from importlib.metadata import version

        print(f"ferbench {version('ferbench')}")
    else:
        parser.print_help()
    return 0


def _print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"ferbench: warning: {message}", file=file or sys.stderr)


def _quieten_libraries() -> None:
    """Show ferbench's own warnings as one line each, and no library's; ``python -W`` restores them all."""
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's C++ log: CPU features, missing CUDA
    if level != "0":  # TensorFlow 2.21 logs some lines before it looks at that
        import_quietly(
            "keras", is_noise=lambda line: line.startswith((b"I0000 ", b"WARNING: All log messages before absl"))
        )
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("default", module=r"ferbench(\.|$)")
        warnings.showwarning = _print_warning


def _complain(message: object) -> int:
    print(f"ferbench: error: {message}", file=sys.stderr)
    return FerbenchError.exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        The exit code.
    """
    with warnings.catch_warnings():
        _quieten_libraries()
        try:
            code = _dispatch(sys.argv[1:] if argv is None else argv)
            sys.stdout.flush()
        except FerbenchError as error:
            _complain(error)
            return error.exit_code
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            if not _stdout_is_broken():  # some other pipe: a fault of ours, to be seen
                raise
            # The interpreter flushes stdout once more on its way out; it must find something that takes the text.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return READER_GONE
        except OSError as error:
            if error.errno in _DISK_ERRORS:
                return _complain(f"cannot write: {error.strerror}; what was written before is kept")
            if error.filename is None:  # not about a file that the user named
                raise
            return _complain(f"cannot use {error.filename}: {error.strerror}")
    return code


def _stdout_is_broken() -> bool:
    """Tell whether the reader of stdout has left (``| head``)."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # no event asked for: only errors and hang-ups are reported
    return bool(poll.poll(0))
