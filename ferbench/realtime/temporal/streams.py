"""Streams with known truth under conditions that make labels flicker: generated people, or real faces put in motion.

A real stream is made of the pictures of one person: one expression is cross-faded into another, while the face moves,
the detector's box trembles, the light flickers and the sensor is noisy. What is real in it are the faces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ferbench.datasets.synthetic import StreamFrame, synthetic_stream
from ferbench.errors import DataError
from ferbench.samples import Samples

__all__ = ["CONDITIONS", "STREAM_VERSION", "Condition", "animate", "check_subjects", "generated", "people"]

STREAM_VERSION = 1
"""Part of every stored trace's key: to be raised when streams change."""

FADE_S = 0.35
"""Seconds of the change from one expression to another, the onset of a spontaneous smile."""

_SIZE = (320, 240)
_JITTER = 0.015
_JITTER_MEMORY = 0.6
"""A sliding-window detector's boxes tremble by some hundredths of their side; an error lives on in the next frame."""


@dataclass(frozen=True)
class Condition:
    """What disturbs a stream.

    Attributes
    ----------
    flicker : float
        Flicker of the light as a share of the brightness.
    noise : float
        Standard deviation of the sensor's noise, gray levels.
    motion : float
        How much heads move; 1 is a person before a webcam.
    crossing : bool
        Two people change places, in front of each other; of generated people only.
    """

    flicker: float = 0.0
    noise: float = 0.0
    motion: float = 0.3
    crossing: bool = False


CONDITIONS = {
    "calm": Condition(),
    "light": Condition(flicker=0.5),
    "noise": Condition(noise=20.0),
    "motion": Condition(noise=4.0, motion=2.0),
    "crossing": Condition(noise=4.0, motion=1.0, crossing=True),
}
"""The conditions by name."""


def generated(condition: Condition, *, seed: int, seconds: float, fps: float) -> Iterator[StreamFrame]:
    """A generated stream, 320×240 RGB, of one person or of two who cross."""
    return synthetic_stream(
        seed,
        _SIZE,
        fps,
        seconds,
        2 if condition.crossing else 1,
        flicker=condition.flicker,
        noise=condition.noise,
        motion=condition.motion,
        crossing=condition.crossing,
    )


def check_subjects(samples: Samples) -> None:
    """Refuse faces of whom nobody knows who they are: a :class:`~ferbench.errors.DataError`."""
    if samples.subjects is None:
        raise DataError(
            f"{samples.dataset} does not say who is shown",
            expected="a data set with subjects, such as ckplus",
            fix="a stream is made of pictures of one person",
        )


def people(
    samples: Samples, crops: npt.NDArray[np.uint8], known: Sequence[str]
) -> dict[str, dict[str, npt.NDArray[np.uint8]]]:
    """Who can play in a stream: everybody of whom there are two expressions or more that the pipeline knows.

    Parameters
    ----------
    samples : Samples
    crops : (N, s, s) uint8 gray
        Their faces.
    known : sequence of str
        The pipeline's expressions; pictures of others are left out.

    Returns
    -------
    dict
        ``{subject: {label: (n, s, s) uint8}}``, in an order that is random but always the same.

    Raises
    ------
    DataError
        Subjects are not known, or nobody shows two expressions.
    """
    check_subjects(samples)
    labels, subjects = np.asarray(samples.labels), np.asarray(samples.subjects)
    cast = {}
    for who in np.random.default_rng(0x7E).permutation(np.unique(subjects)):
        shown = [label for label in known if np.any((subjects == who) & (labels == label))]
        if len(shown) > 1:
            cast[str(who)] = {label: crops[(subjects == who) & (labels == label)] for label in shown}
    if not cast:
        raise DataError(f"nobody in {samples.dataset} shows two expressions", expected="subjects with several pictures")
    return cast


def animate(
    pictures: Mapping[str, npt.NDArray[np.uint8]],
    condition: Condition,
    *,
    seed: Sequence[int],
    seconds: float,
    fps: float,
) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """A stream of face crops of one person.

    Parameters
    ----------
    pictures : dict of str to (n, s, s) uint8 gray
        Two expressions or more.
    condition : Condition
    seed : sequence of int
        Everything follows from it.
    seconds, fps : float

    Returns
    -------
    frames : (T, s, s) uint8 gray
    labels : list of T str
        The nearer expression while two are cross-faded.
    """
    rng = np.random.default_rng(list(seed))
    n = round(seconds * fps)
    frames, labels = _play(pictures, n, fps, rng)
    side = frames.shape[1]
    warps = _motion(n, fps, condition.motion, rng)
    t = np.arange(n) / fps
    # The formula of generated streams: half of it lamps on the mains as the frame rate samples them, half random.
    gain = 1 + 0.5 * condition.flicker * (np.sin(2 * np.pi * 100.3 * t) + rng.uniform(-1.0, 1.0, n))
    out = np.empty(frames.shape, np.uint8)
    for i, frame in enumerate(frames):
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), float(warps[i, 2]), float(np.exp(warps[i, 3])))
        matrix[:, 2] += warps[i, :2] * side
        moved = cv2.warpAffine(frame, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        noisy = moved * gain[i] + rng.normal(0.0, condition.noise, moved.shape)
        out[i] = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return out, labels


def _play(
    pictures: Mapping[str, npt.NDArray[np.uint8]], n: int, fps: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], list[str]]:
    """One expression after the other, never the same twice in a row, each held for 1 to 3 seconds."""
    names = list(pictures)
    side = next(iter(pictures.values())).shape[1]
    frames, labels = np.empty((n, side, side), np.float32), [""] * n
    before, at, now = "", 0, str(rng.choice(names))
    while at < n:
        own = pictures[now].astype(np.float32)
        length = round(float(rng.uniform(1.0, 3.0)) * fps)
        # A held expression is not still: it wanders between the pictures that there are of it.
        place = np.abs(np.cumsum(rng.normal(0.0, 0.15, length)) % 2.0 - 1.0) * (len(own) - 1)
        low = np.minimum(place.astype(np.int64), max(len(own) - 2, 0))
        high, rest = np.minimum(low + 1, len(own) - 1), (place - low)[:, None, None]
        held = own[low] * (1 - rest) + own[high] * rest
        share = np.clip((np.arange(length) + 0.5) / max(1.0, FADE_S * fps), 0, 1)
        share = share * share * (3 - 2 * share) if before else np.ones(length)
        if before:
            held = held * share[:, None, None] + pictures[before][-1].astype(np.float32) * (1 - share)[:, None, None]
        end = min(n, at + length)
        frames[at:end] = held[: end - at]
        labels[at:end] = [now if one >= 0.5 else before for one in share[: end - at]]
        before, at = now, end
        now = str(rng.choice([name for name in names if name != now]))
    return frames, labels


def _motion(n: int, fps: float, motion: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """(n, 4): shift right and down in sides, degrees, and the logarithm of the scale, of each frame."""
    t = np.arange(n)[:, None] / fps
    rates, phases = rng.uniform(0.15, 0.5, 4), rng.uniform(0, 2 * np.pi, 4)
    sway = motion * np.array([0.03, 0.03, 5.0, 0.04]) * np.sin(2 * np.pi * rates * t + phases)
    tremble = np.zeros((n, 4))
    # The memory is of one frame at 30 a second; a slower camera sees less of it.
    memory = _JITTER_MEMORY ** (30.0 / fps)
    pushes = rng.normal(0.0, np.sqrt(1 - memory**2), (n, 4))
    for i in range(1, n):
        tremble[i] = memory * tremble[i - 1] + pushes[i]
    result: npt.NDArray[np.float64] = sway + tremble * _JITTER * np.array([1.0, 1.0, 0.0, 1.5])
    return result
