"""Runs from several machines as one: what must agree does, what was timed stays apart, nothing else is merged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferbench.benchmarks.cells import Cell, CellError, Part
from ferbench.benchmarks.facts import DatasetFacts, SplitFacts
from ferbench.benchmarks.merge import MAX_DIFFERENCE, merge_runs
from ferbench.benchmarks.plan import expand
from ferbench.benchmarks.plan_file import plan_record, read_plan
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.cli import main
from ferbench.errors import ParameterError, RunError

SUITE = """\
schema: 1
name: both
datasets: [{name: "synthetic(kind=crops, n_train=7, n_val=0, n_test=7)"}]
pipelines:
  - {id: majority, classifier: majority}
  - {id: nearest, features: pixels, classifier: knn}
profiles: {quick: {rounds: 2}}
"""
LABELS = ("happy", "sad")
N = 40
A = "a" * 16  # a revision of the data


def facts(revision: str) -> DatasetFacts:
    split = SplitFacts(n=N, n_subjects=None, class_counts=dict.fromkeys(LABELS, N // 2))
    return DatasetFacts(
        spec="synthetic(kind=crops, n_test=7, n_train=7, n_val=0)",
        title="Two expressions",
        kind="crops",
        is_synthetic=True,
        revision=revision,
        licence="none",
        labels=list(LABELS),
        splits={"train": split, "test": split},
    )


def items() -> pd.DataFrame:
    happy = np.linspace(0.1, 0.9, N).astype(np.float32)
    return pd.DataFrame(
        {
            "id": [f"f{i}" for i in range(N)],
            "subject": np.full(N, None),
            "truth": np.array(LABELS, object)[np.arange(N) % 2],
            "predicted": np.where(happy > 0.5, "happy", "sad").astype(object),
            "detected": True,
            "p_happy": happy,
            "p_sad": 1 - happy,
        }
    )


def timed(ms: float) -> tuple[dict[str, object], pd.DataFrame]:
    metrics = {"scenario": "single-stream", "device": "cpu", "threads": 1, "frames": "crops", "n_frames": 8}
    metrics |= dict.fromkeys(("import_s", "load_s", "first_call_ms", "peak_rss_mib"), 1.0)
    metrics |= {"n_distinct_frames": 8, "artefact_bytes": 10, "effective_threads": {}, "n_calls": 8, "warmup": 1}
    ns = np.full(8, int(ms * 1e6))
    return metrics, pd.DataFrame({"frame": range(8), "n_faces": 1, "classify_ns": ns, "total_ns": ns, "n_frames": 1})


def a_run(
    runs: Path,
    machine: str,
    ms: float,
    *,
    suite: str = SUITE,
    revision: str = "a" * 16,
    table: pd.DataFrame | None = None,
) -> Run:
    """A finished run of the suite on a machine where every frame takes ``ms``."""
    facts_here = facts(revision)
    plan = expand(parse_suite(suite), None, {facts_here.spec: facts_here}, machine=machine)
    environment = {"fingerprint": machine, "cpu": {"model": f"CPU of {machine}"}, "packages": {"numpy": "2.0"}}
    frozen = {"suite.yaml": suite.encode(), "environment.json": json.dumps(environment).encode()}
    run = Run.create(runs, "both", plan.digest, {**frozen, "plan.json": json.dumps(plan_record(plan)).encode()})
    for cell in plan.cells:
        write(run, cell, ms, items() if table is None else table)
    return run


def write(run: Run, cell: Cell, ms: float, scores: pd.DataFrame, *, error: str | None = None) -> None:
    told = {"started": f"2026-11-20T00:00:{ms:02.0f}Z", "seconds": ms}
    if error is not None:
        run.write_part(Part(cell=cell, status="failed", error=CellError(type="E", message=error), **told))
    elif cell.kind == "fit":
        run.save_artefact(cell, lambda folder: (folder.mkdir(), (folder / "pipeline.json").write_text("{}")))
        run.write_part(Part(cell=cell, status="ok", metrics={"n_train": N, "fit_seconds": ms}, **told))
    elif cell.kind == "quality":
        metrics = {"n": N, "n_detected": N, "detector_bypassed": True}
        run.write_part(Part(cell=cell, status="ok", metrics=metrics, **told), scores)
    else:
        metrics, times = timed(ms)
        run.write_part(Part(cell=cell, status="ok", metrics=metrics, **told), times)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_scores_are_shared_and_timings_stay_with_their_machine(tmp_path: Path) -> None:
    a, b = a_run(tmp_path, "aaaa", 2), a_run(tmp_path, "bbbb", 5)
    before = content(a.folder), content(b.folder)
    merged = merge_runs([a.folder, b.folder], tmp_path / "both", "ferbench merge")
    assert (content(a.folder), content(b.folder)) == before
    summary = merged.summary
    assert merged.notes == ()
    assert [row.row for row in summary.rows] == ["majority", "nearest"]
    for row in summary.rows:
        assert {one.machine: one.stages["total"].p50 for one in row.latency} == {"aaaa": 2.0, "bbbb": 5.0}
        assert [one.stages["total"].n for one in row.latency] == [16, 16]
        assert row.fit_seconds == 2  # of the first run: a mean of two machines would be of none
    assert {env["fingerprint"] for env in summary.environments.values()} == {"aaaa", "bbbb"}
    # Two fits, two scores, and two rows of two rounds on each of two machines.
    assert len(merged.run.parts()) == summary.n_cells == 2 + 2 + 2 * 2 * 2
    assert merged.run.notes == []
    assert Run.open(tmp_path / "both").summary() == summary
    (differ,) = next(check for check in summary.checks if check.code == "FB016").findings
    assert "Latencies of 2 machines" in differ.text
    assert "CPU of aaaa and CPU of bbbb" in differ.text
    assert read_plan(merged.run).machines == ("aaaa", "bbbb")


def test_a_merged_run_merges_on(tmp_path: Path) -> None:
    runs = [a_run(tmp_path, name, ms) for name, ms in (("aaaa", 2), ("bbbb", 5), ("cccc", 7))]
    merge_runs([runs[0].folder, runs[1].folder], tmp_path / "two", "")
    three = merge_runs([tmp_path / "two", runs[2].folder], tmp_path / "three", "").summary
    assert {one.machine for one in three.rows[0].latency} == {"aaaa", "bbbb", "cccc"}
    assert {env["fingerprint"] for env in three.environments.values()} == {"aaaa", "bbbb", "cccc"}


def test_what_one_run_failed_at_is_taken_from_the_other(tmp_path: Path) -> None:
    a, b = a_run(tmp_path, "aaaa", 2), a_run(tmp_path, "bbbb", 5)
    cell = next(c for c in read_plan(a).cells if c.kind == "quality")
    write(a, cell, 2, items(), error="out of memory")
    summary = merge_runs([a.folder, b.folder], tmp_path / "both", "").summary
    assert {row.status for row in summary.rows} == {"ok"}
    assert summary.n_failed == 0


def test_scores_that_differ_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    other = items()
    other.loc[[3, 4], "predicted"] = "happy"
    a, b = a_run(tmp_path, "aaaa", 2), a_run(tmp_path, "bbbb", 5, table=other)
    with pytest.raises(RunError, match=r"2 scores of the same cell differ.*majority on .*2 of 40 faces.*nearest on"):
        merge_runs([a.folder, b.folder], tmp_path / "both", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([a.id, b.id])


@pytest.mark.parametrize(("lead", "is_same"), [(1.5 * MAX_DIFFERENCE, True), (3 * MAX_DIFFERENCE, False)])
def test_labels_that_are_as_probable_may_change_places(tmp_path: Path, lead: float, is_same: bool) -> None:
    one, other = items(), items()
    for table, label in ((one, "sad"), (other, "happy")):
        table.loc[3, ["predicted", "p_sad", "p_happy"]] = [label, np.float32(0.4 + lead), np.float32(0.4)]
    a, b = a_run(tmp_path, "aaaa", 2, table=one), a_run(tmp_path, "bbbb", 5, table=other)
    if is_same:
        merge_runs([a.folder, b.folder], tmp_path / "both", "")
        return
    with pytest.raises(RunError, match=r"1 of 40 faces predicted otherwise"):
        merge_runs([a.folder, b.folder], tmp_path / "both", "")


@pytest.mark.parametrize(("shift", "is_same"), [(0.5 * MAX_DIFFERENCE, True), (2 * MAX_DIFFERENCE, False)])
def test_probabilities_may_differ_by_rounding_only(tmp_path: Path, shift: float, is_same: bool) -> None:
    other = items()
    other["p_happy"] += np.float32(shift)
    a, b = a_run(tmp_path, "aaaa", 2), a_run(tmp_path, "bbbb", 5, table=other)
    if is_same:
        merge_runs([a.folder, b.folder], tmp_path / "both", "")
        return
    with pytest.raises(RunError, match=r"probabilities differ by 0\.0002"):
        merge_runs([a.folder, b.folder], tmp_path / "both", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"suite": SUITE.replace("classifier: knn", "classifier: linear-svm")},
            "different suite.*'linear-svm', not 'knn'",
        ),
        ({"suite": SUITE.replace("rounds: 2", "rounds: 3")}, "different suite.*rounds: 3, not 2"),
        ({"revision": "b" * 16}, "other data.*revision of synthetic.*'bbbbbbbbbbbbbbbb', not 'aaaaaaaaaaaaaaaa'"),
    ],
)
def test_other_suites_and_other_data_are_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    a, b = a_run(tmp_path, "aaaa", 2), a_run(tmp_path, "bbbb", 5, **change)
    with pytest.raises(RunError, match=message):
        merge_runs([a.folder, b.folder], tmp_path / "both", "")


def test_a_time_limit_or_a_comment_makes_no_other_suite(tmp_path: Path) -> None:
    slower = "# on the old machine\n" + SUITE.replace("rounds: 2", "rounds: 2, cell_seconds: 900")
    a, b = a_run(tmp_path, "aaaa", 2), a_run(tmp_path, "bbbb", 5, suite=slower)
    assert len(merge_runs([a.folder, b.folder], tmp_path / "both", "").summary.rows) == 2


def test_what_was_timed_twice_on_one_kind_of_machine_is_not_averaged(tmp_path: Path) -> None:
    a, b = a_run(tmp_path, "aaaa", 2), a_run(tmp_path, "aaaa", 5)
    merged = merge_runs([a.folder, b.folder], tmp_path / "both", "")
    assert [one.stages["total"].p50 for one in merged.summary.rows[0].latency] == [2.0]
    assert f"4 timings were made by {a.id} and again by {b.id}" in merged.notes[0]
    # A copy of a run is the same run.
    copy = shutil.copytree(a.folder, tmp_path / "copy")
    assert merge_runs([a.folder, copy], tmp_path / "same", "").notes == ()


def test_a_damaged_part_is_left_out_said_and_not_touched(tmp_path: Path) -> None:
    a, b = a_run(tmp_path, "aaaa", 2), a_run(tmp_path, "bbbb", 5)
    victim = next((b.folder / "times").iterdir())
    victim.write_bytes(victim.read_bytes()[:50])
    merged = merge_runs([a.folder, b.folder], tmp_path / "both", "")
    assert any("damaged part" in note and "left out" in note for note in merged.notes)
    assert (b.folder / "parts" / f"{victim.stem}.json").is_file()


def test_wrong_arguments_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = a_run(tmp_path, "aaaa", 2), a_run(tmp_path, "bbbb", 5)
    with pytest.raises(ParameterError, match="two different ones"):
        merge_runs([a.folder, a.folder], tmp_path / "both", "")
    with pytest.raises(ParameterError, match="exists already"):
        merge_runs([a.folder, b.folder], a.folder, "")
    assert main(["merge", str(a.folder), "--out", str(tmp_path / "x")]) == 2
    assert main(["merge", str(a.folder), str(tmp_path), "--out", str(tmp_path / "x")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_the_command_says_where_the_merged_run_and_its_report_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = a_run(tmp_path, "aaaa", 2), a_run(tmp_path, "bbbb", 5)
    out = tmp_path / "both"
    assert main(["merge", str(a.folder), str(b.folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2 machines in the report" in printed
    assert max(map(len, printed.split("\nrun ")[0].splitlines())) <= 80
    for name in ("index.html", "report.md"):
        page = (out / "report" / name).read_text()
        for text in ("aaaa", "bbbb", "CPU of aaaa", "CPU of bbbb"):
            assert text in page, (name, text)
    assert "single-stream_cpu_1t_aaaa_p50_ms" in pd.read_parquet(out / "results.parquet")
