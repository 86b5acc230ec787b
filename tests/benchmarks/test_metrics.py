"""Metrics against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn import metrics as reference

from ferbench.benchmarks.metrics import class_scores, evaluate_weights, sufficient


@pytest.fixture
def faces() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 5, 400)
    scores = generator.normal(size=(400, 5)) + 1.5 * np.eye(5)[truth]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return truth, probabilities.argmax(axis=1), probabilities


def values(truth, predicted, probabilities) -> dict[str, dict[str, float]]:
    sums = sufficient(truth, predicted, probabilities, np.arange(len(truth)))
    return {part: {k: float(v[0]) for k, v in m.items()} for part, m in evaluate_weights(sums).items()}


def test_all_metrics_equal_scikit_learns(faces) -> None:
    truth, predicted, probabilities = faces
    mine = values(truth, predicted, probabilities)["detected"]
    assert mine["accuracy"] == pytest.approx(reference.accuracy_score(truth, predicted))
    assert mine["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(truth, predicted))
    assert mine["macro_f1"] == pytest.approx(reference.f1_score(truth, predicted, average="macro"))
    assert mine["weighted_f1"] == pytest.approx(reference.f1_score(truth, predicted, average="weighted"))
    assert mine["log_loss"] == pytest.approx(reference.log_loss(truth, probabilities))
    one_hot = np.eye(5)[truth]
    assert mine["brier"] == pytest.approx(((probabilities - one_hot) ** 2).sum(axis=1).mean())


def test_class_scores_equal_scikit_learns(faces) -> None:
    truth, predicted, probabilities = faces
    sums = sufficient(truth, predicted, probabilities, np.zeros(len(truth), int))
    mine = np.array(class_scores(sums.confusion[0].astype(int)))
    theirs = np.array(reference.precision_recall_fscore_support(truth, predicted)).T
    np.testing.assert_allclose(mine, theirs)


def test_a_missed_face_is_wrong_end_to_end_and_absent_from_the_detected(faces) -> None:
    truth, predicted, probabilities = faces
    missed = np.arange(len(truth)) % 4 == 0
    with_misses = np.where(missed, -1, predicted)
    noise = np.where(missed[:, None], np.nan, probabilities)
    mine = values(truth, with_misses, noise)
    kept = ~missed
    expected = values(truth[kept], predicted[kept], probabilities[kept])["detected"]
    assert mine["detected"] == pytest.approx(expected)
    assert mine["end_to_end"]["accuracy"] == pytest.approx((with_misses == truth).mean())
    # As if the missed faces had been given to a sixth class, averaged over the five that occur.
    sixth = np.where(missed, 5, predicted)
    expected = reference.f1_score(truth, sixth, average="macro", labels=range(5))
    assert mine["end_to_end"]["macro_f1"] == pytest.approx(expected)


def test_a_majority_baseline_has_one_calibration_bin_whatever_the_order_of_faces() -> None:
    truth = np.array([0] * 60 + [1] * 40)
    probabilities = np.tile([0.9, 0.1], (100, 1))
    for order in (np.arange(100), np.arange(100)[::-1], np.random.default_rng(0).permutation(100)):
        ece = values(truth[order], np.zeros(100, int), probabilities)["detected"]["ece"]
        assert ece == pytest.approx(0.3)


def test_a_calibrated_forecaster_has_a_small_calibration_error() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, 50_000)
    truth = (generator.uniform(size=50_000) > confidence).astype(int)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    predicted = np.zeros(50_000, int)
    assert values(truth, predicted, probabilities)["detected"]["ece"] < 0.01
    over = np.stack([np.full(50_000, 1.0), np.zeros(50_000)], axis=1)
    assert values(truth, predicted, over)["detected"]["ece"] == pytest.approx(0.25, abs=0.01)


def test_no_detected_face_at_all_leaves_nothing_to_say_of_detected_faces() -> None:
    mine = values(np.array([0, 1]), np.array([-1, -1]), np.full((2, 2), np.nan))
    assert np.isnan(mine["detected"]["accuracy"])
    assert mine["end_to_end"]["accuracy"] == 0


def test_weights_are_repetitions_of_groups(faces) -> None:
    truth, predicted, probabilities = (a[:40] for a in faces)
    groups = np.arange(40) // 4
    weights = np.random.default_rng(1).integers(0, 4, (1, 10)).astype(float)
    times = weights[0][groups].astype(int)
    repeated = (np.repeat(a, times, axis=0) for a in (truth, predicted, probabilities))
    mine = evaluate_weights(sufficient(truth, predicted, probabilities, groups), weights)
    theirs = values(*repeated)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "log_loss", "brier"):
        assert mine["detected"][name][0] == pytest.approx(theirs["detected"][name])
