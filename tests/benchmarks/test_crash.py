"""A run that is killed, finds its disk full or read-only, or its files damaged: it goes on, and ends the same."""

import errno
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferbench.benchmarks.runner import Outcome, RunOptions, make_plan, open_run, run_plan
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.benchmarks.threads import thread_environment
from ferbench.errors import RunError, StorageError
from tests.benchmarks.test_workers import assert_same_scores

SUITE = """\
schema: 1
name: crash
seed: 3
datasets:
  - {name: "synthetic(kind=crops, n_train=63, n_val=0, n_test=0)", protocol: subject-kfold, folds: 3}
pipelines:
  - {id: majority, classifier: majority}
  - {id: nearest, features: pixels, classifier: knn}
  - {id: texture, features: lbp(grid=2), classifier: linear-svm}
scenarios: []
profiles: {only: {rounds: 1}}
"""
N_CELLS = 18
N_KILLS = 20
N_WITH_WORKERS = 3  # of them runs with two worker processes, which take a second to start

# A process that does one run itself, after which all is imported, and then forks one for each line that it reads:
# "folder jobs largest-file". Imports would take most of the time otherwise, and most of the kills.
PARENT = """\
import os, resource, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.benchmarks.test_crash import run
from ferbench.errors import FerbenchError

run(Path({first!r}))
print(0, flush=True)
for line in sys.stdin:
    folder, jobs, largest = line.split("\\t")
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            if int(largest) >= 0:
                resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), int(largest)))
            run(Path(folder), jobs=int(jobs))
            code = 0
        except FerbenchError as error:
            print("error:", error, flush=True)
            code = error.exit_code
        finally:
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def run(folder: Path, **options: Any) -> Outcome:
    plan, chosen = make_plan(parse_suite(SUITE), None), RunOptions(runs=folder, **options)
    return run_plan(plan, open_run(plan, chosen, SUITE), chosen, "ferbench run crash")


class Runs:
    """Starts runs, each in a process group of its own."""

    def __init__(self, first: Path) -> None:
        self.first = first
        code = PARENT.format(root=str(Path(__file__).resolve().parents[2]), first=str(first))
        with (first / "stderr.txt").open("w") as stderr:
            self.parent = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=os.environ | thread_environment(1),  # a pool of threads does not survive a fork
            )
        assert self.wait() == (0, "")

    def start(self, folder: Path, jobs: int, largest: int = -1) -> int:
        assert self.parent.stdin is not None
        self.parent.stdin.write(f"{folder}\t{jobs}\t{largest}\n")
        self.parent.stdin.flush()
        return int(self._read())

    def wait(self) -> tuple[int, str]:
        """Exit code, and what was printed."""
        said = []
        while not (line := self._read()).lstrip("-").isdigit():
            said.append(line)
        return int(line), "\n".join(said)

    def do(self, folder: Path, jobs: int, largest: int = -1) -> tuple[int, str]:
        self.start(folder, jobs, largest)
        return self.wait()

    def _read(self) -> str:
        assert self.parent.stdout is not None
        line = self.parent.stdout.readline()
        assert line, "the parent of the runs ended"
        return line.strip()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = Runs(tmp_path_factory.mktemp("undisturbed"))
        yield made
        made.parent.kill()
        made.parent.communicate()


@pytest.fixture(scope="module")
def undisturbed(runs: Runs) -> Run:
    return Run.open(runs.first / "latest")


def assert_same_tables(one: Run, other: Run) -> None:
    """Everything but times."""
    assert {i: part.status for i, part in one.parts().items()} == {i: p.status for i, p in other.parts().items()}
    assert one.notes == other.notes == []
    assert_same_scores(one, other)
    mine, theirs = one.summary(), other.summary()
    for name in ("comparisons", "datasets", "across", "n_cells", "n_failed", "n_skipped", "checks"):
        assert getattr(mine, name) == getattr(theirs, name), name
    timed = {"fit_seconds", "latency"}
    assert [row.model_dump(exclude=timed) for row in mine.rows] == [
        row.model_dump(exclude=timed) for row in theirs.rows
    ]


def group_of(process: int) -> set[int]:
    """Who is left of a process group."""
    left = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(group) == process and state != "Z":
            left.add(int(stat.parent.name))
    return left


def kill_group(process: int) -> None:
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:  # before it had a group of its own
        os.kill(process, signal.SIGKILL)


def n_parts(folder: Path) -> int:
    return len(list(folder.glob("*_crash_*/parts/*.json")))


def wait_for(parts: int, folder: Path, process: int) -> None:
    while n_parts(folder) < parts and Path(f"/proc/{process}").exists():
        time.sleep(0.001)


def test_a_run_killed_at_twenty_moments_ends_as_if_nothing_had_been(
    runs: Runs, undisturbed: Run, tmp_path: Path
) -> None:
    """At any time from its start to its end, and shortly after some of its cells."""
    generator = random.Random(20261121)
    seconds = {}
    for jobs in (1, 2):
        clock = time.monotonic()
        assert runs.do(tmp_path / f"jobs-{jobs}", jobs) == (0, "")
        seconds[jobs] = time.monotonic() - clock
        assert_same_tables(Run.open(tmp_path / f"jobs-{jobs}" / "latest"), undisturbed)
    n_kills, n_ended, moments = 0, 0, set()
    folder = tmp_path / "0"
    with_workers = set(generator.sample(range(N_KILLS), N_WITH_WORKERS))
    while n_kills < N_KILLS:
        jobs = 2 if n_kills in with_workers else 1
        before = n_parts(folder)
        process = runs.start(folder, jobs)
        if n_kills % 2:
            time.sleep(generator.uniform(0, seconds[jobs]))
        else:
            wait_for(min(before + generator.randint(1, 6), N_CELLS), folder, process)
            time.sleep(generator.uniform(0, 0.03))
        if Path(f"/proc/{process}").exists():  # otherwise it has ended by itself
            kill_group(process)
        code, said = runs.wait()
        assert (code, said) in ((0, ""), (-signal.SIGKILL, "")), said
        if code == 0:
            assert_same_tables(Run.open(folder / "latest"), undisturbed)
            n_ended += 1
            folder = tmp_path / str(n_ended)
            continue
        deadline = time.monotonic() + 10
        while group_of(process) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not group_of(process)
        n_kills += 1
        parts = list(folder.glob("*_crash_*/parts/*.json"))
        moments.add(len(parts))
        assert all(json.loads(part.read_bytes())["checksum"] for part in parts)  # never half a file
    assert runs.do(folder, 1) == (0, "")
    assert_same_tables(Run.open(folder / "latest"), undisturbed)
    assert len(list(folder.glob("*_crash_*/plan.json"))) == 1
    assert len(moments) >= 5, moments


@pytest.mark.parametrize(("largest", "jobs"), [(0, 1), (2_000, 1), (2_000, 2), (6_000, 1)])
def test_a_full_disk_is_one_message_and_room_lets_the_run_end_the_same(
    runs: Runs, undisturbed: Run, tmp_path: Path, largest: int, jobs: int
) -> None:
    """Files cannot grow beyond a size, of which a disk's last kilobytes are the like: plan, tables and models do."""
    if largest:
        process = runs.start(tmp_path, 1)  # a plan that is there already
        while not list(tmp_path.glob("*/plan.json")):
            time.sleep(0.002)
        kill_group(process)
        runs.wait()
    code, said = runs.do(tmp_path, jobs, largest)
    assert code == 2
    assert said.startswith("error: cannot write")
    assert "File too large" in said
    assert said.count("\n") == 0
    assert runs.do(tmp_path, 1) == (0, "")
    assert_same_tables(Run.open(tmp_path / "latest"), undisturbed)


# In this process -----------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the finished run, in a folder of its own."""
    import shutil

    runs_ = tmp_path / "runs"
    shutil.copytree(undisturbed.folder.parent, runs_, symlinks=True)
    monkeypatch.setenv("FERBENCH_CACHE", str(tmp_path / "cache"))
    return Run.open(runs_ / "latest")


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a folder answer as if its disk were mounted read-only, which would take rights that tests may not have."""

    def close(folder: Path) -> None:
        def guard(module: Any, name: str, writes: Callable[..., bool]) -> None:
            real = getattr(module, name)

            def call(path: Any, *arguments: Any, **more: Any) -> Any:
                is_inside = isinstance(path, str | Path) and str(path).startswith(str(folder))
                if is_inside and writes(*arguments, **more):
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
                return real(path, *arguments, **more)

            monkeypatch.setattr(module, name, call)

        guard(io, "open", lambda mode="r", *_, **__: mode.strip("bt") != "r")
        guard(os, "open", lambda flags, *_, **__: bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)))
        for name in ("mkdir", "replace", "rename", "rmdir", "symlink", "unlink"):
            guard(os, name, lambda *_, **__: True)

    return close


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_answers_from_a_read_only_folder(whole: Run, read_only: Callable[[Path], None]) -> None:
    before = content(whole.folder.parent)
    read_only(whole.folder.parent)
    outcome = run(whole.folder.parent)
    assert (outcome.n_done, outcome.summary) == (0, whole.summary())
    assert content(whole.folder.parent) == before


def test_an_unfinished_run_in_a_read_only_folder_says_so(whole: Run, read_only: Callable[[Path], None]) -> None:
    next((whole.folder / "parts").glob("*.json")).unlink()
    before = content(whole.folder)
    read_only(whole.folder.parent)
    with pytest.raises(StorageError, match=r"cannot write to .*Read-only file system.*what was done is kept"):
        run(whole.folder.parent)
    assert content(whole.folder) == before


def test_no_run_can_begin_in_a_read_only_folder(tmp_path: Path, read_only: Callable[[Path], None]) -> None:
    read_only(tmp_path)
    with pytest.raises(StorageError, match=r"cannot write .*Read-only file system"):
        run(tmp_path / "runs")


def test_a_second_run_in_one_folder_is_told_who_works_there(whole: Run) -> None:
    next((whole.folder / "parts").glob("*.json")).unlink()
    before = content(whole.folder / "parts")
    code = (
        f"from ferbench.benchmarks.disk import held\nfrom pathlib import Path\nwith held(Path({str(whole.folder)!r})):"
    )
    code += "\n    print('held', flush=True)\n    input()"
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=rf"is in use: got process {other.pid} on .*wait for it") as error:
            run(whole.folder.parent)
        assert "\n" not in str(error.value)
        assert content(whole.folder / "parts") == before
    finally:
        other.kill()
        other.communicate()
    assert run(whole.folder.parent).n_done == 1


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :]


@pytest.mark.parametrize("damage", [truncated, flipped, lambda data: b""], ids=["truncated", "bits flipped", "emptied"])
def test_damaged_files_of_every_kind_are_made_again_and_the_tables_are_the_same(
    whole: Run, undisturbed: Run, damage: Callable[[bytes], bytes]
) -> None:
    items = sorted((whole.folder / "items").iterdir())[0]
    part = next(path for path in sorted((whole.folder / "parts").iterdir()) if path.stem != items.stem)
    names = ("suite.yaml", "plan.json", "environment.json", "summary.json", "results.parquet", ".derived")
    victims = [items, part, *(whole.folder / name for name in names)]
    good = {path: path.read_bytes() for path in victims}
    for path, data in good.items():
        bad = damage(data)
        # A bit may flip where JSON or YAML do not mind: here it is one that they do.
        path.write_bytes(b"\xff" + bad if damage is flipped and path.suffix in (".json", ".yaml") else bad)
    outcome = run(whole.folder.parent)
    assert (outcome.run.folder, outcome.n_done) == (whole.folder, 2)
    assert sum("damaged" in note for note in outcome.run.notes) >= 2
    assert_same_tables(Run.open(whole.folder), undisturbed)
    for name in ("suite.yaml", "plan.json", "results.parquet"):
        assert (whole.folder / name).read_bytes() == good[whole.folder / name], name
    assert run(whole.folder.parent).n_done == 0


@pytest.mark.parametrize("name", ["summary.json", "results.parquet", ".derived"])
def test_what_is_derived_is_made_again_alone(whole: Run, undisturbed: Run, name: str) -> None:
    path = whole.folder / name
    path.write_bytes(truncated(path.read_bytes()))
    assert run(whole.folder.parent).n_done == 0
    assert_same_tables(Run.open(whole.folder), undisturbed)


@pytest.mark.parametrize(("name", "damage"), [("model.skops", flipped), ("pipeline.json", truncated)])
def test_a_damaged_model_is_fitted_again_with_what_was_scored_by_it(
    whole: Run, undisturbed: Run, name: str, damage: Callable[[bytes], bytes]
) -> None:
    parts = whole.parts()
    made = next(i for i, part in parts.items() if part.cell.kind == "fit" and part.cell.row == "nearest")
    path = whole.folder / "artefacts" / made / name
    path.write_bytes(damage(path.read_bytes()))
    # As long as nothing needs it, a finished run stays as it is.
    assert run(whole.folder.parent).n_done == 0
    scored = next(i for i, part in parts.items() if part.cell.options.get("fit") == made)
    (whole.folder / "parts" / f"{scored}.json").unlink()
    outcome = run(whole.folder.parent)
    assert outcome.n_done == 2
    assert any("damaged pipeline of nearest, which is fitted again" in note for note in outcome.run.notes)
    assert_same_tables(Run.open(whole.folder), undisturbed)


def test_a_cut_off_array_in_the_cache_is_computed_again(undisturbed: Run, tmp_path: Path, monkeypatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("FERBENCH_CACHE", str(cache))
    run(tmp_path / "first")
    arrays = sorted(cache.glob("features/*.npy"))
    assert arrays
    good = [np.load(path) for path in arrays]
    for path in arrays:
        path.write_bytes(truncated(path.read_bytes()))
    arrays[0].write_bytes(b"")
    again = run(tmp_path / "second", new=True).run
    for path, array in zip(arrays, good, strict=True):
        np.testing.assert_array_equal(np.load(path), array)
    assert_same_tables(again, undisturbed)
