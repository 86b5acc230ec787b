"""The generated video and its ground truth."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from ferbench.datasets.synthetic import synthetic_stream
from ferbench.errors import ParameterError
from ferbench.labels import FER7

SIZE = (160, 120)


def test_two_streams_of_a_seed_are_equal() -> None:
    settings = {"seed": 5, "size": SIZE, "seconds": 0.5, "noise": 4.0, "flicker": 0.1, "n_faces": 2}
    one, other = (list(synthetic_stream(**settings)) for _ in range(2))  # type: ignore[arg-type]
    assert len(one) == 15
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.boxes, b.boxes)
        assert a.labels == b.labels


def test_frames_are_timed_and_carry_their_truth() -> None:
    frames = list(synthetic_stream(1, SIZE, fps=25, seconds=1.0, n_faces=2))
    assert [f.index for f in frames] == list(range(25))
    assert frames[10].t_ms == pytest.approx(400.0)
    for frame in frames:
        assert frame.image.shape == (120, 160, 3)
        assert frame.image.dtype == np.uint8
        assert frame.boxes.shape == (2, 4)
        assert frame.boxes.dtype == np.float32
        assert (frame.boxes >= 0).all()
        assert (frame.boxes[:, 2] <= 160).all()
        assert (frame.boxes[:, 3] <= 120).all()
        assert set(frame.labels) <= set(FER7)
        assert frame.tracks.tolist() == [0, 1]


def test_every_expression_comes_and_labels_follow_intensity() -> None:
    frames = list(synthetic_stream(2, (64, 64), fps=10, seconds=25.0))
    assert {f.labels[0] for f in frames} == set(FER7)
    shown = np.array([f.intensity[0] for f in frames])
    neutral = np.array([f.labels[0] == "neutral" for f in frames])
    assert shown[~neutral].min() >= 0.3
    assert shown[neutral].max() <= 0.5
    assert 0.1 < neutral.mean() < 0.6


def test_expressions_and_heads_move_without_jumps() -> None:
    frames = list(synthetic_stream(3, SIZE, fps=30, seconds=6.0))
    assert np.abs(np.diff([f.intensity[0] for f in frames])).max() < 0.2
    centres = np.array([f.boxes[0].reshape(2, 2).mean(0) for f in frames])
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    assert 0 < steps.max() < 4.0


def test_a_still_head_stays_where_it_is() -> None:
    frames = list(synthetic_stream(3, SIZE, fps=10, seconds=1.0, motion=0.0))
    assert np.ptp([f.boxes[0, 0] for f in frames]) < 1e-3


def test_flicker_changes_the_light_and_nothing_else() -> None:
    still, lit = (list(synthetic_stream(4, SIZE, seconds=1.0, motion=0.0, flicker=flicker)) for flicker in (0.0, 0.3))
    brightness = [np.std([f.image.mean() for f in frames]) for frames in (still, lit)]
    assert brightness[1] > 5 * brightness[0]
    np.testing.assert_array_equal(still[7].boxes, lit[7].boxes)


def test_noise_has_the_strength_asked_for() -> None:
    clean, noisy = (next(synthetic_stream(4, SIZE, noise=sigma)).image.astype(float) for sigma in (0.0, 6.0))
    middle = (clean > 40) & (clean < 215)
    assert np.std((noisy - clean)[middle]) == pytest.approx(6.0, rel=0.15)


def test_people_who_cross_hide_each_other_and_keep_their_names() -> None:
    frames = list(synthetic_stream(6, (320, 120), fps=10, seconds=8.0, n_faces=2, crossing=True))
    x = np.array([f.boxes[:, 0] for f in frames])
    assert len(np.unique(np.sign(x[:, 0] - x[:, 1]))) > 1
    assert min(f.visible.min() for f in frames) < 0.6
    assert max(f.visible.min() for f in frames) == 1.0
    assert np.abs(np.diff(x, axis=0)).max() < 20


def test_a_stream_may_never_end() -> None:
    frames = list(islice(synthetic_stream(7, (64, 64), seconds=float("inf")), 3))
    assert len(frames) == 3


@pytest.mark.parametrize(
    "setting", [{"fps": 0}, {"flicker": -1}, {"noise": -1}, {"n_faces": -1}, {"motion": 9}, {"size": (8, 8)}]
)
def test_a_wrong_setting_is_an_error_before_the_first_frame(setting: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        synthetic_stream(**setting)  # type: ignore[arg-type]
