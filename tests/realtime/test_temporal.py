"""Temporal metrics with answers worked out by hand, streams that are what they say, and the benchmark end to end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ferbench.datasets.synthetic import StreamFrame
from ferbench.errors import DataError, ParameterError, ShapeError, UnknownNameError
from ferbench.faces import Faces
from ferbench.labels import LabelSpace
from ferbench.realtime.smoothing import Smoother
from ferbench.realtime.temporal import (
    CONDITIONS,
    REFERENCE,
    SmoothingScores,
    Trace,
    choose,
    count,
    measure_temporal,
    metrics_of,
    replay,
)
from ferbench.realtime.temporal.metrics import COUNTS
from ferbench.realtime.temporal.streams import animate, people
from ferbench.realtime.temporal.traces import trace_frames
from ferbench.samples import Samples

LABELS = ("happy", "sad", "neutral")
STEP = 100.0


def one_face(truth: list[int], said: list[int]) -> Trace:
    """A stream of ten frames a second of one face; -1 is a frame in which it was not found."""
    n = len(truth)
    found = np.array(said) >= 0
    probabilities = np.where(found[:, None], np.eye(3, dtype=np.float32)[said], 0).astype(np.float32)
    index = np.arange(n)
    return Trace(index, STEP * index, np.zeros(n, int), np.array(truth), np.where(found, 1, -1), probabilities)


def counted(truth: list[int], said: list[int]) -> dict[str, float]:
    trace = one_face(truth, said)
    return dict(zip(COUNTS, count(trace, [replay(trace, "none")])[0].tolist(), strict=True))


def test_a_label_that_follows_at_once_has_no_lag_and_no_flicker():
    got = counted([0] * 10 + [1] * 10, [0] * 10 + [1] * 10)
    assert got == {
        "frames": 20,
        "right": 20,
        "seconds": 2.0,
        "flicker": 0,
        "changes": 1,
        "lag_ms": 0,
        "missed": 0,
        "found": 20,
        "brier": 0,
    }


def test_lag_ends_where_the_label_stays_and_not_where_it_first_appears():
    # Right at once for one frame, wrong for two, then right for good: 300 ms, and two superfluous changes.
    got = counted([0] * 10 + [1] * 10, [0] * 10 + [1, 0, 0] + [1] * 7)
    assert (got["lag_ms"], got["flicker"], got["missed"]) == (300, 2, 0)


def test_a_change_that_is_never_followed_lags_until_the_next_one():
    trace = one_face([0] * 10 + [1] * 10, [0] * 10 + [1] * 10)
    stuck = np.tile(np.eye(3, dtype=np.float32)[0], (20, 1))
    got = dict(zip(COUNTS, count(trace, [replay(trace, "none"), stuck])[1].tolist(), strict=True))
    assert (got["changes"], got["lag_ms"], got["missed"], got["right"]) == (1, 1000, 1, 10)


def test_a_change_that_the_pipeline_itself_does_not_see_says_nothing_of_lag():
    assert counted([0] * 10 + [1] * 10, [0] * 15 + [1] * 5)["changes"] == 0


def test_each_change_of_the_truth_excuses_one_of_the_label_and_no_more():
    assert counted([0] * 5 + [1] * 5, [0] * 5 + [2, 2, 1, 1, 1])["flicker"] == 1
    assert counted([0] * 6, [0, 1, 0, 0, 0, 0])["flicker"] == 2
    # A frame early is the same change; a second early is another.
    assert counted([0] * 12 + [1] * 5, [0] * 11 + [1] * 6)["flicker"] == 0
    assert counted([0] * 12 + [1] * 5, [0] * 2 + [1] * 15)["flicker"] == 1


def test_a_missed_face_is_wrong_but_no_change_of_label():
    got = counted([0] * 6, [0, 0, -1, -1, 0, 0])
    assert (got["right"], got["found"], got["flicker"]) == (4, 4, 0)


def test_brier_score_is_scikit_learns():
    from sklearn.metrics import brier_score_loss

    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 12).astype(np.float32)
    truth = np.repeat([0, 2], 6)
    index = np.arange(12)
    trace = Trace(index, STEP * index, np.zeros(12, int), truth, np.ones(12, int), p)
    brier = metrics_of(count(trace, [replay(trace, "none")])[0])["brier"]
    assert brier == pytest.approx(brier_score_loss(truth, p, labels=[0, 1, 2], scale_by_half=False), rel=1e-5)


def test_metrics_are_ratios_of_sums():
    sums = np.array([10, 5, 2.0, 3, 4, 800, 1, 10, 6.0])
    assert {name: float(value) for name, value in metrics_of(sums).items()} == {
        "accuracy": 0.5,
        "flicker": 1.5,
        "lag_ms": 200,
        "missed": 0.25,
        "brier": 0.6,
    }


@pytest.mark.parametrize("smoothing", ["mean:3", "ema:150ms+hysteresis:0.2", "hmm:0.9"])
def test_a_replay_shows_what_the_live_loop_shows(smoothing: str):
    rng = np.random.default_rng(1)
    frame = np.repeat(np.arange(15), 2)
    track = np.tile([4, 9], 15)
    p = rng.dirichlet(np.ones(3), 30).astype(np.float32)
    trace = Trace(frame, frame * STEP, track, np.zeros(30, int), track, p)
    smoother = Smoother(smoothing)
    live = [smoother.smooth([4, 9], p[2 * i : 2 * i + 2], i * STEP) for i in range(15)]
    np.testing.assert_array_equal(replay(trace, smoothing), np.concatenate(live))


def test_a_trace_survives_its_way_through_the_cache():
    trace = one_face([0, 0, 1], [0, -1, 1])
    again = Trace.from_array(trace.to_array())
    assert all(np.array_equal(getattr(trace, name), getattr(again, name)) for name in vars(trace))
    with pytest.raises(ShapeError, match="differ in length"):
        Trace(*(vars(trace) | {"t_ms": np.zeros(1)}).values())


class Fixed:
    """Finds given boxes and is always happy."""

    labels = LABELS

    def __init__(self, boxes: list[list[tuple[int, int, int, int]]]) -> None:
        self._boxes = iter(boxes)

    def process(self, images: Any) -> Any:
        faces = Faces.from_lists([next(self._boxes)])
        said = np.tile(np.float32([0.8, 0.1, 0.1]), (len(faces), 1))
        return SimpleNamespace(faces=faces, probabilities=said, times_ns={})


def frame(index: int, visible: tuple[float, float] = (1.0, 1.0), label: str = "happy") -> StreamFrame:
    boxes = np.array([[0, 0, 20, 20], [50, 0, 70, 20]], np.float32)
    image = np.zeros((40, 80, 3), np.uint8)
    shown = np.array(visible, np.float32)
    return StreamFrame(image, index, STEP * index, boxes, (label, "sad"), np.ones(2, np.float32), np.arange(2), shown)


def test_boxes_meet_the_faces_that_they_frame_and_missed_and_hidden_faces_are_told():
    a, b = (1, 1, 21, 21), (51, 0, 71, 20)
    trace = trace_frames(Fixed([[a, b], [b], [a, b]]), [frame(0), frame(1), frame(2, (1.0, 0.2))])  # type: ignore[arg-type]
    assert trace.face.tolist() == [0, 1, 0, 1, 0, -1]
    assert trace.truth.tolist() == [0, 1, 0, 1, 0, -1]
    assert (trace.track >= 0).tolist() == [True, True, False, True, True, True]
    # The same people have the same tracks throughout; the hidden one's box still feeds its own.
    assert trace.track[0] == trace.track[4] != trace.track[1] == trace.track[3] == trace.track[5]


def test_an_expression_that_the_pipeline_does_not_know_is_an_error():
    with pytest.raises(DataError, match="does not know 'fear'"):
        trace_frames(Fixed([[(0, 0, 20, 20)]]), [frame(0, label="fear")])  # type: ignore[arg-type]


def faces_of(*gray: int) -> npt.NDArray[np.uint8]:
    return np.stack([np.full((16, 16), value, np.uint8) for value in gray])


def test_an_animated_person_changes_expression_where_the_faces_do():
    pictures = {"happy": faces_of(200), "sad": faces_of(50)}
    frames, labels = animate(pictures, CONDITIONS["calm"], seed=[3], seconds=5, fps=30)
    again, _ = animate(pictures, CONDITIONS["calm"], seed=[3], seconds=5, fps=30)
    assert frames.shape == (150, 16, 16)
    assert np.array_equal(frames, again)
    assert set(labels) == {"happy", "sad"}
    assert np.array_equal(frames.mean(axis=(1, 2)) > 125, np.array(labels) == "happy")


def test_conditions_disturb_what_they_say():
    pictures = {"happy": faces_of(100), "sad": faces_of(100)}

    def play(condition: str) -> npt.NDArray[np.uint8]:
        return animate(pictures, CONDITIONS[condition], seed=[0], seconds=5, fps=20)[0]

    calm, light, noise = play("calm"), play("light"), play("noise")
    assert np.all(calm == 100)
    assert light.mean(axis=(1, 2)).std() > 15
    assert np.all(light.std(axis=(1, 2)) == 0)
    assert noise.std(axis=(1, 2)).mean() == pytest.approx(20, abs=1)


def samples(subjects: list[str] | None) -> Samples:
    labels = np.array(["happy", "sad", "happy", "happy", "contempt"])
    who = None if subjects is None else np.array(subjects)
    return Samples(
        images=np.stack([np.full((48, 48), 10 * i, np.uint8) for i in range(5)]),
        labels=labels,
        dataset="mine",
        split="all",
        kind="crops",
        label_space=LabelSpace("MINE", ("happy", "sad", "contempt")),
        subjects=who,
        ids=np.array(list("abcde")),
        revision="r",
    )


def test_only_people_with_two_known_expressions_play():
    crops = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2)
    cast = people(samples(["x", "x", "y", "z", "z"]), crops, LABELS)
    assert list(cast) == ["x"]
    assert np.array_equal(cast["x"]["sad"], crops[1:2])
    with pytest.raises(DataError, match="does not say who"):
        people(samples(None), crops, LABELS)
    with pytest.raises(DataError, match="nobody in mine"):
        people(samples(list("vwxyz")), crops, LABELS)


def scores(name: str, **metrics: float) -> SmoothingScores:
    whole = {"accuracy": 0.6, "flicker": 0.5, "lag_ms": 170.0, "missed": 0.02, "brier": 0.5} | metrics
    values = {key: {"value": value} for key, value in whole.items()}
    return SmoothingScores.model_validate(
        {"smoothing": name, "condition": "all", "metrics": values, "minus_none": {}, "minus_reference": {}}
    )


def test_the_rule_takes_the_least_flicker_among_those_that_lose_nothing():
    table = [
        scores(REFERENCE),
        scores("steady", flicker=0.1, lag_ms=160),
        scores("late", flicker=0.01, lag_ms=171),
        scores("wrong", flicker=0.01, accuracy=0.59),
        scores("deaf", flicker=0.01, missed=0.03),
        scores("boastful", flicker=0.01, brier=0.51),
    ]
    assert choose(table) == "steady"
    assert choose([table[0], *table[2:]]) == REFERENCE


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"n": 1}, ParameterError, "number of persons"),
        ({"fps": 0}, ParameterError, "fps"),
        ({"seed": -1}, ParameterError, "seed"),
        ({"conditions": ["drak"]}, UnknownNameError, "drak"),
        ({"smoothings": ["maen:3"]}, ParameterError, "did you mean 'mean'"),
    ],
)
def test_what_cannot_be_measured_is_told_before_anything_runs(arguments: Any, error: type[Exception], said: str):
    with pytest.raises(error, match=said):
        measure_temporal(Fixed([]), **arguments)  # type: ignore[arg-type]
