"""Figures on spoilt faces and across data sets, with answers worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ferbench.benchmarks.means import estimate_of_means, ratio
from ferbench.benchmarks.robustness import measure_robustness
from ferbench.benchmarks.robustness_summary import robustness_figures
from ferbench.benchmarks.shifts import TransferSummary
from ferbench.benchmarks.transfer import known_labels_only, label_table
from ferbench.benchmarks.transfer_summary import generalisation
from ferbench.datasets import same_pictures
from ferbench.errors import LabelError
from ferbench.labels import LabelSpace
from ferbench.samples import Samples

SPACE = LabelSpace("TWO", ("happy", "sad"))


def pipeline_that(answer: Any) -> Any:
    """A pipeline that says happy where ``answer(crops)`` is true."""

    def classify(crops: np.ndarray) -> np.ndarray:
        happy = np.asarray(answer(crops), np.float32)
        return np.stack([happy, 1 - happy], axis=1)

    return SimpleNamespace(labels=SPACE.labels, label_space=SPACE, classify=classify)


@pytest.fixture(scope="module")
def two_tones() -> Samples:
    """Bright happy faces and dark sad ones, of little contrast: means of 150 and 90."""
    generator = np.random.default_rng(0)
    means = np.repeat([150, 90], 20)
    crops = np.clip(means[:, None, None] + generator.normal(0, 12, (40, 48, 48)), 0, 255).astype(np.uint8)
    ids = np.array([f"f{i}" for i in range(40)])
    labels = np.repeat(["happy", "sad"], 20)
    return Samples(crops, labels, ids, SPACE, "crops", "tones", "test", "r1")


def test_one_that_answers_by_brightness_falls_under_light_alone(two_tones: Samples) -> None:
    names = ("low-light", "over-exposure", "contrast", "noise")
    by_brightness = pipeline_that(lambda crops: crops.mean(axis=(1, 2)) > 120)
    found = measure_robustness(by_brightness, two_tones, names)
    assert found.clean.value == 1
    # 60 % of 150 is 90: from the first severity on all faces are dark, and the sad half is right.
    assert found.accuracy["low-light"] == (0.5,) * 5
    # 1.3 times 90 is 117, and 1.6 times is 144.
    assert found.accuracy["over-exposure"] == (1.0, 0.5, 0.5, 0.5, 0.5)
    assert found.accuracy["contrast"] == found.accuracy["noise"] == (1.0,) * 5
    assert found.relative.value == pytest.approx((0.5 + 0.6 + 1 + 1) / 4)


def test_one_that_never_looks_keeps_everything(two_tones: Samples) -> None:
    found = measure_robustness(pipeline_that(lambda crops: np.ones(len(crops))), two_tones)
    assert (found.clean.value, found.mean.value) == (0.5, 0.5)
    assert (found.relative.value, found.relative.low, found.relative.high) == pytest.approx((1, 1, 1))


def right(clean: float, *accuracies: float, n: int = 100) -> np.ndarray:
    """A table of faces with these accuracies."""
    return np.stack([np.arange(n) < round(n * one) for one in (clean, *accuracies)], axis=1).astype(float)


IDS = np.array([f"{i:03d}" for i in range(100)])


def test_figures_worked_out_by_hand() -> None:
    # Two corruptions at two severities; of the baseline the same.
    mine, theirs = right(0.9, 0.8, 0.6, 0.7, 0.5), right(0.8, 0.6, 0.4, 0.5, 0.3)
    found = robustness_figures(mine, IDS, ["noise", "jpeg"], [1, 5], 0, theirs)
    assert found["clean"].value == pytest.approx(0.9)
    assert [one.value for one in found["accuracy"]["jpeg"]] == pytest.approx([0.7, 0.5])
    assert found["by_corruption"]["noise"].value == pytest.approx(0.7)
    assert found["mean"].value == pytest.approx(0.65)
    assert found["relative"].value == pytest.approx(0.65 / 0.9)
    # Errors: 0.3 and 0.4 over 0.5 and 0.6; they grow by 0.2 and 0.3 over 0.3 and 0.4.
    assert found["mce"].value == pytest.approx((0.3 / 0.5 + 0.4 / 0.6) / 2)
    assert found["relative_mce"].value == pytest.approx((0.2 / 0.3 + 0.3 / 0.4) / 2)
    assert found["mce"].low < found["mce"].value < found["mce"].high
    itself = robustness_figures(theirs, IDS, ["noise", "jpeg"], [1, 5], 0, theirs)
    assert (itself["mce"].value, itself["mce"].low, itself["mce"].high) == pytest.approx((1, 1, 1))


def test_what_is_not_defined_is_not_there() -> None:
    mine = right(0.5, 0.4)
    assert robustness_figures(mine, IDS, ["noise"], [3], 0)["mce"] is None
    unshaken = right(0.5, 0.5)
    found = robustness_figures(mine, IDS, ["noise"], [3], 0, unshaken)
    assert found["relative_mce"] is None
    assert found["mce"].value == pytest.approx(0.6 / 0.5)
    assert robustness_figures(right(0.0, 0.1), IDS, ["noise"], [3], 0)["relative"] is None


def test_intervals_resample_subjects_and_need_more_than_one() -> None:
    table = right(0.5)
    figures = {"a": lambda means: {"a": means[:, 0]}}["a"]
    alone = estimate_of_means(table, np.repeat("one", 100), figures, 0)["a"]
    assert (alone.value, alone.low, alone.high) == (0.5, None, None)
    # Two people, one always right and one always wrong: any share of them can be drawn.
    pair = estimate_of_means(table, np.repeat(["a", "b"], 50), figures, 0)["a"]
    assert (pair.low, pair.high) == (0.0, 1.0)
    faces = estimate_of_means(table, IDS, figures, 0)["a"]
    # A binomial of 100 at one half: 0.5 -+ 1.96 * 0.05.
    assert (faces.low, faces.high) == pytest.approx((0.40, 0.60), abs=0.02)


def test_a_ratio_that_is_often_undefined_has_no_interval() -> None:
    rare = np.zeros((20, 2))
    rare[0] = 1  # not drawn in some (1 - 1/20)^20 = 36 % of the resamples
    found = estimate_of_means(rare, IDS[:20], lambda means: {"r": ratio(means[:, 0], means[:, 1])}, 0)["r"]
    assert (found.value, found.low, found.high) == (1.0, None, None)


KNOWN = ("happy", "sad", "disgust")


def test_labels_that_a_pipeline_never_learnt_follow_the_policies() -> None:
    labels = ("happy", "contempt", "neutral")
    table = label_table(labels, KNOWN, contempt="disgust", missing="wrong")
    assert table == {"happy": "happy", "contempt": "disgust", "neutral": "neutral"}
    table = label_table(labels, KNOWN, contempt="drop", missing="drop")
    assert table == {"happy": "happy", "contempt": None, "neutral": None}
    # What is known needs no policy.
    assert label_table(("contempt",), ("contempt",), contempt="error", missing="error") == {"contempt": "contempt"}
    with pytest.raises(LabelError, match=r"cross: \{contempt: drop\}"):
        label_table(labels, KNOWN, contempt="error", missing="drop")
    with pytest.raises(LabelError, match="nor 'neutral'"):
        label_table(labels, KNOWN, contempt="neutral", missing="drop")
    with pytest.raises(LabelError, match=r"'neutral'.*missing: drop"):
        label_table(labels, KNOWN, contempt="drop", missing="error")


def items() -> pd.DataFrame:
    truth = ["happy", "contempt", "neutral", "sad"]
    columns = {f"p_{label}": 0.25 for label in ("happy", "contempt", "neutral", "sad", "disgust")}
    table = {"id": list("abcd"), "subject": None, "truth": truth, "predicted": "disgust", "detected": True}
    return pd.DataFrame({**table, **columns})


def test_faces_are_left_out_counted_wrong_or_counted_as_another_expression() -> None:
    kept, done = known_labels_only(items(), KNOWN, contempt="disgust", missing="wrong")
    assert list(kept["truth"]) == ["happy", "disgust", "neutral", "sad"]
    assert list(kept["predicted"] == kept["truth"]) == [False, True, False, False]
    assert done == {"n_dropped": 0, "mapped": {"contempt": "disgust", "neutral": "counted wrong"}}
    kept, done = known_labels_only(items(), KNOWN, contempt="drop", missing="drop")
    assert list(kept["id"]) == ["a", "d"]
    assert [name for name in kept if name.startswith("p_")] == ["p_happy", "p_sad", "p_disgust"]
    assert done == {"n_dropped": 2, "mapped": {"contempt": "left out", "neutral": "left out"}}


def cell(trained_on: str, dataset: str, accuracy: float, note: str | None = None) -> TransferSummary:
    return TransferSummary.model_validate(
        {
            "row": "r", "trained_on": trained_on, "dataset": dataset, "is_diagonal": trained_on == dataset,
            "status": "ok", "accuracy": {"value": accuracy}, "note": note,
        }
    )  # fmt: skip


def test_a_drop_is_the_share_of_the_own_accuracy_that_other_data_sets_cost() -> None:
    cells = [cell("a", "a", 0.8), cell("a", "b", 0.5), cell("a", "c", 0.3), cell("a", "d", 0.8, "the same pictures")]
    (one,) = generalisation([*cells, cell("b", "a", 0.4)])
    assert (one.trained_on, one.own, one.others, one.n_others) == ("a", 0.8, pytest.approx(0.4), 2)
    assert one.relative_drop == pytest.approx(0.5)


def test_data_sets_of_the_same_pictures() -> None:
    assert same_pictures("ferplus", "fer2013(path='x.csv')")
    assert not same_pictures("fer2013", "ckplus")
    assert not same_pictures("fer2013", "fer2013")
