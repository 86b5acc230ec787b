"""FER+ [1]_: the faces of FER2013 with the votes of ten annotators each.

.. [1] Barsoum, Zhang, Canton Ferrer, Zhang, "Training deep networks for facial expression recognition with
   crowd-sourced label distribution", ICMI 2016.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ferbench.datasets.base import ContemptChoice, ContemptDataset
from ferbench.datasets.content import Content, Skipped
from ferbench.datasets.fer2013 import FER2013
from ferbench.datasets.fer_csv import USAGES
from ferbench.datasets.paths import locate
from ferbench.errors import DataError, ParameterError
from ferbench.labels import FERPLUS8
from ferbench.samples import DatasetInfo

__all__ = ["FERPlus", "Votes", "filter_majority", "filter_probability", "read_votes"]

Mode = Literal["majority", "probability", "plurality"]

CHOICES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
"""Columns of the vote table, in its order: eight expressions, then *unknown* and *not a face*."""

N_EXPRESSIONS = len(FERPLUS8)
N_CHOICES = len(CHOICES)
UNKNOWN = N_EXPRESSIONS
_MOST_EXPRESSIONS = 3

# Matched rows agree with FER2013's own label in about two thirds of the cases, rows matched wrongly in under a quarter.
_LEAST_AGREEMENT = 0.4
_ENOUGH_TO_JUDGE = 200


@dataclass(frozen=True)
class Votes:
    """The vote table.

    Attributes
    ----------
    usages : (N,) str
        Official split of each row.
    has_image : (N,) bool
        False where the image name is empty: FER+ dropped that face.
    counts : (N, 10) int64
        Votes for :data:`CHOICES`; -1 in a row that could not be read.
    skipped : unreadable rows
    """

    usages: npt.NDArray[np.str_]
    has_image: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    skipped: list[Skipped]


class FERPlus(ContemptDataset):
    """FER2013's images with FER+'s eight expressions.

    Ids and splits are FER2013's, so that both can be joined. ``Samples.votes`` holds the shares of the votes for the
    eight expressions, ``Samples.vote_counts`` the votes for all ten choices.

    Parameters
    ----------
    path : path, optional
        ``fer2013new.csv``.
    images : path, optional
        FER2013 as a table; by default looked for like ``fer2013``. Both files must have the same rows, or the images
        lack those that FER+ has dropped.
    mode : "majority", "probability" or "plurality"
        ``majority``: the paper's filter, see :func:`filter_majority`. ``probability``: see
        :func:`filter_probability`. ``plurality``: every face with a vote for an expression is kept, the most voted
        one is its label (the first in FER+'s order on a tie), and votes are shares of the raw ones.
    contempt : "keep", "drop", "disgust" or "neutral"
        ``keep``: an expression of its own. Otherwise labels are FER7's, and its faces, chosen by the mode, are left
        out or counted as such; so are votes for it.

    Raises
    ------
    DataError
        The two files do not have the same rows.
    """

    known = DatasetInfo(
        name="ferplus",
        title="FER+",
        label_space=FERPLUS8,
        kind="crops",
        splits=("train", "val", "test"),
        licence="votes: MIT; images: FER2013's terms",
        homepage="https://github.com/microsoft/FERPlus",
        files=("fer2013new.csv", "ferplus/fer2013new.csv"),
        pictures_of="fer2013",
    )

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        images: str | os.PathLike[str] | None = None,
        mode: Mode = "majority",
        contempt: ContemptChoice = "keep",
    ) -> None:
        super().__init__(path, contempt=contempt)
        if mode not in get_args(Mode):
            raise ParameterError("unknown mode of FER+", got=repr(mode), expected=", ".join(get_args(Mode)))
        self.images, self.mode = images, mode

    def _choices(self) -> dict[str, str]:
        return super()._choices() | ({} if self.mode == "majority" else {"mode": self.mode})

    def _read(self) -> Content:
        table = locate(self.known, self.path)
        votes = read_votes(table)
        fer2013 = FER2013(self.images)
        faces = fer2013._content
        if not faces.ids[0].startswith(tuple(f"{usage}_" for usage in USAGES)) or fer2013.location.is_dir():
            raise DataError("FER+ needs FER2013 as a table", got=str(fer2013.location), expected="fer2013.csv")
        rows = match_rows(votes, faces, f"{table} and {fer2013.location}")
        counts = votes.counts[rows]
        shares, reasons = _FILTERS[self.mode](counts)
        reasons = np.where(counts[:, 0] < 0, "votes unreadable", reasons)
        keep = reasons == ""
        labels = FERPLUS8.decode(shares[keep].argmax(axis=1)) if keep.any() else np.array([], dtype=np.str_)
        _check_agreement(labels, faces.labels[keep], f"{table} and {fer2013.location}")
        return Content(
            images=np.asarray(faces.images)[keep],
            labels=labels,
            ids=faces.ids[keep],
            splits=faces.splits[keep],
            votes=shares[keep].astype(np.float32),
            vote_counts=counts[keep],
            skipped=[*faces.skipped, *votes.skipped],
            excluded=dict(Counter(reasons[~keep].tolist())),
        )


def read_votes(path: Path) -> Votes:
    """Read ``fer2013new.csv``.

    Raises
    ------
    DataError
        The header is not FER+'s.
    """
    expected = ["usage", "image name", *(choice.lower() for choice in CHOICES)]
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = csv.reader(line.replace("\0", "") for line in file)
        try:
            header = [field.strip().lower() for field in next(lines, [])]
            if header != expected:
                raise DataError(
                    f"{path} is not FER+'s vote table", got=",".join(header)[:80], expected=",".join(expected)
                )
            rows = [[field.strip() for field in row] for row in lines if row]
        except csv.Error as error:
            raise DataError(f"{path} cannot be read", got=error, fix="download it again") from error
    counts = np.full((len(rows), N_CHOICES), -1, dtype=np.int64)
    skipped = []
    for i, row in enumerate(rows):
        reason = _wrong_with(row)
        if reason:
            skipped.append(Skipped(i + 1, f"{path.name}: {reason}"))
        else:
            counts[i] = [int(vote) for vote in row[2:]]
    return Votes(
        usages=np.array([row[0] for row in rows], dtype=np.str_),
        has_image=np.array([len(row) > 1 and row[1] != "" for row in rows], dtype=bool),
        counts=counts,
        skipped=skipped,
    )


def _wrong_with(row: list[str]) -> str | None:
    if len(row) != N_CHOICES + 2:
        return f"{len(row)} columns, expected {N_CHOICES + 2}"
    if row[0] not in USAGES:
        return f"Usage is {row[0][:20]!r}, expected {', '.join(USAGES)}"
    wrong = next((v for v in row[2:] if not (v.isascii() and v.isdigit() and len(v) < 4)), None)
    return None if wrong is None else f"{wrong[:20]!r} is not a number of votes"


def match_rows(votes: Votes, faces: Content, names: str) -> npt.NDArray[np.int64]:
    """For each face the row of its votes.

    Within each split the rows of both files correspond in order. A FER2013 file either holds the faces that FER+ has
    dropped (empty image names) or, like the vote file then, lacks them; nothing else fits.
    """
    rows = np.full(len(faces.ids), -1, dtype=np.int64)
    position = np.array([int(name.rsplit("_", 1)[1]) for name in faces.ids.tolist()], dtype=np.int64)
    for usage, split in USAGES.items():
        at = np.flatnonzero(faces.splits == split)
        if not len(at):
            continue
        # Unreadable faces keep their place; those at the end of a split are known by the rows that were skipped.
        total = int(position[at].max()) + 1
        every = np.flatnonzero(votes.usages == usage)
        named = np.flatnonzero((votes.usages == usage) & votes.has_image)
        candidates = sorted((every, named), key=len)
        fitting = next((c for c in candidates if 0 <= len(c) - total <= len(faces.skipped)), None)
        if fitting is None:
            raise DataError(
                f"rows of {names} do not match",
                got=f"{total} faces and {len(every)} rows of votes ({len(named)} with an image name) in {usage}",
                expected="the same rows in both",
                fix="get both files in the same edition",
            )
        rows[at] = fitting[position[at]]
    return rows


def filter_majority(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    """The paper's majority rule.

    A single vote for a choice is an outlier and is removed. A face counts if one choice then has more than half of
    what is left and that choice is an expression (not *unknown*, not *no face*).

    Parameters
    ----------
    counts : (N, 10) int64

    Returns
    -------
    shares : (N, 8) float64
        Shares of the votes that are left; rows of excluded faces are zero.
    reasons : (N,) str
        Why a face is excluded; empty where it is kept.
    """
    left = _without_outliers(counts)
    top, winner = left.max(axis=1), left.argmax(axis=1)
    reasons = np.select(
        [2 * top <= left.sum(axis=1), winner == UNKNOWN, winner > UNKNOWN], ["no majority", "unknown", "not a face"], ""
    )
    return _shares(left, reasons), reasons


def filter_probability(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    """The rule with which the paper's authors make label distributions.

    Single votes are removed; then the most voted choices are taken, one after the other and ties together, until they
    hold three quarters of the votes, three are taken, or the next is *unknown* or *no face*. A face counts if more
    than half of the votes were taken, by at most three choices. Returns as :func:`filter_majority`.
    """
    left = _without_outliers(counts)
    total, first = left.sum(axis=1), left.argmax(axis=1)
    taken, rest = np.zeros_like(left), left.copy()
    is_open = np.ones(len(left), dtype=bool)
    for _ in range(_MOST_EXPRESSIONS):
        is_open &= (4 * taken.sum(axis=1) < 3 * total) & ((taken > 0).sum(axis=1) < _MOST_EXPRESSIONS)
        is_next = (rest == rest.max(axis=1, keepdims=True)) & (rest > 0) & is_open[:, None]
        taken[:, :N_EXPRESSIONS] += np.where(is_next, rest, 0)[:, :N_EXPRESSIONS]
        rest[is_next] = 0
        is_open &= ~is_next[:, N_EXPRESSIONS:].any(axis=1)
    held = taken.sum(axis=1)
    is_split = (2 * held <= total) | ((taken > 0).sum(axis=1) > _MOST_EXPRESSIONS)
    reasons = np.select(
        [total == 0, (held == 0) & (first == UNKNOWN), held == 0, is_split],
        ["no majority", "unknown", "not a face", "no majority"],
        "",
    )
    return _shares(taken, reasons), reasons


def _plurality(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    votes = np.maximum(counts, 0)
    reasons = np.where(votes[:, :N_EXPRESSIONS].sum(axis=1) == 0, "no vote for an expression", "")
    return _shares(votes, reasons), reasons


_FILTERS = {"majority": filter_majority, "probability": filter_probability, "plurality": _plurality}


def _without_outliers(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.where(counts > 1, counts, 0)


def _shares(votes: npt.NDArray[np.int64], reasons: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
    expressions = np.where(reasons[:, None] == "", votes[:, :N_EXPRESSIONS], 0).astype(np.float64)
    shares: npt.NDArray[np.float64] = expressions / np.maximum(expressions.sum(axis=1, keepdims=True), 1)
    return shares


def _check_agreement(ferplus: npt.NDArray[np.str_], fer2013: npt.NDArray[np.str_], names: str) -> None:
    """Files of the same length may still be shuffled against each other; then labels agree by chance only."""
    if len(ferplus) < _ENOUGH_TO_JUDGE:
        return
    agreement = float(np.mean(ferplus == fer2013))
    if agreement < _LEAST_AGREEMENT:
        raise DataError(
            f"rows of {names} do not belong together",
            got=f"labels that agree in {agreement:.0%} of the rows",
            expected=f"at least {_LEAST_AGREEMENT:.0%}",
            fix="get both files in their original order",
        )
