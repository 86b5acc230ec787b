"""The store: whole files or none, damage found, one writer at a time."""

import json
import multiprocessing
import os
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferbench.benchmarks.cells import Cell, CellError, Part, PipelineSpec, digest
from ferbench.benchmarks.facts import DatasetFacts, SplitFacts
from ferbench.benchmarks.plan import Plan, expand
from ferbench.benchmarks.records import Summary
from ferbench.benchmarks.runner import RunOptions, run_plan
from ferbench.benchmarks.store import Run, write_atomically
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.errors import RunError


def a_part(number: int = 0, kind: str = "quality", status: str = "ok", **extra) -> Part:
    cell = Cell(
        kind=kind,
        row=f"row-{number}",
        pipeline=PipelineSpec(classifier="majority"),
        dataset="synthetic",
        revision="abc",
        train_split="train",
        eval_split="test",
        seed=number,
        options={} if kind == "fit" else {"fit": "f"},
    )
    return Part(cell=cell, status=status, started="2026-11-20T00:00:00Z", seconds=1.5, metrics={"n": number}, **extra)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "runs", "small", "0123abcd", {"plan.json": b"{}"})


ITEMS = pd.DataFrame({"id": ["a", "b"], "truth": ["happy", "sad"], "p_happy": [0.25, 1.0]})


def test_a_part_comes_back_with_its_table(run: Run) -> None:
    part = a_part()
    run.write_part(part, ITEMS)
    assert Run.open(run.folder).parts() == {part.cell.id: part}
    pd.testing.assert_frame_equal(run.items(part.cell.id), ITEMS)


def test_a_failure_is_a_part_and_a_text_that_goes_away_with_success(run: Run) -> None:
    failed = a_part(status="failed", error=CellError(type="ValueError", message="singular"))
    run.write_part(failed)
    text = run.folder / "failures" / f"{failed.cell.id}.txt"
    assert "ValueError: singular" in text.read_text()
    run.write_part(a_part())
    assert not text.exists()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_damage_to_a_part_or_its_table_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    run = Run(tmp_path_factory.mktemp("run"))
    good, bad = a_part(1), a_part(2)
    run.write_part(good, ITEMS)
    run.write_part(bad, ITEMS)
    victim = run.folder / data.draw(st.sampled_from([f"parts/{bad.cell.id}.json", f"items/{bad.cell.id}.parquet"]))
    content = bytearray(victim.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
    victim.write_bytes(content)
    said = None
    with suppress(ValueError):
        said = json.loads(content) if victim.suffix == ".json" else None
    # Blanks between JSON tokens carry nothing: a part that still says the same is not damaged.
    harmless = said is not None and said == json.loads(_as_stored(run, bad))
    if said is not None and said.get("part", {}).get("schema_version") in range(2, 10):
        # One byte can make it a part of a later version, and then it must stay.
        with pytest.raises(RunError, match="newer ferbench"):
            run.parts()
        assert victim.is_file()
        return
    found = run.parts()
    assert found == ({good.cell.id: good} if not harmless else {good.cell.id: good, bad.cell.id: bad})
    assert bool(run.notes) is not harmless


def _as_stored(run: Run, part: Part) -> bytes:
    copy = Run(run.folder.with_name(run.folder.name + "-copy"))
    copy.write_part(part, ITEMS)
    return (copy.folder / "parts" / f"{part.cell.id}.json").read_bytes()


def test_a_part_of_a_newer_version_is_refused_and_stays(run: Run) -> None:
    part = a_part()
    run.write_part(part.model_copy(update={"schema_version": 7}))
    for repair in (True, False):
        with pytest.raises(RunError, match=r"newer ferbench: got schema version 7, expected 1") as caught:
            run.parts(repair=repair)
        assert "\n" not in str(caught.value)
    assert (run.folder / "parts" / f"{part.cell.id}.json").is_file()
    assert run.notes == []


def test_a_damaged_part_says_what_is_wrong_with_it(run: Run) -> None:
    part = a_part()
    run.write_part(part)
    path = run.folder / "parts" / f"{part.cell.id}.json"
    body = json.loads(path.read_bytes())
    del body["checksum"]
    body["part"]["status"] = "done"
    path.write_text(json.dumps({"checksum": digest(body), **body}))
    assert run.parts() == {}
    assert "status: Input should be 'ok', 'failed' or 'skipped'" in run.notes[0]


@pytest.mark.parametrize("content", [b"garbage", b""])
def test_a_damaged_table_is_one_line(run: Run, content: bytes) -> None:
    part = a_part()
    run.write_part(part, ITEMS)
    path = run.folder / "items" / f"{part.cell.id}.parquet"
    path.write_bytes(content)
    with pytest.raises(RunError, match=f"cannot read a table of cell {part.cell.id}") as caught:
        run.items(part.cell.id)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "another schema version: got 99, written by ferbench 0.1, expected 1; read it with"),
        ({"schema_version": 99, "later": []}, "another schema version: got 99, written by ferbench 0.1, expected 1"),
        ({"later": []}, "got later: Extra inputs are not permitted; delete it and run its suite again"),
        ({"seed": "x", "rows": 3}, "got seed: Input should be a valid integer.* \\(and 1 more problem\\); delete"),
    ],
)
def test_a_summary_that_cannot_be_read_says_why(run: Run, change: dict[str, object], message: str) -> None:
    summary = Summary(
        run_id="r",
        suite="s",
        profile=None,
        created="2026-11-20T00:00:00Z",
        command="ferbench run",
        ferbench_version="0.1",
        seed=0,
        environment={},
        datasets=[],
        rows=[],
        comparisons=[],
        n_cells=0,
        n_failed=0,
        n_skipped=0,
    )
    path = run.folder / "summary.json"
    path.write_text(json.dumps(summary.model_dump(mode="json") | change))
    with pytest.raises(RunError, match=message) as caught:
        run.summary()
    assert "\n" not in str(caught.value)


def test_a_summary_that_is_no_json_is_one_line(run: Run) -> None:
    (run.folder / "summary.json").write_bytes(b'{"run_id": ')
    with pytest.raises(RunError, match=r"cannot read .*summary\.json: got Invalid JSON"):
        run.summary()


def test_a_part_under_another_cells_name_is_damage(run: Run) -> None:
    one, other = a_part(1), a_part(2)
    run.write_part(one)
    path = run.folder / "parts" / f"{one.cell.id}.json"
    path.rename(path.with_name(f"{other.cell.id}.json"))
    assert run.parts() == {}
    assert "belongs to another cell" in run.notes[0]


def test_a_fit_without_its_saved_pipeline_is_done_again(run: Run) -> None:
    part = a_part(kind="fit")
    run.save_artefact(part.cell, lambda folder: (folder.mkdir(), (folder / "pipeline.json").write_text("{}")))
    run.write_part(part)
    assert part.cell.id in run.parts()
    for file in run.artefact(part.cell).iterdir():
        file.unlink()
    run.artefact(part.cell).rmdir()
    assert run.parts() == {}


def test_a_write_that_fails_leaves_the_old_file_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "part.json"
    write_atomically(path, b"old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(RunError, match="No space left on device"):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"


def test_latest_points_to_the_run_and_moves(run: Run) -> None:
    run.mark_latest()
    other = Run.create(run.folder.parent, "small", "ffff0000", {"plan.json": b"{}"})
    other.mark_latest()
    assert Run.open(run.folder.parent / "latest").folder == other.folder.resolve()


def test_a_folder_in_the_place_of_latest_is_left_alone(run: Run) -> None:
    kept = run.folder.parent / "latest" / "precious"
    kept.mkdir(parents=True)
    run.mark_latest()
    assert kept.is_dir()
    assert not list(run.folder.parent.glob(".latest*"))


def test_the_newest_run_of_a_key_is_found_and_only_if_whole(run: Run) -> None:
    runs = run.folder.parent
    second = Run.create(runs, "small", "0123abcd", {"plan.json": b"{}"})
    assert second.folder != run.folder
    Run.create(runs, "small", "0123abcd", {"suite.yaml": b""})  # killed before the plan was written
    assert Run.find(runs, "0123abcd") == second
    assert Run.find(runs, "99999999") is None


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run in"):
        Run.open(tmp_path)


def _try_to_lock(folder: Path, answer) -> None:
    try:
        with Run(folder).locked():
            answer.put("entered")
    except RunError as error:
        answer.put(str(error))


def test_a_second_process_is_told_who_holds_the_run(run: Run) -> None:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    with run.locked():
        process = context.Process(target=_try_to_lock, args=(run.folder, answer))
        process.start()
        message = answer.get(timeout=60)
        process.join()
    assert "is in use" in message
    assert f"process {os.getpid()}" in message
    with run.locked():  # and it is free again
        pass


def a_plan() -> Plan:
    """Of a fit and a quality cell."""
    text = (
        "schema: 1\nname: tiny\ndatasets: [{name: fer2013}]\npipelines: [{id: a, classifier: majority}]\nscenarios: []"
    )
    splits = {name: SplitFacts(n=9, n_subjects=None, class_counts={"happy": 9}) for name in ("train", "test")}
    facts = DatasetFacts(
        spec="fer2013", title="F", kind="crops", is_synthetic=False, revision="0", licence="", labels=["happy"],
        splits=splits,
    )  # fmt: skip
    return expand(parse_suite(text), None, {"fer2013": facts}, machine="m")


def test_a_command_that_finds_the_folder_in_use_takes_nothing_away(tmp_path: Path) -> None:
    plan = a_plan()
    run = Run.create(tmp_path / "runs", "tiny", "0123abcd", {"plan.json": b"{}"})
    part = run.folder / "parts" / f"{plan.cells[0].id}.json"
    write_atomically(part, b"half of it, as another process sees what is being replaced")
    with run.locked(), pytest.raises(RunError, match="in use"):
        run_plan(plan, Run.open(run.folder), RunOptions(), "ferbench run tiny")
    assert part.is_file()


def test_the_stamp_changes_with_any_part(run: Run) -> None:
    empty = run.stamp()
    run.write_part(a_part(1))
    one = run.stamp()
    run.write_part(a_part(1, status="failed", error=CellError(type="E", message="m")))
    assert len({empty, one, run.stamp()}) == 3


def test_a_finished_run_whose_summary_a_newer_version_wrote_stays_as_it_is(tmp_path: Path) -> None:
    plan, run = a_plan(), Run.create(tmp_path / "runs", "tiny", "0123abcd", {"plan.json": b"{}"})
    for cell in plan.cells:
        if cell.kind == "fit":
            run.save_artefact(cell, lambda folder: folder.mkdir())
        part = Part(cell=cell, status="ok", started="2026-11-20T00:00:00Z", seconds=1, metrics={})
        run.write_part(part, None if cell.kind == "fit" else ITEMS)
    write_atomically(run.folder / "results.parquet", b"")
    write_atomically(run.folder / ".derived", run.stamp().encode())
    newer = b'{"schema_version": 99, "ferbench_version": "9.0"}'
    write_atomically(run.folder / "summary.json", newer)
    with pytest.raises(RunError, match=r"another schema version: got 99, written by ferbench 9\.0"):
        run_plan(plan, Run.open(run.folder), RunOptions(), "ferbench run tiny")
    assert (run.folder / "summary.json").read_bytes() == newer
