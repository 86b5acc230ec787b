"""Test-time augmentation: which views there are, that they are averaged, and that they are a row of their own."""

from __future__ import annotations

import numpy as np
import pytest

from ferbench.classifiers.runtimes.views import averaged, views_of
from ferbench.errors import UnknownNameError
from ferbench.pipelines import parse_pipeline_id

CROPS = np.random.default_rng(0).integers(0, 256, (3, 48, 48), dtype=np.uint8)


class Means:
    """Probabilities from the mean of the left half, which a mirror image changes, and the crops it was asked about."""

    def __init__(self) -> None:
        self.n_seen = 0

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        self.n_seen += len(crops)
        p = crops[:, :, :24].mean(axis=(1, 2)) / 255
        return np.stack([p, 1 - p], axis=1).astype(np.float32)


@pytest.mark.parametrize(("tta", "n"), [("none", 1), ("flip", 2), ("ten-crop", 10)])
def test_the_mean_over_the_views_at_their_cost(tta: str, n: int) -> None:
    counted, reference = Means(), Means()
    said = averaged(counted, tta)(CROPS)
    views = list(views_of(CROPS, tta))
    assert counted.n_seen == n * len(CROPS)
    assert len(views) == n
    assert {view.shape for view in views} == {CROPS.shape}
    np.testing.assert_allclose(said, np.mean([reference(view) for view in views], axis=0), atol=1e-6)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-6)
    assert said.dtype == np.float32
    assert averaged(counted, tta)(CROPS[:0]).shape == (0, 2)


def test_flipping_first_changes_nothing() -> None:
    session = averaged(Means(), "flip")
    np.testing.assert_allclose(session(CROPS), session(np.ascontiguousarray(CROPS[:, :, ::-1])), atol=1e-6)


def test_ten_crops_are_windows_of_44_pixels_blown_up() -> None:
    image = np.zeros((1, 48, 48), np.uint8)
    image[0, :4], image[0, :, :4] = 255, 255  # a frame that only the windows at the top and at the left see
    means = [float(view.mean()) for view in views_of(image, "ten-crop")][::2]
    assert means[3] == 0, "the lower right window sees neither"
    assert means[1] == pytest.approx(means[2], rel=0.01)
    assert means[0] > means[1] > means[4] > 0


def test_it_is_part_of_the_pipelines_id() -> None:
    assert parse_pipeline_id("haar/mini-xception@litert(tta=flip)").id == "haar/mini-xception@litert(tta=flip)"
    assert parse_pipeline_id("haar/mini-xception@keras(tta=none)").id == "haar/mini-xception@keras"
    with pytest.raises(UnknownNameError, match="did you mean 'flip'"):
        parse_pipeline_id("haar/mini-xception@onnx(tta=flipp)")


def test_a_shipped_pipeline_runs_over_views() -> None:
    from ferbench.pipelines import load_pipeline

    one, two = (load_pipeline("tiny", runtime=f"litert(quantize=dynamic, tta={tta})") for tta in ("none", "flip"))
    mirrored = np.ascontiguousarray(CROPS[:, :, ::-1])
    np.testing.assert_allclose(two.classify(CROPS), (one.classify(CROPS) + one.classify(mirrored)) / 2, atol=1e-6)
