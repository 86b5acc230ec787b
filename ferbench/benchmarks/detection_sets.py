"""Pictures to try detectors on, and what is true of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_integer
from ferbench.datasets.synthetic.dataset import GENERATOR_VERSION
from ferbench.datasets.synthetic.scene import SceneScript, script
from ferbench.errors import DataError
from ferbench.faces import Image
from ferbench.samples import Samples

__all__ = ["MOST_PEOPLE", "DetectionSet"]

MOST_PEOPLE = 4
"""Generated pictures show 0 to this many people, each number equally often."""
_SIZE = (640, 480)
_FACE_SHARE = (0.15, 0.58)


@dataclass(frozen=True)
class DetectionSet:
    """Pictures and what is true of them.

    Attributes
    ----------
    images : sequence of (H, W, 3) RGB or (H, W) gray uint8
    boxes : list of (n_i, 4) float32, or None
        True boxes of each picture, xyxy in pixels. None where they are not known: each picture then shows one face, in
        its middle.
    labels : sequence of tuple of str
        Expression of each face, in the order of the boxes.
    name, revision, split : str
        Where the pictures come from.
    """

    images: Sequence[Image]
    boxes: list[npt.NDArray[np.float32]] | None
    labels: Sequence[tuple[str, ...]]
    name: str
    revision: str
    split: str

    @classmethod
    def of_samples(cls, samples: Samples) -> DetectionSet:
        """The photographs of a dataset, one known face each.

        Raises
        ------
        DataError
            They are crops, in which there is nothing to detect, or there are none.
        """
        if samples.kind != "photos" or not len(samples):
            raise DataError(
                f"{samples.dataset} {samples.split} has nothing to detect faces in",
                got=f"{len(samples)} {samples.kind}",
                expected="photos",
                fix="use synthetic, lfw-emotions, or images(path=..., kind=photos)",
            )
        boxes = None if samples.boxes is None else [box.reshape(1, 4) for box in samples.boxes]
        labels = [(str(label),) for label in samples.labels]
        images = list(samples.images) if isinstance(samples.images, np.ndarray) else samples.images
        return cls(images, boxes, labels, samples.dataset, samples.revision, samples.split)

    @classmethod
    def of_scenes(cls, n: int, *, seed: int = 0) -> DetectionSet:
        """Generated pictures, 640×480 RGB, of 0 to :data:`MOST_PEOPLE` people whose true boxes are known.

        Faces are 0.15 to 0.58 of the picture's height. Picture ``i`` depends on the seed and ``i`` alone.

        Raises
        ------
        ParameterError
            ``n`` is below 1.
        """
        check_integer("n", n, 1)
        scripts = [script((seed, i), _SIZE, i % (MOST_PEOPLE + 1), face_share=_FACE_SHARE) for i in range(n)]
        return cls(
            _Drawn(scripts),
            [s.boxes for s in scripts],
            [s.labels for s in scripts],
            "scenes",
            f"generator {GENERATOR_VERSION}, seed {seed}",
            "all",
        )


class _Drawn(Sequence[Image]):
    """Generated pictures, drawn when they are asked for."""

    def __init__(self, scripts: list[SceneScript]) -> None:
        self._scripts = scripts

    def __len__(self) -> int:
        return len(self._scripts)

    def __getitem__(self, i: int) -> Image:  # type: ignore[override]
        return self._scripts[i].draw().image
