"""What a plan must know of a dataset: its revision and the sizes of its splits, without reading it twice.

Reading a dataset to learn its content digest takes seconds; the answer is kept in the cache folder under the names,
sizes and times of the dataset's files and of the code that reads them. So a finished suite answers at once, and a
file that changes is read again.
"""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ferbench.benchmarks.cells import digest
from ferbench.benchmarks.record import Record
from ferbench.benchmarks.store import write_atomically
from ferbench.contracts import Dataset
from ferbench.datasets import cache_dir, data_root, load_dataset

__all__ = ["DatasetFacts", "SplitFacts", "dataset_facts"]


class SplitFacts(Record):
    """Sizes of one split."""

    n: int
    n_subjects: int | None
    class_counts: dict[str, int]


class DatasetFacts(Record):
    """A dataset as a plan sees it."""

    spec: str
    title: str
    kind: Literal["crops", "photos"]
    is_synthetic: bool
    revision: str
    licence: str
    labels: list[str]
    splits: dict[str, SplitFacts]


def dataset_facts(spec: str, splits: tuple[str, ...]) -> DatasetFacts:
    """Facts of a dataset and the named splits, from the cache where its files are unchanged.

    Raises
    ------
    DatasetNotFoundError, DataError
        If the dataset is not there or lacks a split.
    """
    dataset = load_dataset(spec)
    key = digest([version("ferbench"), spec, sorted(splits), list(_stamps(dataset))])
    path = cache_dir() / "facts" / f"{key}.json"
    if path.is_file():
        try:
            return DatasetFacts.model_validate_json(path.read_bytes())
        except ValidationError:
            path.unlink()  # written by another version or cut off by a full disk: read the dataset again
    facts = _read_facts(spec, dataset, splits)
    write_atomically(path, json.dumps(facts.model_dump(mode="json")).encode())
    return facts


def _read_facts(spec: str, dataset: Dataset, splits: tuple[str, ...]) -> DatasetFacts:
    sizes = {}
    for name in splits:
        samples = dataset.split(name)
        subjects = None if samples.subjects is None else len(set(samples.subjects.tolist()))
        counts = Counter(samples.labels.tolist())
        sizes[name] = SplitFacts(
            n=len(samples),
            n_subjects=subjects,
            class_counts={label: counts[label] for label in samples.label_space.labels},
        )
    info = dataset.info
    return DatasetFacts(
        spec=spec,
        title=info.title,
        kind=info.kind,
        is_synthetic=info.is_synthetic,
        revision=dataset.revision,
        licence=info.licence,
        labels=list(info.label_space.labels),
        splits=sizes,
    )


def _stamps(dataset: Dataset) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of every file that decides what the dataset is."""
    own: Any = getattr(dataset, "path", None)
    # Built-in faces come from no file and need no data folder.
    sources = [Path(own).expanduser()] if own else [data_root() / name for name in dataset.info.files]
    code = Path(inspect.getfile(type(dataset)))
    for source in (*sources, *sorted(code.parent.glob("*.py"))):
        if source.is_dir():
            for path in sorted(source.rglob("*")):
                yield _stamp(path)
        elif source.exists():
            yield _stamp(source)


def _stamp(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns
