"""The loop: results frame by frame, each face smoothed for itself, sources closed, memory flat."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ferbench.errors import ParameterError, SourceError, UnknownNameError
from ferbench.realtime import Frame, FrameProcessor, Source, stream

pytestmark = pytest.mark.alone

MakePicture = Callable[..., npt.NDArray[np.uint8]]
MakeVideo = Callable[..., Path]
HAPPY = 1


def frames_of(pictures: list[npt.NDArray[np.uint8]]) -> list[Frame]:
    return [Frame(i, i * 40.0, picture, "test") for i, picture in enumerate(pictures)]


def test_a_result_says_who_where_what_and_how_long(pipeline: Any, make_picture: MakePicture):
    processor = FrameProcessor(pipeline, smooth="none")
    result = processor.process(Frame(7, 280.0, make_picture([(20, 30, 40, 50, 204)]), "clip.mp4"))
    assert (result.source, result.frame, result.t_ms) == ("clip.mp4", 7, 280.0)
    (face,) = result.faces
    assert (face.track, face.box, face.label) == (1, (20, 30, 60, 80), "happy")
    assert face.probability == pytest.approx(0.8)
    assert face.probabilities == pytest.approx({"angry": 0.15, "happy": 0.8, "neutral": 0.05})
    assert face.raw_probabilities == face.probabilities
    assert list(face.probabilities) == ["angry", "happy", "neutral"]
    assert result.times_ms["detect"] == 3.0
    assert set(result.times_ms) == {"detect", "align", "features", "classify", "track", "total"}


def test_smoothing_is_the_mean_of_the_raw_probabilities_of_that_face_alone(pipeline: Any, make_picture: MakePicture):
    rng = np.random.default_rng(0)
    left, right = rng.integers(100, 255, (2, 20))
    pictures = [
        make_picture([(10, 30, 30, 30, int(a)), (100, 30, 30, 30, int(b))]) for a, b in zip(left, right, strict=True)
    ]
    processor = FrameProcessor(pipeline, smooth="mean:5")
    results = [processor.process(frame) for frame in frames_of(pictures)]
    for track, values in ((1, left / 255), (2, right / 255)):
        faces = [next(face for face in result.faces if face.track == track) for result in results]
        raw = np.array([face.raw_probabilities["happy"] for face in faces])
        np.testing.assert_allclose(raw, values, atol=1e-6)
        expected = [values[max(0, i - 4) : i + 1].mean() for i in range(20)]
        np.testing.assert_allclose([face.probabilities["happy"] for face in faces], expected, atol=1e-6)
        assert all(sum(face.probabilities.values()) == pytest.approx(1) for face in faces)


def test_memory_of_a_face_survives_a_short_gap(pipeline: Any, make_picture: MakePicture):
    face, nobody = make_picture([(20, 30, 40, 40, 255)]), make_picture([])
    weak = make_picture([(20, 30, 40, 40, 102)])
    processor = FrameProcessor(pipeline, smooth="mean:2")
    results = [processor.process(frame) for frame in frames_of([face, nobody, weak])]
    assert [len(result.faces) for result in results] == [1, 0, 1]
    assert results[2].faces[0].track == 1
    assert results[2].faces[0].probabilities["happy"] == pytest.approx((1 + 0.4) / 2)


def test_dead_tracks_are_forgotten_by_tracker_and_smoother(pipeline: Any, make_picture: MakePicture):
    processor = FrameProcessor(pipeline)
    pictures = [make_picture([(20 * (i % 6), 20, 10, 10, 200)]) for i in range(60)] + [make_picture([])] * 31
    for frame in frames_of(pictures):
        processor.process(frame)
    assert processor.tracker.alive == set()
    assert len(processor.smoother) == 0


def test_detection_every_n_frames_carries_boxes_forward_and_classifies_each_frame(
    pipeline: Any, make_picture: MakePicture
):
    processor = FrameProcessor(pipeline, smooth="none", detect_every=3)
    pictures = [make_picture([(10 + 4 * i, 30, 40, 40, 100 + i)]) for i in range(15)]
    results = [processor.process(frame) for frame in frames_of(pictures)]
    assert pipeline.detections == 5
    assert [face.track for result in results for face in result.faces] == [1] * 15
    lefts = np.array([result.faces[0].box[0] for result in results])
    np.testing.assert_allclose(lefts[9:], 10 + 4 * np.arange(9, 15), atol=1.5)
    happy = [result.faces[0].raw_probabilities["happy"] for result in results]
    np.testing.assert_allclose(happy, (100 + np.arange(15)) / 255, atol=1e-6)


def test_frames_between_detections_of_an_empty_picture_have_no_face(pipeline: Any, make_picture: MakePicture):
    processor = FrameProcessor(pipeline, detect_every=2)
    assert [processor.process(frame).faces for frame in frames_of([make_picture([])] * 4)] == [()] * 4


def test_stream_gives_every_frame_of_a_file(pipeline: Any, make_video: MakeVideo):
    results = list(stream(make_video(12, faceless=[3, 4]), pipeline))
    assert [result.frame for result in results] == list(range(12))
    assert [len(result.faces) for result in results] == [1, 1, 1, 0, 0] + [1] * 7
    assert {face.track for result in results for face in result.faces} == {1}


def test_mirroring_exchanges_left_and_right_of_picture_and_boxes(pipeline: Any, make_video: MakeVideo):
    path = make_video(1)
    (plain,), (mirrored,) = stream(path, pipeline), stream(path, pipeline, mirror=True)
    np.testing.assert_array_equal(mirrored.image, plain.image[:, ::-1])
    left, _, right, _ = plain.faces[0].box
    assert mirrored.faces[0].box[::2] == (160 - right, 160 - left)


class Counted(Source):
    """A source that counts what is asked of it."""

    name = "counted"

    def __init__(self, picture: npt.NDArray[np.uint8], n: int = 1000) -> None:
        self.given, self.closed, self._picture, self._n = 0, 0, picture, n

    def __iter__(self) -> Iterator[Frame]:
        for i in range(self._n):
            self.given += 1
            yield Frame(i, i * 1.0, self._picture.copy(), self.name)

    def close(self) -> None:
        self.closed += 1


def test_max_frames_takes_no_frame_more_and_closes_the_source(pipeline: Any, make_picture: MakePicture):
    source = Counted(make_picture([]))
    assert len(list(stream(source, pipeline, max_frames=5))) == 5
    assert source.given == 5
    assert source.closed


@pytest.mark.parametrize("way", ["break", "close", "error", "never iterated"])
def test_the_source_is_closed_however_the_stream_is_left(pipeline: Any, make_picture: MakePicture, way: str):
    source = Counted(make_picture([]))
    results = stream(source, pipeline)
    if way == "break":
        for _ in results:
            break
        del results
        gc.collect()
    elif way == "close":
        next(results)
        results.close()
    elif way == "error":
        pipeline.process = None
        with pytest.raises(TypeError):
            next(results)
    else:
        with results:
            pass
    assert source.closed


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"smooth": "meen:3"}, ParameterError, "did you mean 'mean'"),
        ({"detect_every": 0}, ParameterError, "detect_every is out of range"),
        ({"max_frames": 0}, ParameterError, "max_frames is out of range"),
        ({"source": "nowhere.mp4"}, SourceError, "no such file or folder"),
        ({"pipeline": "no-such-model"}, UnknownNameError, "no-such-model"),
    ],
)
def test_mistakes_are_told_before_the_first_frame(
    pipeline: Any, kwargs: dict[str, Any], error: type[Exception], text: str
):
    with pytest.raises(error, match=text):
        stream(**({"source": "synthetic", "pipeline": pipeline} | kwargs))


@pytest.mark.parametrize("value", [3, None, np.zeros((50, 50))])
def test_what_is_no_pipeline_is_told_in_one_line(value: Any):
    with pytest.raises(ParameterError) as refused:
        stream("synthetic", value)
    kind = type(value).__name__
    assert str(refused.value) == (
        f"not a pipeline: got a value of type {kind}, expected a name, a folder or a fitted pipeline"
    )


def test_memory_stays_flat_over_some_hundred_frames(pipeline: Any):
    import psutil

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 30, (180, 240, 3), dtype=np.uint8)

    class Moving(Counted):
        def __iter__(self) -> Iterator[Frame]:
            for i in range(self._n):
                image = noise.copy()
                image[60:100, (7 * i) % 200 : (7 * i) % 200 + 40] = 200
                yield Frame(i, i * 33.0, image, "moving")

    process = psutil.Process()
    for count, _ in enumerate(stream(Moving(noise, 700), pipeline)):
        if count == 200:
            before = process.memory_info().rss
    assert process.memory_info().rss - before < 8 * 2**20


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("cv2", "scipy", "pandas", "sklearn", "PIL", "rich", "matplotlib", "tensorflow")
    code = f"import sys, ferbench.realtime; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
