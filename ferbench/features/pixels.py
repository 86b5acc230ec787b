"""The plainest features: the gray values themselves."""

from __future__ import annotations

import numpy as np

from ferbench.features.base import Crops, Matrix, StatelessFeatures, check_crops

__all__ = ["Pixels"]


class Pixels(StatelessFeatures):
    """Gray values of a crop as one row.

    Parameters
    ----------
    standardise : bool
        False: values in [0, 1]. True: each crop has mean 0 and standard deviation 1, which takes out brightness and
        contrast; a crop of one gray value becomes zeros.

    Examples
    --------
    >>> import numpy as np
    >>> Pixels().transform(np.full((2, 48, 48), 255, np.uint8)).shape
    (2, 2304)
    """

    def __init__(self, standardise: bool = False) -> None:
        self.standardise = standardise

    def transform(self, X: Crops) -> Matrix:
        """(N, h * w) float32, row by row from the top left."""
        crops = check_crops(X)
        values = crops.reshape(len(crops), crops.shape[1] * crops.shape[2]).astype(np.float32)
        if not self.standardise:
            values /= 255.0
            return values
        values -= values.mean(axis=1, keepdims=True)
        deviation = values.std(axis=1, keepdims=True)
        values /= np.where(deviation > 0, deviation, 1.0)
        return values
