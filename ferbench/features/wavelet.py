"""Sub-bands of the discrete wavelet transform, as one row of features or as images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_choice, check_integer
from ferbench.errors import ShapeError, UnknownNameError
from ferbench.features.base import Crops, Matrix, StatelessFeatures, check_crops, grid_means

__all__ = ["Wavelet", "wavelet_subbands"]

BANDS = ("all", "approximation", "details")
_CHUNK = 256
_Band = npt.NDArray[np.float32]


class Wavelet(StatelessFeatures):
    """Coefficients of the two-dimensional discrete wavelet transform [1]_, or their mean magnitudes on a grid.

    The crop is continued periodically, so that an orthogonal wavelet keeps its energy and, where the crop's sides are
    multiples of 2 to the power of ``level``, gives as many coefficients as there are pixels.

    Parameters
    ----------
    wavelet : str
        A discrete wavelet of PyWavelets: ``haar``, ``db2``, ``sym4``, ``bior2.2``.
    level : int
        How often the approximation is transformed again.
    bands : {"all", "approximation", "details"}
        Which sub-bands are kept.
    grid : int or None
        Cells along each side over which the magnitudes of each sub-band are averaged; None: the coefficients
        themselves.

    References
    ----------
    .. [1] S. Mallat: A theory for multiresolution signal decomposition: the wavelet representation. IEEE TPAMI 11(7),
           1989. Computed by PyWavelets.

    Examples
    --------
    >>> import numpy as np
    >>> Wavelet("db2", level=2).transform(np.zeros((2, 48, 48), np.uint8)).shape
    (2, 2304)
    """

    def __init__(self, wavelet: str = "haar", level: int = 2, bands: str = "all", grid: int | None = None) -> None:
        self.wavelet = wavelet
        self.level = level
        self.bands = bands
        self.grid = grid

    def transform(self, X: Crops) -> Matrix:
        """(N, D) float32: the approximation, then from the coarsest level to the finest LH, HL and HH."""
        check_choice("bands", self.bands, BANDS)
        crops = check_crops(X)
        _check_transform(crops, self.wavelet, self.level)
        if self.grid is not None:
            check_integer("grid", self.grid, 1)
            smallest = min(-(-side // 2**self.level) for side in crops.shape[1:])
            if self.grid > smallest:
                raise ShapeError(
                    "sub-bands are smaller than the grid", got=f"{smallest} pixels", expected=f"at least {self.grid}"
                )
        parts = [self._rows(crops[start : start + _CHUNK]) for start in range(0, max(1, len(crops)), _CHUNK)]
        return np.concatenate(parts)

    def _rows(self, crops: Crops) -> Matrix:
        approximation, details = _transform(crops, self.wavelet, self.level)
        bands = [] if self.bands == "details" else [approximation]
        if self.bands != "approximation":
            bands += [band for level in reversed(details) for band in level]
        if self.grid is not None:
            bands = [grid_means(np.abs(band), self.grid) for band in bands]
        return np.concatenate([band.reshape(len(crops), band.shape[1] * band.shape[2]) for band in bands], axis=1)


def wavelet_subbands(crops: Crops, wavelet: str = "haar", level: int = 1) -> npt.NDArray[np.float32]:
    """Sub-bands of one level as the channels of an image.

    Parameters
    ----------
    crops : (N, h, w) uint8 gray
    wavelet : str
        A discrete wavelet of PyWavelets.
    level : int
        How often the transform is applied; only the last level's sub-bands are given.

    Returns
    -------
    (N, h / 2**level, w / 2**level, 4) float32
        Approximation, LH (horizontal edges), HL (vertical edges) and HH (diagonals) of gray values in [0, 1].

    Raises
    ------
    UnknownNameError
        No such wavelet.
    ShapeError
        The crops are too small for that level.
    """
    _check_transform(check_crops(crops), wavelet, level)
    approximation, details = _transform(crops, wavelet, level)
    return np.ascontiguousarray(np.stack([approximation, *details[-1]], axis=-1), dtype=np.float32)


def _transform(crops: Crops, wavelet: str, level: int) -> tuple[_Band, list[tuple[_Band, _Band, _Band]]]:
    """The last approximation, and the details of each level, the finest first."""
    import pywt

    approximation, details = crops.astype(np.float32) / np.float32(255), []
    for _ in range(level):
        # Not wavedec2: it warns of borders, which a periodic crop has not.
        approximation, bands = pywt.dwt2(approximation, wavelet, "periodization", axes=(1, 2))
        details.append(bands)
    return approximation, details


def _check_transform(crops: Crops, wavelet: object, level: object) -> None:
    import pywt

    if wavelet not in pywt.wavelist(kind="discrete"):
        raise UnknownNameError("wavelet", str(wavelet), pywt.wavelist(kind="discrete"))
    deepest = int(np.log2(min(crops.shape[1:])))
    if check_integer("level", level, 1) > deepest:
        raise ShapeError(
            "crops are too small for so many levels",
            got=f"level {level} of {crops.shape[2]}×{crops.shape[1]}",
            expected=f"at most {deepest}",
        )
