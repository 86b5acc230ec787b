"""Room for labels beside points: a greedy search over a few positions, fullest corner first.

Eight positions around each point and a cost of overlap are enough for the two dozen points of a leaderboard; labels
that would still cover something are left out, since every point also carries its number.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Box", "place_labels"]

Box = tuple[float, float, float, float]
"""``x0, y0, x1, y1`` in pixels, y upwards."""

_RADIUS = 9.0
_GAP = 5.0

Place = tuple[float, float, str]
"""x and y of the text's anchor and its horizontal alignment."""


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    *,
    obstacles: Sequence[Box] = (),
    bounds: Box,
) -> list[Place | None]:
    """Choose a place for each label.

    Parameters
    ----------
    points : sequence of (x, y)
        Centres of the markers.
    sizes : sequence of (width, height)
        Sizes of the labels.
    obstacles : sequence of Box
        What labels should not cover, apart from markers and other labels.
    bounds : Box
        Where labels must stay.

    Returns
    -------
    list of Place or None
        One for each point, in order; None where every position covers a marker, a label or the border.
    """
    markers = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in points]
    taken: list[Box] = []
    places: list[Place | None] = [None] * len(points)
    # Crowded points choose first, while there is still room.
    for i in sorted(range(len(points)), key=lambda k: -_crowding(points, k)):
        options = []
        for order, (place, box) in enumerate(_candidates(points[i], sizes[i])):
            hard = [*taken, *(marker for k, marker in enumerate(markers) if k != i)]
            if not _is_inside(box, bounds) or any(_overlap(box, other) for other in hard):
                continue
            options.append((sum(_overlap(box, other) for other in obstacles), order, place, box))
        if options:
            _, _, places[i], box = min(options)
            taken.append(box)
    return places


def _candidates(point: tuple[float, float], size: tuple[float, float]) -> list[tuple[Place, Box]]:
    (x, y), (width, height) = point, size
    side, diagonal = _RADIUS + _GAP, _RADIUS + 1
    rise = _RADIUS + _GAP + height / 2
    spots: list[Place] = [
        (x + side, y, "left"),
        (x - side, y, "right"),
        (x + diagonal, y + rise * 0.8, "left"),
        (x + diagonal, y - rise * 0.8, "left"),
        (x - diagonal, y + rise * 0.8, "right"),
        (x - diagonal, y - rise * 0.8, "right"),
        (x, y + rise, "center"),
        (x, y - rise, "center"),
    ]
    return [(spot, _box(spot, width, height)) for spot in spots]


def _box(place: Place, width: float, height: float) -> Box:
    x, y, align = place
    left = {"left": x, "right": x - width, "center": x - width / 2}[align]
    return (left, y - height / 2, left + width, y + height / 2)


def _crowding(points: Sequence[tuple[float, float]], index: int) -> float:
    x, y = points[index]
    return sum(1 / (1 + abs(x - u) / 3 + abs(y - v)) for k, (u, v) in enumerate(points) if k != index)


def _is_inside(box: Box, bounds: Box) -> bool:
    return box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3]


def _overlap(a: Box, b: Box) -> float:
    """Shared area in square pixels."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
