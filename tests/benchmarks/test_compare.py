"""Two runs compared: verdicts on made-up runs whose truth is known, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferbench.benchmarks.cells import Cell, CellError, Part, PipelineSpec
from ferbench.benchmarks.compare import compare_runs
from ferbench.benchmarks.latency_ratio import compare_rounds
from ferbench.benchmarks.records import (
    DatasetSummary,
    Estimate,
    LatencySummary,
    QualitySummary,
    RowSummary,
    StageTimes,
    Summary,
)
from ferbench.benchmarks.store import Run
from ferbench.cli import main
from ferbench.errors import ParameterError, RunError, UnknownNameError
from ferbench.reports.comparison import comparison_markdown, comparison_text

LABELS = ["angry", "happy", "sad"]
N = 1200
TRUTH = np.random.default_rng(0).choice(3, N, p=[0.4, 0.4, 0.2])
ENVIRONMENT = {"fingerprint": "0123456789ab", "packages": {"numpy": "2.1.0"}, "git": {"revision": "a" * 40}}


def guesses(accuracy: float, seed: int = 1) -> np.ndarray:
    """Right on a share of the faces; of two accuracies and one seed, the better one is right wherever the other is."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(N) < accuracy, TRUTH, (TRUTH + rng.integers(1, 3, N)) % 3)


def write_run(
    folder: Path,
    rows: dict[str, float],
    *,
    ms: float | None = None,
    rounds: int = 3,
    faces: slice = slice(None),
    seed: int = 1,
    revision: str = "r1",
    environment: dict | None = None,
    threads: int = 1,
    notes: tuple[str, ...] = (),
    failed: dict[str, str] | None = None,
    subjects: np.ndarray | None = None,
) -> Path:
    """A finished run of rows with given accuracies on one dataset; ``failed`` names rows with their status."""
    environment = ENVIRONMENT if environment is None else environment
    cells, records = [], []
    for sub in ("items", "times"):
        (folder / sub).mkdir(parents=True)
    names = np.array(LABELS)
    for row, accuracy in rows.items():
        spec = PipelineSpec(classifier=row)
        cell = {"dataset": "faces", "row": row, "scenario": None, "device": "cpu", "threads": 1, "round": None}
        guess = guesses(accuracy, seed)
        items = pd.DataFrame({"id": [f"f{i}" for i in range(N)], "subject": subjects, "truth": names[TRUTH]})
        items = items.assign(predicted=names[guess], detected=True, **{f"p_{name}": 0.3 for name in LABELS})[faces]
        items.to_parquet(folder / "items" / f"q-{row}.parquet")
        cells.append({**cell, "id": f"q-{row}", "kind": "quality"})
        latency = []
        if ms is not None:
            for i in range(rounds):
                times = ms * 1e6 * np.random.default_rng([i, int(ms * 1000)]).normal(1 + 0.002 * i, 0.01, 100)
                table = pd.DataFrame({"total_ns": times.astype(np.int64), "n_frames": 1})
                table.to_parquet(folder / "times" / f"t-{row}-{i}.parquet")
                timed = {"kind": "latency", "scenario": "single-stream", "threads": threads, "round": i}
                cells.append({**cell, **timed, "id": f"t-{row}-{i}"})
            total = StageTimes(n=100, p50=ms, mean=ms, mad=0.1, min=ms, iqr=0.1)
            latency.append(
                LatencySummary(
                    scenario="single-stream", device="cpu", threads=threads, frames="crops", stages={"total": total},
                    throughput_fps=1.0, faces_per_frame=1.0, round_p50=[ms] * rounds, is_unstable=False,
                    notes=list(notes), import_s=1, load_s=1, first_call_ms=1, peak_rss_mib=1, artefact_bytes=1,
                )
            )  # fmt: skip
        status = (failed or {}).get(row, "ok")
        quality = QualitySummary(
            n=len(items), n_detected=len(items), detector_bypassed=True, detected={},
            end_to_end={"accuracy": Estimate(value=accuracy)}, per_class={}, labels=LABELS, confusion=[], tie_group=1,
            interval_over="faces",
        )  # fmt: skip
        records.append(
            RowSummary(
                row=row, pipeline=spec, family="classical", dataset="faces", status=status, latency=latency,
                error=None if status == "ok" else CellError(type="ValueError", message="it broke"),
                quality=quality if status == "ok" else None,
            )
        )  # fmt: skip
    dataset = DatasetSummary(
        spec="faces", title="Faces", kind="crops", is_synthetic=True, revision=revision, licence="", protocol="One.",
        n_train=1, n_eval=N, n_subjects=None, labels=LABELS, class_counts={},
    )  # fmt: skip
    summary = Summary(
        run_id=folder.name, suite="s", profile=None, created="2026-11-21T00:00:00Z", command="ferbench run s",
        ferbench_version="0.1.0", seed=0, environment=environment, datasets=[dataset], rows=records, comparisons=[],
        n_cells=1, n_failed=0, n_skipped=0,
    )  # fmt: skip
    (folder / "plan.json").write_text(json.dumps({"cells": cells}))
    (folder / "summary.json").write_text(summary.model_dump_json())
    return folder


def verdicts(comparison) -> dict[tuple[str, str], str]:
    return {(one.row, one.metric): one.verdict for one in comparison.measures}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "base", {"steady": 0.7, "changed": 0.7}, ms=2.0)


def test_a_run_ties_with_itself(base):
    comparison = compare_runs(base, base)
    assert comparison.verdict == "tie"
    assert set(verdicts(comparison).values()) == {"tie"}
    assert comparison.warnings == []


def test_what_got_worse_is_worse_and_the_rest_ties(base, tmp_path):
    head = write_run(tmp_path / "head", {"steady": 0.7, "changed": 0.6}, ms=2.4)
    comparison = compare_runs(base, head)
    assert comparison.verdict == "worse"
    assert verdicts(comparison) == {
        ("steady", "accuracy"): "tie", ("steady", "macro_f1"): "tie", ("steady", "latency"): "worse",
        ("changed", "accuracy"): "worse", ("changed", "macro_f1"): "worse", ("changed", "latency"): "worse",
    }  # fmt: skip
    accuracy, slower = comparison.measures[3], comparison.measures[2]
    assert accuracy.difference == pytest.approx(np.mean(guesses(0.6) == TRUTH) - np.mean(guesses(0.7) == TRUTH))
    assert accuracy.low < accuracy.difference < accuracy.high < 0
    assert slower.difference == pytest.approx(1.2, abs=0.01)
    # Seen from the other side everything that was worse is better.
    assert compare_runs(head, base).verdict == "better"


def test_nobody_can_tell_what_so_few_faces_leave_open(tmp_path):
    a = write_run(tmp_path / "a", {"row": 0.7}, faces=slice(150))
    b = write_run(tmp_path / "b", {"row": 0.7}, faces=slice(150), seed=9)
    accuracy, macro_f1 = compare_runs(a, b).measures
    assert (accuracy.verdict, macro_f1.verdict) == ("cannot tell", "cannot tell")
    assert "150 faces are too few" in accuracy.reason
    # With a margin wide enough, the same interval is a tie.
    assert compare_runs(a, b, margin=0.3).verdict == "tie"


def test_holm_counts_every_row(tmp_path):
    rows = {"hit": 0.65} | {f"row{i}": 0.67 for i in range(4)}
    a, b = write_run(tmp_path / "a", dict.fromkeys(rows, 0.67)), write_run(tmp_path / "b", rows)
    one = next(m for m in compare_runs(a, b).measures if (m.row, m.metric) == ("hit", "accuracy"))
    # Five rows, two metrics, and this is the smallest of the ten.
    assert one.p_holm == pytest.approx(one.p * 10)


def test_rows_are_compared_on_the_faces_that_both_scored(base, tmp_path):
    part = write_run(tmp_path / "part", {"steady": 0.7, "changed": 0.7}, faces=slice(0, 900))
    comparison = compare_runs(base, part)
    assert {one.n for one in comparison.measures if one.metric != "latency"} == {900}
    assert any("1,200 faces in A, 900 in B" in note for note in comparison.notes)
    first, second = (
        write_run(tmp_path / n, {"x": 0.7}, faces=f) for n, f in (("l", slice(0, 600)), ("r", slice(600, None)))
    )
    (one,) = compare_runs(first, second).measures
    assert (one.verdict, one.reason) == ("cannot tell", "no face was scored in both runs")


def test_frames_of_one_person_are_one_piece_of_evidence(tmp_path):
    people = np.repeat(np.arange(12), 100).astype(str)
    runs = [write_run(tmp_path / n, {"row": p}, subjects=people) for n, p in (("a", 0.7), ("b", 0.66))]
    alone = [write_run(tmp_path / f"{n}1", {"row": p}) for n, p in (("a", 0.7), ("b", 0.66))]
    by_person, by_face = compare_runs(*runs).measures[0], compare_runs(*alone).measures[0]
    assert by_person.p > by_face.p


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"environment": {**ENVIRONMENT, "fingerprint": "ffffffffffff"}}, "other machines"),
        ({"threads": 2}, "single-stream, cpu, 1 thread, crops was not timed in B"),
        ({"rounds": 2}, "2 rounds a side, 3 needed"),
        ({"notes": ("before round 1: other programs use 80% of the CPU",)}, "other programs used the machine during B"),
        ({"ms": None}, "not timed in B"),
    ],
)
def test_latencies_are_compared_only_under_the_same_conditions(base, tmp_path, change, reason):
    head = write_run(tmp_path / "head", {"steady": 0.7, "changed": 0.7}, **({"ms": 9.0} | change))
    timed = [one for one in compare_runs(base, head).measures if one.metric == "latency"]
    assert {one.verdict for one in timed} == {"cannot tell"}
    assert reason in timed[0].reason


@pytest.mark.parametrize(("kind", "verdict"), [("WorkerError", "worse"), ("DeviceError", "cannot tell")])
def test_a_timing_that_breaks_is_worse_and_one_that_is_skipped_is_unknown(base, tmp_path, kind, verdict):
    head = write_run(tmp_path / "head", {"steady": 0.7, "changed": 0.7})
    record = json.loads((head / "summary.json").read_text())
    record["rows"][1]["error"] = {"type": kind, "message": "it broke"}
    (head / "summary.json").write_text(json.dumps(record))
    one = next(one for one in compare_runs(base, head).measures if (one.row, one.metric) == ("changed", "latency"))
    assert (one.verdict, "it broke" in one.reason) == (verdict, verdict == "worse")


def test_other_versions_are_warned_of(base, tmp_path):
    head = write_run(tmp_path / "head", {"steady": 0.7}, environment={**ENVIRONMENT, "packages": {"numpy": "2.4.0"}})
    assert compare_runs(base, head).warnings == ["other environments: numpy 2.1.0 and 2.4.0"]


@pytest.mark.parametrize(("status", "verdict"), [("failed", "worse"), ("skipped", "cannot tell")])
def test_a_row_that_breaks_is_worse_and_one_that_is_skipped_is_unknown(base, tmp_path, status, verdict):
    head = write_run(tmp_path / "head", {"steady": 0.7, "changed": 0.7}, failed={"changed": status})
    comparison = compare_runs(base, head)
    broken = next(one for one in comparison.measures if one.row == "changed")
    assert (broken.verdict, broken.reason) == (verdict, f"{status} in B: it broke")
    assert compare_runs(head, base).verdict != "worse"


def test_rows_of_other_names_are_paired_on_request(base, tmp_path):
    head = write_run(tmp_path / "head", {"renamed": 0.7, "other": 0.5})
    comparison = compare_runs(base, head, a_rows=["steady"], b_rows=["renamed"])
    assert verdicts(comparison)["steady → renamed", "accuracy"] == "tie"
    assert "in A alone, or not paired: changed on faces" in comparison.notes
    with pytest.raises(RunError, match="no row of one name"):
        compare_runs(base, head)
    with pytest.raises(UnknownNameError, match="row of run B"):
        compare_runs(base, head, a_rows=["steady"], b_rows=["nothing"])
    with pytest.raises(ParameterError, match="2 of A and 1 of B"):
        compare_runs(base, head, a_rows=["steady", "changed"], b_rows=["other"])


# Latency --------------------------------------------------------------------------------------------------------------


def rounds(rng: np.random.Generator, ms: float, n: int, scatter: float) -> list[np.ndarray]:
    return [ms * np.exp(rng.normal(0, scatter) + rng.normal(0, 0.1, 60)) for _ in range(n)]


@pytest.mark.parametrize(("n", "scatter"), [(3, 0.03), (3, 0.1), (5, 0.06)])
def test_equal_latencies_are_rarely_told_apart(n, scatter):
    rng = np.random.default_rng(0)
    told = [
        compare_rounds(rounds(rng, 1.0, n, scatter), rounds(rng, 1.0, n, scatter), seed=i, n_resamples=400).verdict
        for i in range(120)
    ]
    assert sum(one in ("better", "worse") for one in told) <= 10  # six expected where it is exact


def test_a_clear_difference_is_told_and_a_small_one_is_not():
    rng = np.random.default_rng(0)
    assert compare_rounds(rounds(rng, 1.0, 3, 0.01), rounds(rng, 1.3, 3, 0.01), seed=0).verdict == "worse"
    assert compare_rounds(rounds(rng, 1.3, 3, 0.01), rounds(rng, 1.0, 3, 0.01), seed=0).verdict == "better"
    steady = [np.full(50, 1.0)] * 3
    assert compare_rounds(steady, [np.full(50, 1.04)] * 3, seed=0).verdict == "tie", "below 5 %"
    assert compare_rounds(steady, [np.full(50, 1.06)] * 3, seed=0).verdict == "worse"
    tiny = [np.full(50, 0.1)] * 3
    assert compare_rounds(tiny, [np.full(50, 0.14)] * 3, seed=0).verdict == "tie", "below 0.05 ms"


def test_one_round_says_nothing_however_long():
    result = compare_rounds([np.full(5000, 1.0)], [np.full(5000, 2.0)], seed=0)
    assert (result.verdict, result.low, result.ratio) == ("cannot tell", None, 2.0)
    assert result.reason.startswith("1 round a side")


# The command ----------------------------------------------------------------------------------------------------------


def test_exit_codes_and_formats(base, tmp_path, capsys):
    worse = write_run(tmp_path / "worse", {"steady": 0.7, "changed": 0.6})
    assert main(["compare", str(base), str(base)]) == 0
    assert capsys.readouterr().out.startswith("B and A tie: of 6 measures 6 tie")
    assert main(["compare", str(base), str(worse), "--format", "json"]) == 3
    assert json.loads(capsys.readouterr().out)["verdict"] == "worse"
    assert main(["compare", str(base), str(worse), "--format", "markdown", "--out", str(tmp_path / "c.md")]) == 3
    assert (tmp_path / "c.md").read_text().startswith("**B is worse than A: of 6 measures 2 worse")
    assert "written to" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"revision": "r2"}, "the runs scored different data under the name faces: got revisions r1 and r2"),
        (None, "no run in"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_exit_2(base, tmp_path, capsys, change, message):
    if change is not None:
        write_run(tmp_path / "head", {"steady": 0.7}, **change)
    assert main(["compare", str(base), str(tmp_path / "head")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("plan", ["{}", "[]", '{"cells": 3}', '{"cells": [1]}', "not json"])
def test_a_damaged_plan_is_one_line_and_exit_2(base, tmp_path, capsys, plan):
    head = write_run(tmp_path / "head", {"steady": 0.7})
    (head / "plan.json").write_text(plan)
    assert main(["compare", str(base), str(head)]) == 2
    error = capsys.readouterr().err
    assert "plan.json" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("table", ["items/q-steady", "times/t-steady-1"])
def test_a_damaged_table_is_one_line_and_exit_2(base, tmp_path, capsys, table):
    head = write_run(tmp_path / "head", {"steady": 0.7}, ms=2.0)
    path = head / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert main(["compare", str(base), str(head)]) == 2
    error = capsys.readouterr().err
    assert f"cannot read a table of cell {path.stem}" in error
    assert error.count("\n") == 1


def test_a_table_that_was_changed_after_it_was_measured_is_refused(base, tmp_path, capsys):
    head = write_run(tmp_path / "head", {"steady": 0.7})
    made = Cell(
        kind="quality", row="steady", pipeline=PipelineSpec(classifier="steady"), dataset="faces", revision="r1",
        train_split="train", eval_split="test",
    )  # fmt: skip
    items = pd.read_parquet(head / "items" / "q-steady.parquet")
    Run(head).write_part(Part(cell=made, status="ok", started="2026-11-20T00:00:00Z", seconds=1, metrics={}), items)
    plan = (head / "plan.json").read_text()
    (head / "plan.json").write_text(plan.replace("q-steady", made.id))
    assert main(["compare", str(base), str(head)]) == 0
    capsys.readouterr()
    # Whole and readable, but another table than the one whose digest the part holds.
    items.assign(predicted=items["truth"]).to_parquet(head / "items" / f"{made.id}.parquet")
    assert main(["compare", str(base), str(head)]) == 2
    error = capsys.readouterr().err
    assert f"cell {made.id}" in error
    assert "was changed after it was measured" in error
    assert error.count("\n") == 1


def test_other_warm_ups_other_seeds_and_other_pipelines_of_one_name_are_said(tmp_path):
    runs = [write_run(tmp_path / name, {"steady": 0.7}, ms=2.0) for name in "ab"]
    for run, warmup in zip(runs, (20, 0), strict=True):
        plan = json.loads((run / "plan.json").read_text())
        for cell in plan["cells"]:
            cell["options"] = {"warmup": warmup} if cell["kind"] == "latency" else {}
        (run / "plan.json").write_text(json.dumps(plan))
    summary = json.loads((runs[1] / "summary.json").read_text())
    summary["seed"] = 7
    summary["rows"][0]["pipeline"]["classifier"] = "other"
    (runs[1] / "summary.json").write_text(json.dumps(summary))
    found = compare_runs(*runs)
    (timed,) = [one for one in found.measures if one.metric == "latency"]
    assert (timed.verdict, timed.reason) == ("cannot tell", "warmed up otherwise: 20 frames in A and 0 frames in B")
    assert any("0 in A, 7 in B" in warning for warning in found.warnings)
    assert any("is another pipeline in B: whole-image/other, not whole-image/steady" in note for note in found.notes)


def test_a_wrong_margin_is_said_in_the_unit_it_was_given_in(base, capsys):
    for margin in ("-2", "100", "nan"):
        assert main(["compare", str(base), str(base), "--margin", margin]) == 2
        assert f"--margin is in points: got {margin}, expected 0 to 100" in capsys.readouterr().err


def test_what_is_not_compared_is_said(base, tmp_path):
    head = write_run(tmp_path / "head", {"steady": 0.7})
    summary = json.loads((head / "summary.json").read_text())
    summary["robustness"] = [{"row": "steady", "dataset": "faces", "status": "failed", "reason": "x"}]
    (head / "summary.json").write_text(json.dumps(summary))
    assert "not compared, see the reports: spoilt faces" in compare_runs(base, head).notes
    assert not any("not compared" in note for note in compare_runs(base, base).notes)


def test_the_terminal_gets_80_columns_and_a_comment_its_verdict_first(base, tmp_path):
    long = "a-very-long-row-name-" * 6
    a = write_run(tmp_path / "a", {long: 0.7, "b|b": 0.7}, ms=20000.0)
    b = write_run(tmp_path / "b", {long: 0.6, "b|b": 0.7}, ms=30000.0)
    comparison = compare_runs(a, b)
    assert max(map(len, comparison_text(comparison).splitlines())) <= 80
    markdown = comparison_markdown(comparison).splitlines()
    assert markdown[0].startswith("**B is worse than A")
    table = [line for line in markdown if line.startswith("|")]
    assert len({len(line.replace("\\|", "").split("|")) for line in table}) == 1
    assert "**worse**" in table[2]
