"""Facial action units, and which of them make which expression.

Numbers and names follow the Facial Action Coding System [1]_; the prototypes of the six basic emotions follow
EMFACS, as the literature on FACS prototypes tabulates them [2]_.

References
----------
.. [1] P. Ekman, W. V. Friesen, J. C. Hager. Facial Action Coding System: The Manual. 2002.
.. [2] P. Lucey et al. The Extended Cohn-Kanade Dataset (CK+). CVPR Workshops, 2010, table 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ferbench.errors import UnknownNameError
from ferbench.labels import FER7

__all__ = ["ACTION_UNITS", "PROTOTYPES", "ActionUnit", "Activation", "Prototype", "activate", "blend"]

Activation = Mapping[int, float]
"""Action unit number to strength in [0, 1]; absent means at rest."""


@dataclass(frozen=True)
class ActionUnit:
    """One action unit.

    Attributes
    ----------
    number : int
        FACS number.
    name : str
        FACS name.
    effect : str
        What the generator moves for it.
    """

    number: int
    name: str
    effect: str


ACTION_UNITS: Mapping[int, ActionUnit] = MappingProxyType(
    {
        number: ActionUnit(number, name, effect)
        for number, name, effect in (
            (1, "inner brow raiser", "inner end of the brow up, creases in the middle of the forehead"),
            (2, "outer brow raiser", "outer end of the brow up, creases at the sides of the forehead"),
            (4, "brow lowerer", "brows down and together, upright creases between them"),
            (5, "upper lid raiser", "upper lid up, white above the iris"),
            (6, "cheek raiser", "cheeks and lower lids up, crow's feet"),
            (7, "lid tightener", "lids closer together, lower lid straight"),
            (9, "nose wrinkler", "nostrils up, creases across the root of the nose, brows down"),
            (10, "upper lip raiser", "middle of the upper lip up, deeper fold beside the nose"),
            (12, "lip corner puller", "corners of the mouth up and out, fold beside the nose"),
            (15, "lip corner depressor", "corners of the mouth down"),
            (16, "lower lip depressor", "lower lip down, lower teeth"),
            (17, "chin raiser", "lower lip and chin boss up, dimpled chin"),
            (20, "lip stretcher", "corners of the mouth straight out, lips thinner"),
            (23, "lip tightener", "lips thin and narrow"),
            (24, "lip pressor", "lips pressed together"),
            (25, "lips part", "lips apart"),
            (26, "jaw drop", "jaw and lower lip down, mouth open"),
            (43, "eye closure", "upper lid down: blinking"),
        )
    }
)


@dataclass(frozen=True)
class Prototype:
    """The units of an expression.

    Attributes
    ----------
    core : mapping of unit to strength
        Units that belong to it at full intensity.
    optional : mapping of unit to (strength, probability)
        Units that come with it now and then.
    """

    core: Activation
    optional: Mapping[int, tuple[float, float]]


PROTOTYPES: Mapping[str, Prototype] = MappingProxyType(
    {
        "angry": Prototype({4: 1.0, 5: 0.55, 7: 0.7, 23: 0.9}, {24: (0.8, 0.4), 10: (0.4, 0.2), 17: (0.5, 0.3)}),
        "disgust": Prototype(
            {9: 1.0, 10: 0.7, 15: 0.45, 16: 0.45}, {4: (0.6, 0.4), 6: (0.4, 0.2), 17: (0.6, 0.3), 25: (0.5, 0.4)}
        ),
        "fear": Prototype({1: 1.0, 2: 0.55, 4: 0.6, 5: 0.9, 20: 0.9, 25: 0.6}, {7: (0.5, 0.3), 26: (0.55, 0.45)}),
        "happy": Prototype({6: 0.9, 12: 1.0}, {25: (0.7, 0.6), 26: (0.4, 0.15), 2: (0.3, 0.1)}),
        "sad": Prototype({1: 0.95, 4: 0.6, 15: 0.95}, {17: (0.7, 0.5), 43: (0.35, 0.3), 6: (0.3, 0.1)}),
        "surprise": Prototype({1: 0.95, 2: 1.0, 5: 0.8, 25: 0.5, 26: 0.95}, {20: (0.3, 0.1)}),
        "neutral": Prototype({}, {}),
    }
)
"""Prototype of every expression of FER7."""

if set(PROTOTYPES) != set(FER7):
    raise RuntimeError("PROTOTYPES and FER7 differ")


def activate(
    expression: str,
    intensity: float,
    rng: np.random.Generator,
    *,
    expressivity: Activation = MappingProxyType({}),
    resting: Activation = MappingProxyType({}),
) -> dict[int, float]:
    """One person's way of showing an expression, this time.

    Parameters
    ----------
    expression : str
        A label of FER7.
    intensity : float
        Strength in [0, 1].
    rng : numpy Generator
        Source of the variation: units differ in strength, some are missing, weak foreign ones appear.
    expressivity : mapping of unit to factor
        How strongly this person moves each unit.
    resting : mapping of unit to strength
        What this face looks like at rest (low brows, say).

    Returns
    -------
    dict of unit to strength in [0, 1]

    Raises
    ------
    UnknownNameError
        If the expression is none of FER7.
    """
    if expression not in PROTOTYPES:
        raise UnknownNameError("expression", expression, PROTOTYPES)
    prototype = PROTOTYPES[expression]
    levels = dict.fromkeys(ACTION_UNITS, 0.0)
    for unit, strength in prototype.core.items():
        # Now and then a unit stays nearly still: prototypes are the textbook, people are not.
        moved = rng.uniform(0.7, 1.25) if rng.random() > 0.08 else rng.uniform(0.0, 0.35)
        levels[unit] += strength * moved
    for unit, (strength, probability) in prototype.optional.items():
        if rng.random() < probability:
            levels[unit] += strength * rng.uniform(0.6, 1.2)
    foreign = rng.choice(list(ACTION_UNITS), size=3)
    stray: npt.NDArray[np.float64] = np.abs(rng.normal(0.0, 0.10, 3))
    return {
        unit: float(
            np.clip(
                level * intensity * expressivity.get(unit, 1.0)
                + resting.get(unit, 0.0)
                + (stray[foreign == unit].sum() if unit != 43 else 0.0),
                0.0,
                1.0,
            )
        )
        for unit, level in levels.items()
    }


def blend(a: Activation, b: Activation, share: float) -> dict[int, float]:
    """``(1 - share) * a + share * b``, unit by unit."""
    return {unit: (1.0 - share) * a.get(unit, 0.0) + share * b.get(unit, 0.0) for unit in {**a, **b}}
