"""Options that several commands have."""

from __future__ import annotations

import argparse
from typing import get_args

from ferbench.errors import ParameterError
from ferbench.labels import ContemptPolicy

__all__ = ["add_contempt", "check_contempt"]


def add_contempt(parser: argparse.ArgumentParser, where: str) -> None:
    """Add ``--contempt``: what becomes of faces of contempt, and where that is to be said."""
    parser.add_argument(
        "--contempt",
        default="error",
        choices=get_args(ContemptPolicy),
        help=f"what becomes of contempt {where} (default: error)",
    )


def check_contempt(policy: str, option: str, value: str | None) -> None:
    """Refuse ``--contempt`` without a value of the option that names the faces which it is about."""
    if policy != "error" and value is None:
        raise ParameterError(f"--contempt is about the faces of {option}", got=f"--contempt {policy}")
