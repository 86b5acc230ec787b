"""Who a generated face is: everything that stays the same over all pictures of one subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ferbench.datasets.synthetic.units import ACTION_UNITS

__all__ = ["HAIR_STYLES", "Colour", "Identity", "make_identity"]

Colour = tuple[float, float, float]
"""RGB in 0..255."""

HAIR_STYLES = ("bald", "buzz", "short", "parted", "fringe", "bob", "long", "curly", "bun")

_SKIN = np.array(
    [(246, 214, 192), (236, 196, 168), (224, 176, 142), (198, 146, 110), (160, 112, 82), (118, 80, 58)], np.float64
)
_HAIR = np.array(
    [(34, 28, 26), (58, 40, 30), (92, 62, 40), (128, 84, 48), (178, 136, 82), (146, 70, 38), (150, 146, 142)],
    np.float64,
)
_IRIS = np.array(
    [(70, 44, 26), (96, 62, 34), (104, 96, 52), (74, 110, 84), (82, 118, 150), (106, 120, 128)], np.float64
)


_RESTING = {1: 0.07, 2: 0.06, 4: 0.09, 7: 0.06, 12: 0.07, 15: 0.09, 17: 0.06, 24: 0.07}
"""How far, as a standard deviation, some faces at rest already look moved."""


@dataclass(frozen=True)
class Identity:
    """One generated person.

    Lengths are in head units: the eyes' line is near y = 0, the chin near y = 1, x points right, y down. Colours are
    RGB in 0..255.
    """

    width: float
    chin: float
    crown: float
    jaw: float
    chin_width: float
    ears: float
    skin: Colour
    ruddiness: float
    freckles: float
    age: float
    hair_style: str
    hair: Colour
    hairline: float
    parting: float
    brow_y: float
    brow_arch: float
    brow_thickness: float
    brow: Colour
    eye_y: float
    eye_x: float
    eye_width: float
    eye_open: float
    eye_tilt: float
    iris: Colour
    lashes: float
    nose_length: float
    nose_width: float
    nose_height: float
    mouth_y: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    lips: Colour
    beard: float
    moustache: float
    glasses: str
    clothes: Colour
    texture_seed: int
    expressivity: Mapping[int, float]
    resting: Mapping[int, float]


def _mix(palette: npt.NDArray[np.float64], at: float, rng: np.random.Generator, spread: float) -> Colour:
    """A colour at a position along the palette, in [0, len - 1], with some scatter."""
    low = min(int(at), len(palette) - 2)
    colour = palette[low] + (at - low) * (palette[low + 1] - palette[low]) + rng.normal(0.0, spread, 3)
    r, g, b = np.clip(colour, 8, 250)
    return float(r), float(g), float(b)


def _around(rng: np.random.Generator, mean: float, spread: float) -> float:
    """A normal draw, cut off at two spreads."""
    return mean + spread * float(np.clip(rng.normal(), -2.0, 2.0))


@lru_cache(maxsize=4096)
def make_identity(seed: int, subject: int) -> Identity:
    """The person with this number, always the same for the same seed.

    Parameters
    ----------
    seed : int
        Seed of the dataset or stream.
    subject : int
        Number of the person.
    """
    rng = np.random.default_rng([seed, 0x1D, subject])
    masculine = float(rng.random())
    age = float(np.clip(rng.beta(1.4, 2.0), 0, 1))
    tone = float(rng.beta(1.1, 1.6) * (len(_SKIN) - 1))
    skin = _mix(_SKIN, tone, rng, 4.0)
    grey = age > 0.6 and rng.random() < 0.6
    hair_at = 6.0 if grey else float(rng.uniform(0, 1.6) if tone > 2.8 else rng.uniform(0, 5))
    hair = _mix(_HAIR, hair_at, rng, 5.0)
    styles = (
        ("bald", "buzz", "short", "short", "parted", "fringe", "curly")
        if masculine > 0.5
        else ("parted", "fringe", "bob", "long", "long", "curly", "bun")
    )
    bearded = masculine > 0.55 and rng.random() < 0.45
    dark = np.asarray(hair) * 0.62 + np.asarray(skin) * 0.10
    lips = np.asarray(skin) * np.array([0.86, 0.60, 0.60]) + rng.normal(0, 5, 3) + (14, 0, 4)
    return Identity(
        width=_around(rng, 0.775, 0.035),
        chin=_around(rng, 1.03, 0.035) + 0.03 * masculine,
        crown=_around(rng, -1.17, 0.03),
        jaw=_around(rng, 0.80, 0.035) + 0.07 * (masculine - 0.5),
        chin_width=_around(rng, 0.42, 0.035) + 0.10 * (masculine - 0.5),
        ears=_around(rng, 1.0, 0.12),
        skin=skin,
        ruddiness=float(rng.uniform(0.2, 1.0)),
        freckles=float(rng.uniform(0.3, 1.0)) if tone < 1.5 and rng.random() < 0.2 else 0.0,
        age=age,
        hair_style=str(rng.choice(styles)),
        hair=hair,
        hairline=_around(rng, -0.72, 0.05) - 0.10 * age * masculine,
        parting=float(rng.uniform(-0.5, 0.5)),
        brow_y=_around(rng, -0.285, 0.022),
        brow_arch=_around(rng, 0.065, 0.02) - 0.02 * masculine,
        brow_thickness=_around(rng, 0.060, 0.010) + 0.018 * (masculine - 0.5),
        brow=(float(dark[0]), float(dark[1]), float(dark[2])),
        eye_y=_around(rng, -0.055, 0.015),
        eye_x=_around(rng, 0.325, 0.014),
        eye_width=_around(rng, 0.158, 0.009),
        eye_open=_around(rng, 0.112, 0.012),
        eye_tilt=_around(rng, 0.012, 0.012),
        iris=_mix(_IRIS, float(rng.uniform(0, 1.2) if tone > 2.8 else rng.uniform(0, 5)), rng, 4.0),
        lashes=float(1.0 - 0.6 * masculine),
        nose_length=_around(rng, 0.39, 0.025),
        nose_width=_around(rng, 0.150, 0.014),
        nose_height=_around(rng, 1.0, 0.12),
        mouth_y=_around(rng, 0.645, 0.02),
        mouth_width=_around(rng, 0.275, 0.02),
        upper_lip=_around(rng, 0.056, 0.010),
        lower_lip=_around(rng, 0.078, 0.012),
        lips=(float(np.clip(lips[0], 30, 235)), float(np.clip(lips[1], 20, 200)), float(np.clip(lips[2], 20, 200))),
        beard=float(rng.uniform(0.25, 1.0)) if bearded else 0.0,
        moustache=float(rng.uniform(0.3, 1.0)) if bearded and rng.random() < 0.8 else 0.0,
        glasses=str(rng.choice(("round", "square"))) if rng.random() < 0.16 else "none",
        clothes=tuple(float(c) for c in rng.uniform(25, 215, 3)),  # type: ignore[arg-type]
        texture_seed=int(rng.integers(2**31)),
        expressivity={unit: float(rng.uniform(0.7, 1.2)) for unit in ACTION_UNITS},
        resting={unit: float(abs(rng.normal(0.0, spread))) for unit, spread in _RESTING.items()},
    )
