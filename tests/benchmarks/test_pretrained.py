"""Saved pipelines as rows of a suite."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ferbench.benchmarks.estimate import describe_plan
from ferbench.benchmarks.merge import merge_runs
from ferbench.benchmarks.plan import Plan
from ferbench.benchmarks.pretrained import read_saved
from ferbench.benchmarks.runner import Outcome, RunOptions, make_plan, open_run, run_plan
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.suite_file import read_suite
from ferbench.cli import main
from ferbench.datasets import load_dataset
from ferbench.errors import InvalidSuiteError, ModelFileError
from ferbench.pipelines import make_pipeline, shipped
from ferbench.pipelines.lineage import TEACHER, as_ancestors
from ferbench.reports import build_report
from ferbench.specs import Spec

DATA = "synthetic(kind=crops, n_train=84, n_val=42, n_test=42)"
SUITE = f"""\
schema: 1
name: with-saved
seed: 3
datasets:
  - {{name: "{DATA}"}}
pipelines:
  - {{id: texture, features: lbp(grid=4), classifier: logistic-regression}}
  - {{id: ready, saved: models/texture}}
scenarios: []
"""
ALONE = "".join(line for line in SUITE.splitlines(keepends=True) if "id: texture" not in line)
LATENCY = """\
scenarios: [single-stream]
profiles:
  quick: {rounds: 1, warmup: 2, min_frames: 8, min_seconds: 0}
"""


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that learnt from the training split."""
    pipeline = make_pipeline("whole-image", "lbp(grid=4)", "logistic-regression").fit(load_dataset(DATA, split="train"))
    return pipeline.save(tmp_path_factory.mktemp("model") / "texture")


@pytest.fixture
def suite(model: Path, tmp_path: Path) -> Path:
    """A suite file beside the folder that it names."""
    shutil.copytree(model, tmp_path / "models" / "texture")
    path = tmp_path / "with-saved.yaml"
    path.write_text(SUITE)
    return path


def plan(path: Path) -> Plan:
    return make_plan(read_suite(path), None)


def run(path: Path, **options: Any) -> Outcome:
    planned, chosen = plan(path), RunOptions(runs=path.parent / "runs", **options)
    return run_plan(planned, open_run(planned, chosen, path.read_text()), chosen, "ferbench run with-saved.yaml")


def change(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads((folder / "pipeline.json").read_text())
    edit(record)
    (folder / "pipeline.json").write_text(json.dumps(record))


def test_a_saved_pipeline_is_a_row_without_a_fit_and_judges_as_where_it_was_fitted(suite: Path) -> None:
    outcome = run(suite)
    texture, ready = outcome.summary.rows
    assert [part.cell.kind for part in outcome.run.parts().values()].count("fit") == 1
    assert ready.status == "ok"
    assert ready.fit_seconds is None
    assert ready.n_train == 84
    assert ready.pretrained is not None
    assert ready.pretrained.text.startswith("models/texture, trained on synthetic")
    assert " train (84 faces, revision " in ready.pretrained.text
    assert texture.pretrained is None
    assert ready.quality is not None
    assert texture.quality is not None
    # The same parts, learnt from the same faces: the same confusion matrix.
    assert ready.quality.confusion == texture.quality.confusion
    assert "Pretrained rows say" in outcome.summary.datasets[0].protocol


def test_a_finished_suite_is_not_done_again_even_if_the_folder_moves(suite: Path) -> None:
    first = run(suite)
    shutil.move(suite.parent / "models", suite.parent / "elsewhere")
    suite.write_text(SUITE.replace("models/texture", "elsewhere/texture"))
    second = run(suite)
    assert second.n_done == 0
    assert second.run.folder == first.run.folder


def test_the_cell_follows_the_content_and_not_the_path(suite: Path) -> None:
    def ids() -> set[str]:
        return {cell.id for cell in plan(suite).cells if cell.row == "ready"}

    before = ids()
    change(suite.parent / "models" / "texture", lambda record: record["metrics"].update(note="a word"))
    assert ids() == before
    change(suite.parent / "models" / "texture", lambda record: record.update(crop_scale=1.2))
    assert not ids() & before


def test_the_run_keeps_its_own_copy(suite: Path) -> None:
    outcome = run(suite, only=("ready",))
    shutil.rmtree(suite.parent / "models")
    (kept,) = (outcome.run.folder / "artefacts").iterdir()
    assert {path.name for path in kept.iterdir()} == {"pipeline.json", "model.skops"}


def test_the_plan_counts_no_fit_for_it_and_says_so(suite: Path) -> None:
    planned = plan(suite)
    text = describe_plan(planned, planned.cells, set(), 1)
    assert "3 cells (1 fit, 2 quality, 0 latency)" in text
    (line,) = [line for line in text.splitlines() if line.startswith("  ready")]
    assert line.endswith("(pretrained)")
    assert [cell.kind for cell in planned.only(["ready"])] == ["quality"]


def test_a_suite_of_saved_pipelines_alone_reads_no_training_split(suite: Path) -> None:
    suite.write_text(ALONE)
    planned = plan(suite)
    assert list(planned.facts[planned.suite.datasets[0].name].splits) == ["test"]
    dataset = run(suite).summary.datasets[0]
    assert dataset.n_train is None
    assert "nothing was trained here" in dataset.protocol


@pytest.mark.parametrize(
    ("trained", "scored"), [("test", "test"), ("all", "test"), ("train", "train2"), ("val", "val")]
)
def test_it_is_not_scored_on_what_it_learnt_from(suite: Path, trained: str, scored: str) -> None:
    change(suite.parent / "models" / "texture", lambda record: record["trained_on"].update(split=trained))
    suite.write_text(SUITE.replace(f'"{DATA}"', f'"{DATA}", test: {scored}'.replace("train2", "val")))
    if trained == "train":
        assert plan(suite).cells
        return
    with pytest.raises(InvalidSuiteError) as error:
        plan(suite)
    message = str(error.value)
    assert message.startswith(f"{suite}, line 8: models/texture would be scored on faces that it was trained on")
    assert "\n" not in message


@pytest.mark.parametrize("role", ["teacher", "initial weights"])
def test_it_is_not_scored_on_what_its_teacher_or_its_first_weights_saw(suite: Path, role: str) -> None:
    def learn(record: dict[str, Any]) -> None:
        faces = {key: record["trained_on"][key] for key in ("dataset", "revision")}
        record["trained_on"]["ancestors"] = [{"role": role, "name": "big", **faces, "split": "test"}]

    change(suite.parent / "models" / "texture", learn)
    with pytest.raises(InvalidSuiteError, match=f"would be scored on faces that its {role} big learnt from"):
        plan(suite)


def test_a_record_says_where_it_was_compared_also_for_the_members_of_an_ensemble(suite: Path) -> None:
    faces = {"dataset": "faces", "split": "val", "revision": "1"}

    def learn(record: dict[str, Any]) -> None:
        record["trained_on"]["compared_on"] = [faces | {"n_candidates": 3}, "no record"]
        record["trained_on"]["members"] = [{"pipeline": "a", "compared_on": [faces, faces | {"n_candidates": 3}]}]

    folder = suite.parent / "models" / "texture"
    change(folder, learn)
    assert [one.n_candidates for one in read_saved(".", folder).record().compared_on] == [3, None]


def test_pictures_that_a_pretrained_row_learnt_from_under_other_labels_are_compared(suite: Path) -> None:
    """FB010: the training split of the scored data set shows what the row learnt from under another name."""

    def learn(record: dict[str, Any]) -> None:
        record["trained_on"]["dataset"] = "the same faces"

    change(suite.parent / "models" / "texture", learn)
    suite.write_text(ALONE)
    checks = {check.code: check for check in run(suite).summary.checks}
    assert checks["FB010"].status != "not-applicable"


def test_a_merged_run_knows_what_the_teacher_of_a_pretrained_row_saw(suite: Path) -> None:
    def learn(record: dict[str, Any]) -> None:
        faces = {key: record["trained_on"][key] for key in ("dataset", "revision")}
        record["trained_on"]["ancestors"] = [{"role": "teacher", "name": "big", **faces, "split": "val"}]

    change(suite.parent / "models" / "texture", learn)
    outcome = run(suite, only=("ready",))
    copy = shutil.copytree(outcome.run.folder, suite.parent / "copy")
    merged = merge_runs([outcome.run.folder, copy], suite.parent / "both", "").summary
    mine, theirs = (next(c for c in one.checks if c.code == "FB017") for one in (outcome.summary, merged))
    assert any(found.text.startswith("big, a teacher of ready, learnt from synthetic") for found in theirs.findings)
    assert mine == theirs


def test_what_a_teacher_learnt_from_is_inherited_and_an_old_record_is_not_trusted(suite: Path) -> None:
    folder = suite.parent / "models" / "texture"
    change(folder, lambda record: record["trained_on"].update(teachers=["/home/a/big"], initial="small"))
    (own, *before) = as_ancestors(TEACHER, str(folder))
    assert (own["name"], own["split"]) == ("texture", "train")
    assert before == [{"role": "teacher", "name": "big"}, {"role": "initial weights", "name": "small"}]
    assert [(one.name, one.dataset) for one in read_saved(".", folder).record().ancestors] == [
        ("big", None),
        ("small", None),
    ]


def test_the_shipped_pipelines_say_what_all_their_ancestors_learnt_from() -> None:
    for name in shipped():
        for one in read_saved(name, Path()).record().ancestors:
            assert (one.dataset, one.split) == ("fer2013", "train"), (name, one)
            assert "/" not in one.name


def test_folds_score_everything_and_so_refuse_whatever_learnt_from_the_data_set(suite: Path) -> None:
    suite.write_text(SUITE.replace(f'"{DATA}"', f'"{DATA}", protocol: subject-kfold, folds: 3'))
    with pytest.raises(InvalidSuiteError, match="trained on"):
        plan(suite)
    change(suite.parent / "models" / "texture", lambda record: record["trained_on"].update(revision="another"))
    rows = {row.row: row for row in run(suite).summary.rows}
    assert rows["ready"].quality is not None
    assert rows["ready"].quality.n == 168
    assert rows["ready"].fit_seconds is None


def test_a_model_of_another_label_space_is_refused(suite: Path) -> None:
    def forget(record: dict[str, Any]) -> None:
        record["label_space"]["labels"].remove("disgust")
        record["classes"].remove("disgust")

    change(suite.parent / "models" / "texture", forget)
    with pytest.raises(InvalidSuiteError, match=r"line 8: .* a model from another label space .* got no disgust among"):
        plan(suite)


def test_what_only_the_model_knows_counts_as_a_wrong_answer(suite: Path) -> None:
    """Restricting a model to the data set's expressions would flatter it."""

    def learn(record: dict[str, Any]) -> None:
        record["label_space"]["labels"].append("contempt")
        record["trained_on"]["revision"] = "another"

    change(suite.parent / "models" / "texture", learn)
    quality = next(row.quality for row in run(suite).summary.rows if row.row == "ready")
    assert quality is not None
    assert quality.labels[-1] == "contempt"
    assert len(quality.confusion) == 8


def test_of_contempt_that_a_model_does_not_know_the_data_set_says_what_becomes(suite: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("angry", "happy", "contempt"):
        (folder := suite.parent / "faces" / label).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, (48, 48), np.uint8))
    faces = f"images(path={suite.parent / 'faces'})"
    without = str(Spec("images", {"path": str(suite.parent / "faces"), "contempt": "drop"}))
    suite.write_text(ALONE.replace(f'{{name: "{DATA}"}}', f'{{name: "{faces}", test: all, train: null}}'))
    with pytest.raises(InvalidSuiteError) as error:
        plan(suite)
    assert f'say what becomes of contempt: name: "{without}" (or disgust, or neutral)' in str(error.value)
    suite.write_text(suite.read_text().replace(faces, without))
    made = run(suite)
    (row,) = made.summary.rows
    assert row.quality is not None
    assert row.quality.n == 6
    assert "Faces of contempt" in next(c for c in made.summary.checks if c.code == "FB018").findings[0].text

    # The same pictures are known by their content, whatever becomes of some.
    learnt = {"dataset": "faces", "split": "all", "revision": load_dataset(faces).revision}
    change(suite.parent / "models" / "texture", lambda record: record["trained_on"].update(learnt))
    with pytest.raises(InvalidSuiteError, match="would be scored on faces that it was trained on"):
        plan(suite)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("saved: nowhere", "no saved pipeline 'nowhere'"),
        ("saved: tinny", "or one of accurate, accurate-ferplus, tiny, tiny-ferplus"),
        ("saved: models", "no saved pipeline 'models'"),
    ],
)
def test_a_pipeline_that_is_not_there_is_one_line_with_its_place(suite: Path, text: str, says: str) -> None:
    suite.write_text(SUITE.replace("saved: models/texture", text))
    with pytest.raises(InvalidSuiteError) as error:
        plan(suite)
    assert str(error.value).startswith(f"{suite}, line 8: ")
    assert says in str(error.value)


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"pipeline": 3}', "\x00"])
def test_a_damaged_record_is_one_clear_line(suite: Path, damage: str) -> None:
    (suite.parent / "models" / "texture" / "pipeline.json").write_text(damage)
    with pytest.raises(ModelFileError) as error:
        read_saved("models/texture", suite.parent)
    assert "\n" not in str(error.value)
    assert "damaged" in str(error.value)


def test_a_record_cannot_reach_outside_its_folder(suite: Path) -> None:
    change(suite.parent / "models" / "texture", lambda record: record["files"].update({"../secret": "0"}))
    with pytest.raises(ModelFileError, match="outside its folder"):
        read_saved("models/texture", suite.parent)


def test_an_exchanged_file_fails_its_row_alone(suite: Path) -> None:
    (suite.parent / "models" / "texture" / "model.skops").write_bytes(b"other")
    status = {row.row: row for row in run(suite).summary.rows}
    assert status["texture"].status == "ok"
    assert status["ready"].status == "failed"
    assert status["ready"].error is not None
    assert status["ready"].error.type == "ModelFileError"


def test_a_shipped_name_means_the_shipped_pipeline(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    assert read_saved("tiny", tmp_path).folder == shipped()["tiny"]


def test_a_shipped_network_is_scored_timed_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "shipped.yaml"
    ready = "  - {id: tiny, saved: tiny}\n"
    path.write_text(SUITE.split("  - {id: texture", maxsplit=1)[0] + ready + LATENCY)
    outcome = run(path)
    (row,) = outcome.summary.rows
    assert row.error is None
    assert row.quality is not None
    assert row.agreement is None, "its own runtime is the reference"
    (timing,) = row.latency
    assert timing.stages["total"].n >= 8
    assert timing.artefact_bytes < 10e6
    for page in build_report(outcome.run.folder):
        text = Path(page).read_text(encoding="utf-8")
        assert "pretrained" in text
        assert "trained on fer2013 train (28,544 faces" in text


def test_rows_that_were_done_apart_are_merged(suite: Path) -> None:
    folders = [run(suite, only=(row,), new=True).run.folder for row in ("texture", "ready")]
    merged = merge_runs(folders, suite.parent / "both", "").summary
    assert {row.row for row in merged.rows if row.quality is not None} == {"texture", "ready"}


def test_a_saved_row_in_parallel_workers(suite: Path) -> None:
    outcome = run(suite, jobs=2)
    assert {row.row: row.status for row in outcome.summary.rows} == {"texture": "ok", "ready": "ok"}


def test_photos_are_cut_as_the_saved_pipeline_says(suite: Path) -> None:
    """Crops are kept for later runs: those of one geometry must not answer for another's."""
    data = "synthetic(n_train=0, n_val=0, n_test=14)"
    folder = suite.parent / "models" / "texture"
    suite.write_text(ALONE.replace(DATA, data))
    change(folder, lambda record: record.update(pipeline="haar/lbp(grid=4)/logistic-regression@sklearn"))

    def probabilities() -> np.ndarray:
        outcome: Run = run(suite).run
        (cell,) = [part.cell for part in outcome.parts().values() if part.cell.kind == "quality"]
        items = outcome.items(cell.id)
        return items.loc[items["detected"], "p_happy"].to_numpy()

    first = probabilities()
    change(folder, lambda record: record.update(crop_scale=1.6))
    assert len(first) > 5
    assert not np.allclose(probabilities(), first)


def test_the_command_plans_a_saved_row(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(suite), "--plan"]) == 0
    assert "3 cells (1 fit, 2 quality" in capsys.readouterr().out
