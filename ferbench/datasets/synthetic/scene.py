"""Whole pictures: people before a background, in some light."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.checks import is_number
from ferbench.datasets.synthetic.camera import background, occlude, photograph
from ferbench.datasets.synthetic.identity import make_identity
from ferbench.datasets.synthetic.portrait import Portrait, draw_portrait, face_box
from ferbench.datasets.synthetic.pose import Pose
from ferbench.datasets.synthetic.relief import Light
from ferbench.datasets.synthetic.units import activate
from ferbench.errors import ParameterError
from ferbench.faces import Image
from ferbench.labels import FER7

__all__ = ["Scene", "SceneScript", "check_size", "is_pair", "random_light", "scene", "script"]

FACE_UNITS = 1.66
"""Height of a face box in head units, about."""
SMALLEST_SIDE = 48


@dataclass(frozen=True)
class Scene:
    """A generated picture and what is true of it.

    Attributes
    ----------
    image : (H, W, 3) uint8 RGB
    boxes : (N, 4) float32
        True face boxes, xyxy in pixels, within the image.
    labels : tuple of str
        Expressions, names of FER7.
    subjects : tuple of str
        Who is shown.
    """

    image: Image
    boxes: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    subjects: tuple[str, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter((self.image, self.boxes, self.labels, self.subjects))


@dataclass(frozen=True)
class SceneScript:
    """All of a scene that can be known without drawing it.

    Attributes
    ----------
    seed : tuple of int
        Seed of what is left to chance: background, things in front of faces, camera.
    size : (width, height)
    portraits : tuple of Portrait
    labels, subjects : tuple of str
        As in :class:`Scene`.
    occlusion : float
        Probability that something hides a small part of a face.
    """

    seed: tuple[int, ...]
    size: tuple[int, int]
    portraits: tuple[Portrait, ...]
    labels: tuple[str, ...]
    subjects: tuple[str, ...]
    occlusion: float

    @property
    def boxes(self) -> npt.NDArray[np.float32]:
        """(N, 4) float32 true boxes, xyxy in pixels, within the image."""
        boxes = np.zeros((len(self.portraits), 4), np.float32)
        for i, portrait in enumerate(self.portraits):
            boxes[i] = face_box(portrait, portrait.shape)
        return boxes.clip(0, np.array([*self.size, *self.size], np.float32))

    def draw(self) -> Scene:
        """The scene itself."""
        rng = np.random.default_rng([*self.seed, 2])
        image = background(rng, self.size)
        for portrait in self.portraits:
            box = draw_portrait(image, portrait)
            if rng.random() < self.occlusion:
                occlude(image, box, rng)
        return Scene(photograph(image, rng), self.boxes, self.labels, self.subjects)


def is_pair(value: object) -> bool:
    """Whether this is a tuple or list of two numbers."""
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(is_number, value))


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """``(width, height)`` if a face fits in, an error otherwise."""
    if not is_pair(size) or not all(SMALLEST_SIDE <= side <= 8192 for side in size):
        raise ParameterError(
            "size of generated pictures", got=size, expected=f"(width, height), each in {SMALLEST_SIDE}..8192"
        )
    return int(size[0]), int(size[1])


def random_light(rng: np.random.Generator) -> Light:
    """A lamp somewhere above or beside the viewer, of any colour between candle and sky."""
    azimuth, height = rng.uniform(-1.05, 1.05), rng.uniform(0.05, 0.75)
    direction = np.array([np.sin(azimuth), -height, np.cos(azimuth) + 0.25])
    x, y, z = direction / np.linalg.norm(direction)
    warm = float(rng.normal(0.0, 0.05))
    return Light(
        (float(x), float(y), float(z)),
        ambient=float(rng.uniform(0.38, 0.75)),
        gain=float(np.clip(rng.normal(0.94, 0.13), 0.62, 1.14)),
        tint=(1.0 + warm, 1.0, 1.0 - warm),
    )


def _place(rng: np.random.Generator, size: tuple[int, int], n: int, share: tuple[float, float]) -> list[Pose]:
    """Poses of n heads side by side, each with its face box well inside the image."""
    width, height = size
    column = width / max(n, 1)
    poses = []
    for i in range(n):
        # The box is about 1.0 high and 0.95 wide in its own height; turns make it a little wider.
        face = min(float(rng.uniform(*share)) * height, 0.82 * column)
        scale = face / FACE_UNITS
        # From the origin the box reaches up 0.66 units and down 1.08, and 0.90 to either side.
        reach = 0.95 * scale
        x = rng.uniform(column * i + reach, max(column * (i + 1) - reach, column * i + reach + 1e-6))
        low, high = 0.80 * scale, height - 1.22 * scale
        y = rng.uniform(low, max(high, low + 1e-6)) if n > 1 else rng.triangular(low, 0.5 * (low + high), high + 1e-6)
        yaw, pitch, roll = (float(np.clip(rng.normal(0, s), -2 * s, 2 * s)) for s in (8.0, 5.0, 4.5))
        poses.append(Pose(float(x), float(y), scale, yaw, pitch, roll))
    return poses


def script(
    seed: int | Sequence[int],
    size: tuple[int, int] = (640, 480),
    n_faces: int = 1,
    *,
    labels: Sequence[str] | None = None,
    subjects: Sequence[int] | None = None,
    identity_seed: int = 0,
    face_share: tuple[float, float] = (0.36, 0.58),
    intensity: tuple[float, float] = (0.5, 1.0),
    occlusion: float = 0.08,
) -> SceneScript:
    """Decide everything about a scene without drawing it; the parameters are those of :func:`scene`."""
    size = check_size(size)
    if n_faces < 0 or (n_faces and size[0] / n_faces < SMALLEST_SIDE):
        raise ParameterError(
            "n_faces", got=n_faces, expected=f"0 to {size[0] // SMALLEST_SIDE} for pictures {size[0]} pixels wide"
        )
    for name, given in (("labels", labels), ("subjects", subjects)):
        if given is not None and len(given) != n_faces:
            raise ParameterError(f"{name} and n_faces differ", got=len(given), expected=n_faces)
    key = (int(seed),) if isinstance(seed, int | np.integer) else tuple(int(s) for s in seed)
    rng = np.random.default_rng([*key, 1])
    light = random_light(rng)
    poses = _place(rng, size, n_faces, face_share)
    drawn = [str(rng.choice(FER7.labels)) for _ in range(n_faces)]
    chosen = drawn if labels is None else list(labels)
    people = [int(s) for s in (rng.integers(0, 100_000, n_faces) if subjects is None else subjects)]
    portraits = []
    for pose, label, person in zip(poses, chosen, people, strict=True):
        who = make_identity(identity_seed, person)
        strength = float(rng.uniform(*intensity))
        units = activate(label, strength, rng, expressivity=who.expressivity, resting=who.resting)
        gx, gy = np.clip(rng.normal(0.0, 0.35, 2), -1, 1)
        asymmetry = float(np.clip(rng.normal(0, 0.08), -0.3, 0.3))
        portraits.append(Portrait(who, units, pose, light, (float(gx), float(gy)), asymmetry))
    names = tuple(f"s{identity_seed}-{person:06d}" for person in people)
    return SceneScript(key, size, tuple(portraits), tuple(chosen), names, occlusion)


def scene(
    seed: int | Sequence[int],
    size: tuple[int, int] = (640, 480),
    n_faces: int = 1,
    *,
    labels: Sequence[str] | None = None,
    subjects: Sequence[int] | None = None,
    identity_seed: int = 0,
    face_share: tuple[float, float] = (0.36, 0.58),
    intensity: tuple[float, float] = (0.5, 1.0),
    occlusion: float = 0.08,
) -> Scene:
    """Draw a synthetic photograph.

    Parameters
    ----------
    seed : int or sequence of int
        Everything follows from it.
    size : (width, height)
        In pixels.
    n_faces : int
        People in the picture, side by side.
    labels : sequence of str, optional
        Their expressions, names of FER7; random otherwise.
    subjects : sequence of int, optional
        Who they are; random otherwise.
    identity_seed : int
        Seed of the people: the same subject of the same seed looks the same in every scene.
    face_share : (low, high)
        Height of a face as a share of the picture's height.
    intensity : (low, high)
        Strength of the expressions, in [0, 1].
    occlusion : float
        Probability that something hides a small part of a face.

    Returns
    -------
    Scene
        Unpacks as ``image, boxes, labels, subjects``.

    Raises
    ------
    ParameterError
        If no face fits, or ``labels`` or ``subjects`` do not fit ``n_faces``.

    Examples
    --------
    >>> image, boxes, labels, subjects = scene(7, labels=["happy"])
    >>> image.shape, boxes.shape, labels
    ((480, 640, 3), (1, 4), ('happy',))
    """
    return script(
        seed,
        size,
        n_faces,
        labels=labels,
        subjects=subjects,
        identity_seed=identity_seed,
        face_share=face_share,
        intensity=intensity,
        occlusion=occlusion,
    ).draw()
