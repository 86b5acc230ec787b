"""Runs from end to end, on small generated faces, with real components."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferbench.benchmarks.plan_file import read_plan
from ferbench.benchmarks.records import PublishedFigures
from ferbench.benchmarks.runner import Outcome, RunOptions, check_components, make_plan, open_run, run_plan
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.suite_file import parse_suite, read_suite
from ferbench.benchmarks.summary import build_summary
from ferbench.benchmarks.work import execute
from ferbench.cli import main
from ferbench.errors import InvalidSuiteError, MissingDependencyError
from ferbench.pipelines import Pipeline
from ferbench.pipelines.preset import Published

SUITE = """\
schema: 1
name: tiny
seed: 3
datasets:
  - {name: "synthetic(kind=crops, n_train=84, n_val=0, n_test=42)"}
pipelines:
  - {id: majority, classifier: majority}
  - {id: nearest, features: pixels, classifier: knn}
  - {id: texture, features: lbp(grid=4), classifier: logistic-regression}
scenarios: []
"""


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def run(text: str, folder: Path, profile: str | None = None, **options) -> Outcome:
    suite = parse_suite(text)
    plan = make_plan(suite, profile)
    chosen = RunOptions(runs=folder / "runs", **options)
    return run_plan(plan, open_run(plan, chosen, text), chosen, "ferbench run tiny")


def predictions(run: Run) -> dict[str, pd.DataFrame]:
    return {i: run.items(i) for i, part in run.parts().items() if part.cell.kind == "quality" and part.status == "ok"}


def assert_same_predictions(a: Run, b: Run) -> None:
    mine, theirs = predictions(a), predictions(b)
    assert mine.keys() == theirs.keys()
    for cell, items in mine.items():
        pd.testing.assert_frame_equal(items, theirs[cell], rtol=1e-5)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, _own_cache: None) -> Outcome:
    return run(SUITE, tmp_path_factory.mktemp("finished"))


def test_a_run_gives_a_row_for_each_pipeline(finished: Outcome) -> None:
    summary = finished.summary
    assert [row.row for row in summary.rows] == ["majority", "nearest", "texture"]
    assert [row.family for row in summary.rows] == ["baseline", "classical", "classical"]
    assert {row.status for row in summary.rows} == {"ok"}
    for row in summary.rows:
        assert row.quality is not None
        assert row.quality.n == row.quality.n_detected == 42
        assert row.quality.detector_bypassed
        assert row.quality.interval_over == "subjects"
        assert row.quality.end_to_end["accuracy"] == row.quality.detected["accuracy"]
        assert sum(map(sum, row.quality.confusion)) == 42
        assert row.n_train == 84
    chance = summary.rows[0].quality.end_to_end["accuracy"].value
    assert chance == pytest.approx(1 / 7)
    assert summary.rows[2].quality.end_to_end["accuracy"].value > chance
    assert len(summary.comparisons) == 3
    assert summary.datasets[0].is_synthetic
    assert "detector is bypassed" in summary.datasets[0].protocol


def test_a_run_is_checked_and_its_pictures_are_compared(finished: Outcome) -> None:
    checks = {check.code: check for check in finished.summary.checks}
    assert checks["FB001"].status == checks["FB010"].status == checks["FB011"].status == "passed"
    assert checks["FB005"].status == "not-applicable"
    rare = checks["FB013"].findings[0]
    assert (rare.dataset, rare.severity) == (finished.summary.datasets[0].spec, "warning")
    assert finished.run.summary().checks == finished.summary.checks


def test_the_folder_holds_what_the_design_says(finished: Outcome) -> None:
    folder = finished.run.folder
    for name in ("suite.yaml", "plan.json", "environment.json", "summary.json", "results.parquet"):
        assert (folder / name).is_file(), name
    assert (folder / "suite.yaml").read_text() == SUITE
    assert len(list((folder / "parts").glob("*.json"))) == 6
    assert len(list((folder / "artefacts").iterdir())) == 3
    assert (folder.parent / "latest").resolve() == folder.resolve()
    items = next(iter(predictions(finished.run).values()))
    assert {"id", "subject", "truth", "predicted", "detected", "p_happy"} <= set(items)
    assert len(pd.read_parquet(folder / "results.parquet")) == 3


def test_published_figures_stand_beside_a_row_on_the_data_set_that_they_are_of(finished: Outcome) -> None:
    plan = read_plan(finished.run)
    figures = PublishedFigures(preset="it", source="they", figures=Published(0.9, "other faces", "synthetic"))
    summary = build_summary(finished.run, replace(plan, published={"nearest": figures}), "")
    assert {row.row: row.published for row in summary.rows if row.published} == {"nearest": figures}
    elsewhere = figures.model_copy(update={"figures": Published(0.9, "other faces", "fer2013")})
    summary = build_summary(finished.run, replace(plan, published={"nearest": elsewhere}), "")
    assert not any(row.published for row in summary.rows)


def test_a_finished_run_has_nothing_to_do_and_keeps_its_files(finished: Outcome, tmp_path: Path) -> None:
    folder = finished.run.folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again = run(SUITE, folder.parent.parent)
    assert again.n_done == 0
    assert again.summary == finished.summary
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    assert run(SUITE, tmp_path, new=True).n_done == 6


def test_a_damaged_cell_alone_is_done_again_and_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = run(SUITE, tmp_path)
    victim = next(iter(predictions(first.run)))
    path = first.run.folder / "items" / f"{victim}.parquet"
    path.write_bytes(path.read_bytes()[:100])
    capfd.readouterr()
    second = run(SUITE, tmp_path)
    assert second.run.folder == first.run.folder
    assert second.n_done == 1
    assert "damaged part" in capfd.readouterr().err
    assert [r.quality for r in second.summary.rows] == [r.quality for r in first.summary.rows]


def test_a_failing_component_is_a_row_and_the_others_stand(tmp_path: Path) -> None:
    text = SUITE.replace("classifier: knn", "classifier: knn(n_neighbors=5000)")
    outcome = run(text, tmp_path)
    status = {row.row: row.status for row in outcome.summary.rows}
    assert status == {"majority": "ok", "nearest": "failed", "texture": "ok"}
    row = next(row for row in outcome.summary.rows if row.row == "nearest")
    assert row.error is not None
    assert "5000" in row.error.message or "neighbors" in row.error.message
    assert list((outcome.run.folder / "failures").glob("*.txt"))
    assert outcome.summary.n_failed >= 1
    # What failed is tried again, what succeeded is not.
    assert run(text, tmp_path).n_done == outcome.summary.n_failed


ONE_ROW = "\n".join(line for line in SUITE.splitlines() if "id: nearest" not in line and "id: texture" not in line)


def test_an_empty_split_is_a_failed_row(tmp_path: Path) -> None:
    (row,) = run(ONE_ROW.replace("n_test=42", "n_test=0"), tmp_path).summary.rows
    assert row.error is not None
    assert "nothing to score: the split 'test'" in row.error.message


def test_probabilities_that_are_no_numbers_are_a_failed_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverged(self: Pipeline, answers: np.ndarray, ordered=Pipeline._ordered) -> np.ndarray:
        return ordered(self, np.where(np.arange(len(answers))[:, None] < 2, np.nan, answers))

    monkeypatch.setattr(Pipeline, "_ordered", diverged)
    (row,) = run(ONE_ROW, tmp_path).summary.rows
    assert row.error is not None
    assert "probabilities that are not numbers: got 2 of 42 faces" in row.error.message


def test_a_wrong_parameter_is_told_with_its_line_before_anything_is_done(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE.replace("classifier: knn", "classifier: knn(n_neigbors=3)"))
    line = 1 + next(i for i, text in enumerate(SUITE.splitlines()) if "id: nearest" in text)
    plan = make_plan(read_suite(path), None)
    said = rf", line {line}: knn\(n_neigbors=3\): unknown parameter .*; did you mean 'n_neighbors'"
    with pytest.raises(InvalidSuiteError, match=said):
        check_components(plan, plan.cells)
    assert main(["run", str(path), "--plan"]) == 2
    with pytest.raises(InvalidSuiteError, match=said):
        run(path.read_text(), tmp_path)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("pca(n_components=0)", "parameter n_components: got 0, expected an integer from 1 up"),
        ("pca(of=hog(cell=1))", "parameter cell: got 1, expected an integer from 2 up"),
        ("mirrored(of=[hog, lbp(grid=0)])", "parameter grid: got 0"),
        ("fisherfaces(of=hogg)", "unknown feature 'hogg'"),
        ("dense-sift(words=1)", "parameter words: got 1"),
        ("hog(cell=40)", "crops are too small for these features"),
        ("union(of=lbp)", "parameter of: got 'lbp', expected a list of specs of features"),
        ("union(of=3)", "parameter of: got 3, expected a list of specs of features"),
        ("landmarks(parts=3)", "parameter parts: got 3, expected one of"),
        ("voting(of=[knn, lda], weights=3)", "parameter weights: got 3, expected 2 numbers"),
        ("voting(of=[knn, lda], weights=[-1, 1])", "parameter weights: got -1"),
        ("voting(of=['rbf-svm(C=-1)', knn])", "parameter C: got -1"),
    ],
)
def test_a_value_that_cannot_be_is_told_before_any_face_is_read(features: str, said: str, tmp_path: Path, capsys):
    path = tmp_path / "s.yaml"
    old, new = ("classifier: knn", "classifier") if features.startswith("voting") else ("features: pixels", "features")
    path.write_text(SUITE.replace(old, f'{new}: "{features}"'))
    assert main(["run", str(path), "--plan"]) == 2
    assert said in capsys.readouterr().err


def test_a_missing_package_skips_a_cell_and_any_other_error_fails_it(finished: Outcome) -> None:
    cell = next(iter(finished.run.parts().values())).cell

    def needs_dlib() -> tuple[dict[str, object], None]:
        raise MissingDependencyError("dlib", "dlib", "detector 'dlib-hog'")

    def breaks() -> tuple[dict[str, object], None]:
        raise ZeroDivisionError

    skipped, failed = execute(cell, needs_dlib)[0], execute(cell, breaks)[0]
    assert (skipped.status, failed.status) == ("skipped", "failed")
    assert skipped.error is not None
    assert "pip install 'ferbench[dlib]'" in skipped.error.message
    assert failed.error is not None
    assert failed.error.type == "ZeroDivisionError"


def test_two_processes_give_the_same_predictions_as_one(finished: Outcome, tmp_path: Path) -> None:
    assert_same_predictions(run(SUITE, tmp_path, jobs=2).run, finished.run)


def test_folds_are_pooled_into_one_row(tmp_path: Path) -> None:
    text = SUITE.replace(
        '"synthetic(kind=crops, n_train=84, n_val=0, n_test=42)"',
        '"synthetic(kind=crops, n_train=84, n_val=0, n_test=0)", protocol: subject-kfold, folds: 3',
    )
    summary = run(text, tmp_path).summary
    assert {row.quality.n for row in summary.rows} == {84}
    assert "subject-independent" in summary.datasets[0].protocol
    assert all(row.n_train == 56 for row in summary.rows)


def test_photos_are_scored_end_to_end_with_missed_faces_wrong(tmp_path: Path) -> None:
    text = SUITE.replace("kind=crops, n_train=84, n_val=0, n_test=42", "n_train=21, n_val=0, n_test=21")
    # No face is as large as the image: the detector misses most of them.
    text = text.replace("id: texture, features", "id: texture, detector: haar(min_size=150), features")
    outcome = run(text.replace("id: nearest,", "id: nearest, detector: haar,"), tmp_path)
    rows = {row.row: row for row in outcome.summary.rows}
    good = rows["nearest"].quality
    assert good is not None
    assert not good.detector_bypassed
    assert good.n_detected > 15
    bad = rows["texture"]
    if bad.quality is not None:
        missed = sum(line[-1] for line in bad.quality.confusion)
        assert missed == bad.quality.n - bad.quality.n_detected
        assert bad.quality.end_to_end["accuracy"].value <= bad.quality.detected["accuracy"].value
    else:
        assert bad.error is not None


def test_only_some_rows_can_be_done_first_and_the_rest_later(tmp_path: Path) -> None:
    part = run(SUITE, tmp_path, only=("majority",))
    assert 0 < part.summary.n_missing < part.summary.n_cells
    assert [row.row for row in part.summary.rows] == ["majority"]
    whole = run(SUITE, tmp_path)
    assert whole.n_done == 4
    assert whole.run.folder == part.run.folder
    assert len(whole.summary.rows) == 3


def test_latency_cells_are_timed_in_interleaved_rounds(tmp_path: Path) -> None:
    text = SUITE.replace("scenarios: []", "scenarios: [single-stream]\nprofiles:\n  quick: {rounds: 2, warmup: 2, ")
    text += "min_frames: 8, min_seconds: 0}\n"
    outcome = run(text, tmp_path, only=("majority", "nearest"))
    parts = [part for part in outcome.run.parts().values() if part.cell.kind == "latency"]
    assert [part.error for part in parts] == [None] * 4
    rounds = [part.cell.round for part in sorted(parts, key=lambda part: part.started)]
    assert sorted(rounds[:2]) == [0, 0]
    for row in outcome.summary.rows:
        (timing,) = row.latency
        assert timing.stages["total"].n >= 16
        assert len(timing.round_p50) == 2
    assert len(outcome.run.times(parts[0].cell.id)) >= 8


# The command, in processes of its own --------------------------------------------------------------------------------


def command(folder: Path, *arguments: str) -> list[str]:
    (folder / "tiny.yaml").write_text(SUITE)
    call = ["run", str(folder / "tiny.yaml"), "--runs", str(folder / "runs"), "--jobs", "1", *arguments]
    return [sys.executable, "-c", f"import sys; from ferbench.cli import main; sys.exit(main({call!r}))"]


def test_a_finished_suite_answers_without_heavy_imports(finished: Outcome) -> None:
    folder = finished.run.folder.parent.parent
    subprocess.run(command(folder), check=True, capture_output=True, timeout=300)  # builds the report
    call = command(folder)
    call[-1] = (
        call[-1].replace("sys.exit(main(", "code = main(").removesuffix("))")
        + "); print(sorted({'sklearn', 'tensorflow', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    started = time.monotonic()
    done = subprocess.run(call, check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "everything was done already" in done.stdout
    used = time.monotonic() - started
    assert used < 3 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_a_part_of_a_run_says_which_part_it_is(tmp_path: Path) -> None:
    subprocess.run(command(tmp_path, "--only", "nearest", "--no-latency"), check=True, capture_output=True, timeout=300)
    (path,) = (tmp_path / "runs").glob("2*/summary.json")
    assert json.loads(path.read_text())["command"].endswith(" --no-latency --only nearest")


def test_the_plan_is_printed_and_nothing_made(tmp_path: Path) -> None:
    done = subprocess.run(command(tmp_path, "--plan"), check=True, capture_output=True, text=True, timeout=300)
    assert "6 cells (3 fit, 3 quality, 0 latency)" in done.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_an_interrupt_says_how_to_go_on(tmp_path: Path) -> None:
    call = command(tmp_path)
    # Whoever starts the tests in the background has children ignore the signal.
    call[-1] = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); " + call[-1]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "runs").glob("*/parts/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "go on with: ferbench run" in errors
    assert f"--runs {tmp_path / 'runs'}" in errors
    subprocess.run(command(tmp_path), check=True, capture_output=True, timeout=300)


@pytest.mark.deep
@pytest.mark.slow
def test_a_networks_wrong_parameter_ends_the_run_from_its_worker(tmp_path: Path) -> None:
    text = SUITE.replace("features: pixels, classifier: knn", "classifier: mini-xception(epoch=2)")
    with pytest.raises(InvalidSuiteError, match="did you mean 'epochs'"):
        run(text, tmp_path, jobs=2)


@pytest.mark.deep
@pytest.mark.slow
def test_runtimes_of_a_network_share_a_fit_and_agree(tmp_path: Path) -> None:
    text = SUITE.replace(
        "features: pixels, classifier: knn", "classifier: mini-xception(epochs=1), runtimes: [keras, litert]"
    )
    rows = {row.row: row for row in run(text, tmp_path, jobs=2).summary.rows}
    assert rows["nearest@keras"].agreement is None  # it is the reference
    agreement = rows["nearest@litert"].agreement
    assert agreement is not None
    assert agreement["reference"] == "keras"
    assert agreement["n"] == 42
    assert agreement["max_abs_difference"] < 1e-3
    assert rows["nearest@keras"].fit_seconds == rows["nearest@litert"].fit_seconds
