"""Turning a head: from head units to pixels and back.

The head is a shallow relief over the picture plane, seen in parallel projection. That is exact enough for turns up to
about 35° and lets a frontal drawing be bent into any pose with one image remap.

Axes: x right, y down, z towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ferbench.datasets.synthetic.geometry import Points

__all__ = ["CANVAS_LEFT", "CANVAS_TOP", "CANVAS_UNITS", "Pose"]

CANVAS_LEFT, CANVAS_TOP, CANVAS_UNITS = -1.4, -1.5, 2.8
"""The square of head units that a drawing covers: its left and top edge and its side."""

_DEPTH = 0.50
_NOSE_DEPTH = 0.17
_GRID = 8  # pixels between the points at which the bending is solved; in between it is interpolated


def _depth(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Height of the head over the picture plane."""
    dome = _DEPTH * (1.0 - (x / 0.95) ** 2 - ((y + 0.05) / 1.45) ** 2)
    nose = _NOSE_DEPTH * np.exp(-0.5 * ((x / 0.13) ** 2 + ((y - 0.33) / 0.17) ** 2))
    height: npt.NDArray[np.float64] = np.maximum(dome, -0.25) + nose
    return height


@lru_cache(maxsize=64)
def _nodes(n: int) -> npt.NDArray[np.float64]:
    return np.asarray((np.arange(n) + 0.5) * _GRID - 0.5, np.float64)


@dataclass(frozen=True)
class Pose:
    """Where a head is and how it is turned.

    Attributes
    ----------
    x, y : float
        Pixel at which the head's origin (between the eyes) lies.
    scale : float
        Pixels of a head unit; a face is about 1.55 units wide.
    yaw, pitch, roll : float
        Degrees: to the picture's right, downwards, clockwise.
    """

    x: float
    y: float
    scale: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @property
    def turn(self) -> npt.NDArray[np.float64]:
        """(3, 3) rotation by yaw and pitch, from the head's axes to the camera's."""
        yaw, pitch = np.deg2rad(self.yaw), np.deg2rad(self.pitch)
        cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
        about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
        about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, sp], [0.0, -sp, cp]])
        turned: npt.NDArray[np.float64] = about_x @ about_y
        return turned

    @property
    def roll_matrix(self) -> npt.NDArray[np.float64]:
        """(2, 2) rotation in the picture plane."""
        c, s = np.cos(np.deg2rad(self.roll)), np.sin(np.deg2rad(self.roll))
        return np.array([[c, -s], [s, c]])

    def to_head(self, direction: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """(3,) a direction of the camera's axes, in the head's axes."""
        d = np.asarray(direction, np.float64)
        unrolled = np.array([*(self.roll_matrix.T @ d[:2]), d[2]])
        turned: npt.NDArray[np.float64] = self.turn.T @ unrolled
        return turned

    def project(self, points: Points) -> Points:
        """(n, 2) pixels of some points of the face, given in head units."""
        x, y = points[:, 0], points[:, 1]
        seen = np.stack([x, y, _depth(x, y)], axis=1) @ self.turn[:2].T
        pixels: Points = self.scale * seen @ self.roll_matrix.T + (self.x, self.y)
        return pixels

    def region(self) -> tuple[int, int, int, int]:
        """Left, top, width, height of the pixels that the head may cover; may lie partly outside the image."""
        reach = 1.62 * self.scale
        n = 2 * int(np.ceil(reach / _GRID))
        return round(self.x) - n * _GRID // 2, round(self.y - 0.1 * self.scale) - n * _GRID // 2, n * _GRID, n * _GRID

    def canvas_maps(self, resolution: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """For every pixel of :meth:`region`, the point of the drawing that shows there.

        Parameters
        ----------
        resolution : int
            Side of the square drawing, in pixels.

        Returns
        -------
        map_x, map_y : (height, width) float32
            As ``cv2.remap`` takes them.
        """
        import cv2

        left, top, width, height = self.region()
        u, v = np.meshgrid(_nodes(width // _GRID) + left - self.x, _nodes(height // _GRID) + top - self.y)
        p, q = np.tensordot(self.roll_matrix.T / self.scale, np.stack([u, v]), axes=1)
        r, x, y = self.turn, p, q
        for _ in range(5):  # a fixed point: depth changes slowly along the head, so few rounds suffice
            z = _depth(x, y)
            x = (p - r[0, 1] * y - r[0, 2] * z) / r[0, 0]
            y = (q - r[1, 0] * x - r[1, 2] * z) / r[1, 1]
        per_unit = resolution / CANVAS_UNITS
        maps = [((x - CANVAS_LEFT) * per_unit - 0.5), ((y - CANVAS_TOP) * per_unit - 0.5)]
        big = [cv2.resize(m.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) for m in maps]
        return np.asarray(big[0], np.float32), np.asarray(big[1], np.float32)
