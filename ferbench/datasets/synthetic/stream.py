"""Video with known truth: people who move, change their expression and cross each other's way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ferbench.datasets.synthetic.camera import add_noise, background
from ferbench.datasets.synthetic.identity import Identity, make_identity
from ferbench.datasets.synthetic.portrait import Portrait, draw_portrait
from ferbench.datasets.synthetic.pose import Pose
from ferbench.datasets.synthetic.relief import Light
from ferbench.datasets.synthetic.scene import FACE_UNITS, SMALLEST_SIDE, check_size, random_light
from ferbench.datasets.synthetic.units import Activation, activate, blend
from ferbench.errors import ParameterError
from ferbench.faces import Image
from ferbench.labels import FER7

__all__ = ["StreamFrame", "synthetic_stream"]

ONSET_S, OFFSET_S = 0.35, 0.5
"""Seconds in which an expression comes and goes; spontaneous smiles take a third to two thirds of a second."""
SCRIPT_S = 60.0
MAINS_HZ = 100.0
"""Lamps on 50 Hz mains flicker twice a period; a camera sees the beat of that with its frame rate."""


@dataclass(frozen=True)
class StreamFrame:
    """A frame of a generated video and what is true of it.

    Attributes
    ----------
    image : (H, W, 3) uint8 RGB
    index : int
    t_ms : float
        Milliseconds since the first frame.
    boxes : (N, 4) float32
        True face boxes, xyxy in pixels, cut at the image's border.
    labels : tuple of str
        Present expressions: an expression counts from half of its apex on, ``neutral`` below.
    intensity : (N,) float32
        Strength of the present expression, in [0, 1].
    tracks : (N,) int64
        Who is who, the same in all frames.
    visible : (N,) float32
        Share of each box that no nearer face's box covers, in [0, 1].
    """

    image: Image
    index: int
    t_ms: float
    boxes: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    intensity: npt.NDArray[np.float32]
    tracks: npt.NDArray[np.int64]
    visible: npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Episode:
    """One expression from its onset to the end of its offset, in seconds."""

    expression: str
    start: float
    end: float
    apex: float
    units: Activation


class _Actor:
    """A person with a way through the picture and a script of expressions."""

    def __init__(self, seed: int, track: int, size: tuple[int, int], n: int) -> None:
        rng = np.random.default_rng([seed, 0xAC, track])
        self.who: Identity = make_identity(seed, int(rng.integers(0, 100_000)))
        width, height = size
        face = min(0.46 * height, 0.80 * width / n) * float(rng.uniform(0.9, 1.0))
        self.scale = face / FACE_UNITS
        self.home = ((track + 0.5) * width / n, 0.5 * height - 0.2 * self.scale)
        self.phase = rng.uniform(0, 2 * np.pi, 8)
        self.rate = rng.uniform(0.6, 1.3, 8)
        self.rest = activate("neutral", 0.0, rng, resting=self.who.resting)
        self.script = self._write_script(rng)

    def _write_script(self, rng: np.random.Generator) -> list[_Episode]:
        """Every expression in turn, in random order, with neutral gaps; longer videos begin again."""
        script, t = [], float(rng.uniform(0.4, 0.9))
        moods = [name for name in FER7 if name != "neutral"]
        while t < SCRIPT_S:
            for mood in rng.permutation(moods):
                hold, gap = float(rng.uniform(0.9, 1.9)), float(rng.uniform(0.3, 0.9))
                apex = float(rng.uniform(0.7, 1.0))
                units = activate(str(mood), apex, rng, expressivity=self.who.expressivity, resting=self.who.resting)
                end = t + ONSET_S + hold + OFFSET_S
                script.append(_Episode(str(mood), t, end, apex, units))
                t = end + gap
        return script

    def expression(self, t: float) -> tuple[str, float, Activation]:
        """Label, intensity and units at a time in seconds."""
        t %= self.script[-1].end + 1.0
        for episode in self.script:
            if episode.start <= t < episode.end:
                rise = min((t - episode.start) / ONSET_S, (episode.end - t) / OFFSET_S, 1.0)
                share = rise * rise * (3.0 - 2.0 * rise)
                label = episode.expression if share >= 0.5 else "neutral"
                return label, share * episode.apex, self._blink(blend(self.rest, episode.units, share), t)
        return "neutral", 0.0, self._blink(self.rest, t)

    def _blink(self, units: Activation, t: float) -> Activation:
        since = (t + self.phase[7]) % (2.5 + self.rate[7])
        if since > 0.16:
            return units
        return {**units, 43: max(units.get(43, 0.0), 1.0 - abs(since - 0.08) / 0.08)}

    def pose(self, t: float, motion: float, size: tuple[int, int], crossing: bool) -> Pose:
        """Place and turn at a time in seconds."""
        width, height = size

        def wave(i: int, hz: float) -> float:
            return float(np.sin(2 * np.pi * hz * self.rate[i] * t + self.phase[i]))

        scale = self.scale * (1.0 + 0.06 * motion * wave(0, 0.20))
        x = self.home[0] + motion * 0.16 * scale * wave(1, 0.23)
        y = self.home[1] + motion * 0.10 * scale * wave(2, 0.31)
        if crossing:
            # To the mirrored place and back, at a person's own pace: ways cross near the middle.
            way = 0.5 - 0.5 * np.cos(2 * np.pi * 0.12 * t)
            x += (width - 2 * self.home[0]) * way
        x = float(np.clip(x, 0.95 * scale, max(width - 0.95 * scale, 0.95 * scale)))
        y = float(np.clip(y, 0.78 * scale, max(height - 1.18 * scale, 0.78 * scale)))
        turn = [motion * degrees * wave(i, hz) for i, degrees, hz in ((3, 14.0, 0.21), (4, 6.0, 0.27), (5, 6.0, 0.17))]
        return Pose(x, y, scale, *turn)


def _visible(boxes: npt.NDArray[np.float32], order: list[int], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Share of each box that boxes drawn later leave free, on a grid of four pixels."""
    share = np.ones(len(boxes), np.float32)
    owner = np.full((size[1] // 4 + 1, size[0] // 4 + 1), -1)
    parts = [(slice(int(b[1]) // 4, int(b[3]) // 4 + 1), slice(int(b[0]) // 4, int(b[2]) // 4 + 1)) for b in boxes]
    for i in order:
        owner[parts[i]] = i
    for i, part in enumerate(parts):
        share[i] = np.mean(owner[part] == i)
    return share


def synthetic_stream(
    seed: int = 0,
    size: tuple[int, int] = (640, 480),
    fps: float = 30.0,
    seconds: float = 10.0,
    n_faces: int = 1,
    *,
    flicker: float = 0.0,
    noise: float = 0.0,
    motion: float = 1.0,
    crossing: bool = False,
) -> Iterator[StreamFrame]:
    """Generate a synthetic video, frame by frame.

    Frame ``i`` depends on the arguments and ``i`` alone: two streams of the same seed are equal, frame for frame.

    Parameters
    ----------
    seed : int
        Everything follows from it.
    size : (width, height)
        In pixels.
    fps : float
        Frames a second.
    seconds : float
        Length of the video; ``inf`` never ends.
    n_faces : int
        People in the picture.
    flicker : float
        Flicker of the light: amplitude as a share of the brightness, half of it a sinusoid of mains-driven lamps as the
        frame rate samples it, half random.
    noise : float
        Standard deviation of the sensor noise, in gray levels.
    motion : float
        How much heads move; 0 keeps them still, 1 is a person before a webcam.
    crossing : bool
        People change places and cross in front of each other.

    Yields
    ------
    StreamFrame

    Raises
    ------
    ParameterError
        If a parameter is out of its range.
    """
    size = check_size(size)
    limits = {"fps": (fps, 1e-3, 1000.0), "flicker": (flicker, 0.0, 1.0), "noise": (noise, 0.0, 100.0)}
    limits |= {"motion": (motion, 0.0, 2.0), "n_faces": (n_faces, 0, size[0] // SMALLEST_SIDE)}
    limits["seconds"] = (seconds, 0.0, float("inf"))
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise ParameterError(f"{name} of a synthetic stream", got=value, expected=f"{low:g} to {high:g}")
    return _frames(seed, size, fps, seconds, n_faces, flicker, noise, motion, crossing)


def _frames(
    seed: int,
    size: tuple[int, int],
    fps: float,
    seconds: float,
    n_faces: int,
    flicker: float,
    noise: float,
    motion: float,
    crossing: bool,
) -> Iterator[StreamFrame]:
    rng = np.random.default_rng([seed, 0x57])
    backdrop, light = background(rng, size), replace(random_light(rng), gain=1.0)
    actors = [_Actor(seed, track, size, n_faces) for track in range(n_faces)]
    tracks = np.arange(n_faces, dtype=np.int64)
    index = 0
    while index < seconds * fps:
        t = index / fps
        image, boxes, labels, intensity = _draw(backdrop, actors, t, light, motion, size, crossing)
        order = sorted(range(n_faces), key=lambda i: actors[i].scale)
        visible = _visible(boxes, order, size)
        yield StreamFrame(
            _expose(image, seed, index, t, flicker, noise), index, 1000.0 * t, boxes, labels, intensity, tracks, visible
        )
        index += 1


def _draw(
    backdrop: Image,
    actors: list[_Actor],
    t: float,
    light: Light,
    motion: float,
    size: tuple[int, int],
    crossing: bool,
) -> tuple[Image, npt.NDArray[np.float32], tuple[str, ...], npt.NDArray[np.float32]]:
    """Image, boxes, labels and intensities at a time; smaller faces are farther away and drawn first."""
    image = backdrop.copy()
    n = len(actors)
    boxes, intensity, labels = np.zeros((n, 4), np.float32), np.zeros(n, np.float32), [""] * n
    for i in sorted(range(n), key=lambda i: actors[i].scale):
        actor = actors[i]
        labels[i], intensity[i], units = actor.expression(t)
        portrait = Portrait(actor.who, units, actor.pose(t, motion, size, crossing), light)
        boxes[i] = draw_portrait(image, portrait)
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, size[0])
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, size[1])
    return image, boxes, tuple(labels), intensity


def _expose(image: Image, seed: int, index: int, t: float, flicker: float, noise: float) -> Image:
    """Flicker of the light and noise of the sensor."""
    rng = np.random.default_rng([seed, 0xF1, index])
    if flicker:
        gain = 1.0 + 0.5 * flicker * (np.sin(2 * np.pi * MAINS_HZ * 1.003 * t) + rng.uniform(-1.0, 1.0))
        image = np.asarray(cv2.convertScaleAbs(image, alpha=float(gain)), np.uint8)
    return add_noise(image, noise, rng)
