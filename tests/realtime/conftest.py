"""A scripted pipeline, whose every answer is known, and small videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ferbench.faces import Faces, Image

LABELS = ("angry", "happy", "neutral")


class ScriptedPipeline:
    """Finds the bright squares of a dark picture; the brightness of a square decides its probabilities.

    A known answer for everything around the models: what is tested is the loop, not the recognition.
    """

    labels = LABELS

    def __init__(self) -> None:
        self.detections = 0

    def detect(self, images: Sequence[Image]) -> Faces:
        """The bright squares of each picture, from left to right."""
        found = []
        for image in images:
            gray = image.max(axis=2) if image.ndim == 3 else image
            n, _, stats, _ = cv2.connectedComponentsWithStats((gray > 40).astype(np.uint8))
            found.append(sorted((x, y, x + w, y + h) for x, y, w, h, area in stats[1:n] if area > 30))
        return Faces.from_lists(found)

    def process(self, images: Sequence[Image]) -> Any:
        """Detect and classify one picture."""
        self.detections += 1
        faces = self.detect(images)
        times = {"detect": 3_000_000, "align": 100_000, "features": 200_000, "classify": 400_000, "total": 3_700_000}
        return SimpleNamespace(faces=faces, probabilities=self.classify(self.crop(images, faces)), times_ns=dict(times))

    def crop(self, images: Sequence[Image], faces: Faces) -> npt.NDArray[np.uint8]:
        """The middle of each face."""
        (image,) = images
        crops = np.zeros((len(faces), 2, 2), np.uint8)
        for i, (x1, y1, x2, y2) in enumerate(faces.xyxy):
            column = int(np.clip((x1 + x2) / 2, 0, image.shape[1] - 1))
            row = int(np.clip((y1 + y2) / 2, 0, image.shape[0] - 1))
            crops[i] = np.max(image[row, column])
        return crops

    def classify(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Brighter is happier; the rest is shared by angry and neutral in the ratio 3 to 1."""
        happy = crops.reshape(len(crops), 4).mean(axis=1) / 255
        return np.stack([(1 - happy) * 0.75, happy, (1 - happy) * 0.25], axis=1).astype(np.float32)


@pytest.fixture
def pipeline() -> ScriptedPipeline:
    return ScriptedPipeline()


def picture(
    boxes: Sequence[tuple[int, int, int, int, int]], size: tuple[int, int] = (160, 120)
) -> npt.NDArray[np.uint8]:
    """A dark RGB picture with squares (x, y, width, height, brightness)."""
    image = np.full((size[1], size[0], 3), 10, np.uint8)
    for x, y, w, h, value in boxes:
        image[y : y + h, x : x + w] = value
    return image


@pytest.fixture
def make_picture() -> Callable[..., npt.NDArray[np.uint8]]:
    return picture


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """Writes a video of ``n`` frames with one moving square; ``faceless`` frames are dark."""

    def write(
        n: int = 20,
        *,
        name: str = "clip.avi",
        fps: float = 25.0,
        size: tuple[int, int] = (160, 120),
        faceless: Sequence[int] = (),
        codec: str = "MJPG",
    ) -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, size)
        assert writer.isOpened()
        for i in range(n):
            boxes = [] if i in faceless else [(20 + i % 60, 30, 40, 40, 180)]
            writer.write(picture(boxes, size)[:, :, ::-1])
        writer.release()
        return path

    return write


def count_frames(path: Path) -> int:
    """How many frames a player finds in a video."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    n = 0
    while capture.read()[0]:
        n += 1
    capture.release()
    return n


@pytest.fixture
def frames_in() -> Callable[[Path], int]:
    return count_frames
