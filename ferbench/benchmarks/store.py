"""A run on disk, safe against being killed at any moment.

Every file appears whole or not at all (written beside its place, flushed to the disk, renamed). A part carries the
checksum of its own text and of the tables that belong to it, so that damage is found and the cell done again. ::

    runs/<utc>_<suite>_<hash>/
        suite.yaml plan.json environment.json      frozen inputs
        parts/<cell>.json items/<cell>.parquet times/<cell>.parquet artefacts/<fit cell>/ failures/<cell>.txt
        searches/<fit cell>.json                   scores of a search for settings, as far as it came
        results.parquet summary.json report/       derived: can be deleted and rebuilt
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferbench.benchmarks.cells import Cell, Part, digest
from ferbench.benchmarks.disk import held, sweep, utc_now, write_atomically
from ferbench.benchmarks.part_file import ReadPart, read_part
from ferbench.benchmarks.records import Summary
from ferbench.benchmarks.summary_file import read_summary
from ferbench.errors import RunError

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow import Table

__all__ = ["SCRATCH", "Run", "utc_now", "write_atomically"]

SCRATCH = ".scratch"
"""Folder inside a run for what need not outlive the process that works there."""

_TABLES = {"quality": "items", "robustness": "items", "cross": "items", "latency": "times"}


@dataclass(frozen=True)
class Run:
    """One run folder.

    Parameters
    ----------
    folder : Path
        ``runs/<utc>_<suite>_<hash>``.
    """

    folder: Path
    _notes: list[str] = field(default_factory=list, compare=False, repr=False)
    _known: dict[Path, ReadPart] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def create(cls, runs: Path, name: str, key: str, frozen: dict[str, bytes]) -> Run:
        """Make a new run folder ``<utc>_<name>_<key>`` with its frozen inputs and point ``latest`` to it."""
        folder = runs / f"{_stamp()}_{name}_{key}"
        while folder.exists():  # two runs in one millisecond: names must sort by time
            folder = runs / f"{_stamp()}_{name}_{key}"
        for file, content in frozen.items():
            write_atomically(folder / file, content)
        return cls(folder)

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """An existing run; ``runs/latest`` works too.

        Raises
        ------
        RunError
            If the folder is no run.
        """
        path = Path(folder).resolve()
        if not (path / "plan.json").is_file():
            raise RunError(
                f"no run in {folder}", expected="a folder with plan.json", fix="run a suite: ferbench run quick"
            )
        return cls(path)

    @classmethod
    def find(cls, runs: Path, key: str) -> Run | None:
        """The newest run with this key, if any."""
        found = sorted(
            path for path in runs.glob(f"*_{key}") if (path / "plan.json").is_file() and not path.is_symlink()
        )
        return cls(found[-1]) if found else None

    @property
    def id(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def notes(self) -> list[str]:
        """What was found damaged while reading, one line each."""
        return self._notes

    def mark_latest(self) -> None:
        """Point ``runs/latest`` to this run, where that is or can be made a link."""
        link = self.folder.parent / "latest"
        if link.is_symlink() and os.readlink(link) == self.folder.name:
            return  # a finished run answers from a read-only disk too
        temporary = link.with_name(f".latest.{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(self.folder.name, target_is_directory=True)
            temporary.replace(link)
        except OSError:  # a copy that followed links, or a disk without any: no reason to lose the report
            temporary.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process alone, and remove what a killed one left half written.

        Raises
        ------
        RunError
            If another process holds it.
        StorageError
            If the folder cannot be written.
        """
        with held(self.folder):
            sweep(self.folder)
            shutil.rmtree(self.folder / SCRATCH, ignore_errors=True)
            yield

    # Parts -----------------------------------------------------------------------------------------------------

    def write_part(self, part: Part, table: pd.DataFrame | None = None) -> None:
        """Store a cell's outcome; its table, if any, goes first, so that a part never promises what is not there."""
        cell, files = part.cell, {}
        if table is not None:
            path = self._table_path(cell.kind, cell.id)
            content = table.to_parquet(index=False)
            write_atomically(path, content)
            files[path.relative_to(self.folder).as_posix()] = hashlib.sha256(content).hexdigest()
        failure = self.folder / "failures" / f"{cell.id}.txt"
        if part.error is not None:
            text = f"{cell.kind} of {cell.row} on {cell.dataset}\n{part.error.type}: {part.error.message}\n"
            write_atomically(failure, text.encode())
        else:
            failure.unlink(missing_ok=True)
        body = {"part": part.model_dump(mode="json"), "files": files}
        write_atomically(
            self.folder / "parts" / f"{cell.id}.json",
            json.dumps({"checksum": digest(body), **body}, indent=1).encode(),
        )

    def parts(self, *, repair: bool = True) -> dict[str, Part]:
        """Every sound part by cell id. A damaged one is noted in :attr:`notes`, and removed so that it is done again.

        Without ``repair`` it is left where it is.

        Raises
        ------
        RunError
            If a newer ferbench wrote one.
        """
        sound: dict[str, Part] = {}
        for path in sorted((self.folder / "parts").glob("*.json")):
            part = read_part(path, self._known)
            if isinstance(part, Part):
                sound[path.stem] = part
                continue
            what = "removed, its cell will be done again" if repair else "left out"
            self._notes.append(f"damaged part {path.name} {what}: {part}")
            if repair:
                path.unlink(missing_ok=True)
        return sound

    def discard(self, cell_id: str, why: str) -> None:
        """Take a cell's part away, so that it is done again, and note why."""
        (self.folder / "parts" / f"{cell_id}.json").unlink(missing_ok=True)
        self._notes.append(why)

    def part(self, cell_id: str) -> Part | None:
        """The part of one cell, where it is there and sound."""
        path = self.folder / "parts" / f"{cell_id}.json"
        found = read_part(path, self._known) if path.is_file() else None
        return found if isinstance(found, Part) else None

    def stamp(self) -> str:
        """Digest of all parts: derived files made under another stamp are out of date."""
        sums = hashlib.sha256()
        for path in sorted((self.folder / "parts").glob("*.json")):
            sums.update(path.stem.encode() + hashlib.sha256(path.read_bytes()).digest())
        return sums.hexdigest()[:16]

    # Tables, artefacts, derived files --------------------------------------------------------------------------

    def _table_path(self, kind: str, cell_id: str) -> Path:
        return self.folder / _TABLES[kind] / f"{cell_id}.parquet"

    def items(self, cell_id: str) -> pd.DataFrame:
        """Faces of a scored cell: id, subject, truth, predicted, detected, ``p_<label>``; of spoilt ones severity."""
        return _as_frame(self._read_table("quality", cell_id))

    def pooled_items(self, cell_ids: Sequence[str]) -> tuple[pd.DataFrame, list[int]]:
        """Faces of several scored cells, one below the other, and how many there are of each; at least one cell."""
        import pandas as pd
        from pyarrow import concat_tables

        tables = [self._read_table("quality", cell_id) for cell_id in cell_ids]
        sizes = [len(table) for table in tables]
        # Joined before they become frames, which takes longer than reading them. Tables of other columns, or types, as
        # where nobody of a fold has a subject, are joined by pandas, which knows what they have in common.
        if all(table.schema.equals(tables[0].schema) for table in tables[1:]):
            return _as_frame(concat_tables(tables)), sizes
        return pd.concat([_as_frame(table) for table in tables], ignore_index=True), sizes

    def times(self, cell_id: str) -> pd.DataFrame:
        """Frames of a latency cell, nanoseconds per stage."""
        return _as_frame(self._read_table("latency", cell_id))

    def _read_table(self, kind: str, cell_id: str) -> Table:
        from pyarrow import ArrowException, BufferReader
        from pyarrow.parquet import ParquetFile

        path = self._table_path(kind, cell_id)
        if not path.is_file():
            raise RunError(f"cell {cell_id} has no {_TABLES[kind]}", expected=path, fix="run the suite again")
        # pandas.read_parquet takes three times as long for a small table, and a run has thousands of them.
        try:
            table: Table = ParquetFile(BufferReader(path.read_bytes())).read(use_threads=False)
        except (ArrowException, OSError) as error:
            raise RunError(
                f"cannot read a table of cell {cell_id}, {path}",
                got=str(error).partition("\n")[0],
                fix="run its suite again: what is damaged is done again",
            ) from error
        return table

    def search_path(self, cell: Cell) -> Path:
        """File in which a fit cell keeps the scores of its search while it goes on."""
        return self.folder / "searches" / f"{cell.id}.json"

    def artefact(self, cell: Cell) -> Path:
        """Folder of the saved pipeline that a cell makes or uses; one that came trained is kept under its content."""
        made = cell.options.get("fit") or cell.options.get("saved")
        return self.folder / "artefacts" / (cell.id if cell.kind == "fit" else str(made))

    def save_artefact(self, cell: Cell, save: Callable[[Path], object]) -> Path:
        """Let ``save`` write a pipeline's folder, which then appears whole."""
        target = self.artefact(cell)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.parent.mkdir(parents=True, exist_ok=True)
        try:
            save(temporary)
            shutil.rmtree(target, ignore_errors=True)
            temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return target

    def read_json(self, name: str) -> Any:
        """One of the frozen inputs: ``plan.json``, ``environment.json``.

        Raises
        ------
        RunError
            If it is missing or not JSON.
        """
        path = self.folder / name
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {path}", got=str(error), fix="start a new run with --new") from error

    def environments(self) -> dict[str, dict[str, Any]]:
        """Of a merged run the environment of each run in it, by the run's id; empty otherwise."""
        if not (self.folder / "environments.json").is_file():
            return {}
        kept: dict[str, dict[str, Any]] = self.read_json("environments.json")
        return kept

    def summary(self) -> Summary:
        """The stored summary.

        Raises
        ------
        RunError
            If it was not built yet, cannot be read, or has another schema version.
        """
        return read_summary(self.folder / "summary.json")


def _as_frame(table: Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(use_threads=False)
    return frame


def _stamp() -> str:
    """The time in UTC to the millisecond, in a form that sorts as a name: ``20261120T101500.250Z``."""
    now = time.time_ns() // 1_000_000
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 1000)) + f".{now % 1000:03d}Z"
