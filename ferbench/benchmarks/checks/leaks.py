"""What the faces that were learnt from and those that were scored have in common: pictures and people.

Equal pictures are looked for among all of them, by a digest of their pixels. Pictures that look the same (another size,
another crop, another compression) are looked for by perceptual hash among :data:`NEAR_BUDGET` pictures at most. The
answer is kept in the cache folder, under everything that determines it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from ferbench.benchmarks.cells import Cell, digest
from ferbench.benchmarks.record import Record
from ferbench.faces import Image, as_gray
from ferbench.samples import Samples

__all__ = ["NEAR_BUDGET", "Leaks", "find_leaks", "leaks_between", "leaks_of_cells"]

NEAR_BUDGET = 40_000
"""Pictures among which near duplicates are looked for: all of FER2013. Beyond that, a seeded sample."""

VERSION = 1
"""Of the way of looking; another one looks again."""


class Leaks(Record):
    """What training and scored faces share."""

    n_train: int = Field(description="pictures that were learnt from")
    n_scored: int
    exact: int = Field(description="scored pictures with equal pixels among those that were learnt from")
    near: int = Field(
        description="scored pictures that look like one that was learnt from, equal ones included; of two people none"
    )
    n_searched: int = Field(description="pictures among which near duplicates were looked for, both sides together")
    examples: list[tuple[str, str]] = Field(description="ids of a scored picture and its copy, three at most")
    subjects: int | None = Field(description="people who are learnt from and scored; None where nobody is named")
    n_subjects: int | None = Field(description="people who are scored")

    @property
    def is_sampled(self) -> bool:
        """Whether near duplicates were looked for among a part of the pictures only."""
        return self.n_searched < self.n_train + self.n_scored


def leaks_of_cells(cells: Sequence[Cell], extra: Sequence[str] = ()) -> Leaks | None:
    """What the fits of a data set learnt from and its quality cells scored have in common.

    Parameters
    ----------
    cells : sequence of Cell
        Fit and quality cells of one data set.
    extra : sequence of str
        Splits of the same data set that pretrained rows learnt from.

    Returns
    -------
    Leaks or None
        From the cache where it was found before; None where nothing was learnt from this data set.

    Raises
    ------
    FerbenchError
        If the data set cannot be read, or is not the one that was scored.
    """
    from ferbench.benchmarks.store import write_atomically
    from ferbench.datasets import cache_dir

    fits = [cell for cell in cells if cell.kind == "fit"]
    scored = next((cell for cell in cells if cell.kind == "quality"), None)
    if scored is None or not (fits or extra):
        return None
    sources = sorted({(cell.train_split, cell.limit) for cell in fits} | {(split, None) for split in extra}, key=str)
    key = {
        "version": VERSION, "budget": NEAR_BUDGET, "dataset": scored.dataset, "revision": scored.revision,
        "train": sources, "scored": [scored.eval_split, scored.limit], "seed": scored.seed, "folds": scored.n_folds,
    }  # fmt: skip
    path = cache_dir() / "leaks" / f"{digest(key)}.json"
    if (known := _read(path)) is not None:
        return known
    found = _look(scored, sources)
    write_atomically(path, json.dumps(found.model_dump(mode="json")).encode())
    return found


def _read(path: Path) -> Leaks | None:
    if not path.is_file():
        return None
    try:
        return Leaks.model_validate_json(path.read_bytes())
    except ValidationError:
        return None  # cut off by a full disk, or of another version: it is written anew


def _look(scored: Cell, sources: Sequence[tuple[str, int | None]]) -> Leaks:
    from ferbench.benchmarks.views import load_view

    def view(split: str, limit: int | None) -> Samples:
        return load_view(scored.dataset, scored.revision, split, limit, scored.seed)

    if scored.n_folds is not None:
        from ferbench.datasets import subject_folds

        samples = view(scored.eval_split, scored.limit)
        sides = np.zeros(len(samples), dtype=np.int64)
        for number, (_, held_out) in enumerate(subject_folds(samples, scored.n_folds, scored.seed)):
            sides[held_out] = number
        return find_leaks(samples, sides, is_folded=True)
    train = [view(split, limit) for split, limit in sources]
    return leaks_between(train, view(scored.eval_split, scored.limit), seed=scored.seed)


def leaks_between(train: Sequence[Samples], scored: Samples, *, seed: int = 0) -> Leaks:
    """What one scored set shares with the sets that were learnt from; a face in several of them counts once."""
    seen: set[str] = set()
    parts = []
    for one in train:
        fresh = np.array([name not in seen for name in one.ids.tolist()], dtype=bool)
        seen.update(one.ids.tolist())
        parts.append(one if fresh.all() else one.subset(fresh))
    parts = [part for part in parts if len(part)]
    sides = np.repeat([0, 1], [sum(map(len, parts)), len(scored)])
    return find_leaks([*parts, scored], sides, seed=seed)


def find_leaks(
    samples: Samples | Sequence[Samples], sides: npt.NDArray[np.int64], *, is_folded: bool = False, seed: int = 0
) -> Leaks:
    """Pictures and people on both sides.

    Parameters
    ----------
    samples : Samples or sequence of Samples
        N faces altogether.
    sides : (N,) int64
        The fold of each face; or, not folded, 1 where it is scored and 0 where it is learnt from.
    is_folded : bool
        Whether every face is scored, by what learnt from the other folds.
    seed : int
        Of the sample in which near duplicates are looked for where the faces are more than :data:`NEAR_BUDGET`.
    """
    parts = [samples] if isinstance(samples, Samples) else list(samples)
    is_scored = np.ones(len(sides), dtype=bool) if is_folded else sides == 1
    ids = np.concatenate([part.ids for part in parts])
    exact, near, n_searched = _pairs(parts, sides, seed)
    both = np.concatenate([exact, near])
    return Leaks(
        n_train=len(sides) if is_folded else int((~is_scored).sum()),
        n_scored=int(is_scored.sum()),
        exact=_count(exact, is_scored),
        near=_count(both, is_scored),
        n_searched=n_searched,
        examples=_examples(both, is_scored, ids),
        **_people(parts, sides, is_scored),
    )


def _pairs(
    parts: Sequence[Samples], sides: npt.NDArray[np.int64], seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Pairs (P, 2) of equal pictures and of pictures that look alike, each across sides; and how many were hashed."""
    from ferbench.datasets.audit import NEAR_CORRELATION, NEAR_RADIUS
    from ferbench.datasets.near_duplicates import content_digests, fingerprint, near_pairs

    images = _Chain([part.images for part in parts])
    chosen = np.arange(len(sides))
    if len(sides) > NEAR_BUDGET:
        chosen = np.sort(np.random.default_rng(seed).choice(len(sides), NEAR_BUDGET, replace=False))
    prints = fingerprint(_Chain([images], chosen))
    digests = prints.exact if len(chosen) == len(sides) else content_digests(images)
    groups: dict[bytes, list[int]] = {}
    for i, one in enumerate(digests):
        groups.setdefault(one, []).append(i)
    equal = []
    for group in groups.values():
        first: dict[int, int] = {}
        for i in group:
            first.setdefault(int(sides[i]), i)
        if len(first) > 1 and not _is_blank(images[group[0]]):
            # One mate on another side is enough for each: a hundred copies are no ten thousand pairs.
            equal += [(i, next(mate for side, mate in first.items() if side != sides[i])) for i in group]
    near = chosen[near_pairs(prints, radius=NEAR_RADIUS, correlation=NEAR_CORRELATION)].reshape(-1, 2)
    near = near[sides[near[:, 0]] != sides[near[:, 1]]]
    if (people := _subjects(parts)) is not None:
        near = near[people[near[:, 0]] == people[near[:, 1]]]  # two people in one pose are no copy of each other
    return np.array(equal, dtype=np.int64).reshape(-1, 2), near, len(chosen)


def _is_blank(image: Image) -> bool:
    from ferbench.datasets.near_duplicates import FLAT_RANGE

    gray = as_gray(image)
    return int(gray.max()) - int(gray.min()) <= FLAT_RANGE


def _count(pairs: npt.NDArray[np.int64], is_scored: npt.NDArray[np.bool_]) -> int:
    touched = np.unique(pairs)
    return int(is_scored[touched].sum())


def _examples(
    pairs: npt.NDArray[np.int64], is_scored: npt.NDArray[np.bool_], ids: npt.NDArray[np.str_]
) -> list[tuple[str, str]]:
    shown: dict[int, int] = {}
    for a, b in pairs.tolist():
        scored, other = (a, b) if is_scored[a] else (b, a)
        shown.setdefault(scored, other)
    return [(str(ids[a]), str(ids[b])) for a, b in list(shown.items())[:3]]


def _subjects(parts: Sequence[Samples]) -> npt.NDArray[np.str_] | None:
    """(N,) str: who is shown; None where a part does not say."""
    known = [part.subjects for part in parts if part.subjects is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _people(
    parts: Sequence[Samples], sides: npt.NDArray[np.int64], is_scored: npt.NDArray[np.bool_]
) -> Mapping[str, Any]:
    names = _subjects(parts)
    if names is None:
        return {"subjects": None, "n_subjects": None}
    scored: dict[str, set[int]] = {name: set() for name in names[is_scored].tolist()}
    for name, side in zip(names.tolist(), sides.tolist(), strict=True):
        if name in scored:
            scored[name].add(side)
    return {"subjects": sum(len(where) > 1 for where in scored.values()), "n_subjects": len(scored)}


class _Chain(Sequence[Any]):
    """Several sequences of images as one, or some of it, read one at a time."""

    def __init__(self, parts: Sequence[Any], index: npt.NDArray[np.int64] | None = None) -> None:
        self._parts, self._index = parts, index
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._index is None else len(self._index)

    def __getitem__(self, i: Any) -> Any:
        if not 0 <= i < len(self):
            raise IndexError(i)
        at = int(i if self._index is None else self._index[i])
        part = int(np.searchsorted(self._ends, at, side="right"))
        return self._parts[part][at - (int(self._ends[part - 1]) if part else 0)]
