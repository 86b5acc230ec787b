"""The trade-off between being right and being fast."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["pareto_front"]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other point beats.

    A point is beaten where another is at least as good in both respects and better in one. Equal points are all kept.

    Parameters
    ----------
    points : sequence of (cost, gain)
        Less cost and more gain are better: milliseconds and accuracy, say.

    Returns
    -------
    list of int
        Indices into ``points``, by rising cost.

    Examples
    --------
    >>> pareto_front([(1.0, 0.5), (2.0, 0.4), (4.0, 0.7)])
    [0, 2]
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    front: list[int] = []
    for i in order:
        # In this order only an earlier point can beat a later one, and the last kept has the highest gain so far.
        if not front or points[i][1] > points[front[-1]][1] or points[i] == points[front[-1]]:
            front.append(i)
    return front
