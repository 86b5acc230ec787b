"""Finding copies among tens of thousands of images: equal pixels, and pictures that look the same.

A near duplicate is a pair whose 64-bit difference hashes [1]_ differ in few bits and whose pixels correlate. The hash
alone is not enough: frontal faces of 48 pixels share so much structure that strangers collide.

.. [1] Krawetz, "Kind of like that", 2013 (dHash): signs of the horizontal differences of a 9×8 thumbnail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError
from ferbench.faces import Image, as_gray

__all__ = ["Fingerprints", "connected_groups", "content_digests", "fingerprint", "hamming_pairs", "near_pairs"]

HASH_BITS = 64
THUMBNAIL = 24
"""Side in pixels of the thumbnail on which candidates are compared."""

FLAT_RANGE = 8
"""An image whose gray values span no more than this is blank: no face shows in it, and its hash means nothing."""

_BLOCK = 2048  # rows of a bucket compared at once: 2048² XORs are 32 MiB


class Fingerprints:
    """What is kept of each image while duplicates are searched.

    Attributes
    ----------
    exact : list of bytes
        Digest of size and pixels.
    hashes : (N,) uint64
        Difference hashes.
    thumbnails : (N, 576) float32
        Gray thumbnails of zero mean and unit length.
    is_blank : (N,) bool
        Whether all pixels are nearly the same.
    shapes : set of (height, width)
    """

    def __init__(self, n: int) -> None:
        self.exact: list[bytes] = []
        self.hashes = np.zeros(n, dtype=np.uint64)
        self.thumbnails = np.zeros((n, THUMBNAIL**2), dtype=np.float32)
        self.is_blank = np.zeros(n, dtype=bool)
        self.shapes: set[tuple[int, int]] = set()


def content_digests(images: npt.NDArray[np.uint8] | Sequence[Image]) -> list[bytes]:
    """Digest of size and pixels of each image, one at a time: equal for equal pictures, whatever file they are in."""
    return [_content_digest(images[i]) for i in range(len(images))]


def _content_digest(image: Image) -> bytes:
    return hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).digest()


def fingerprint(images: npt.NDArray[np.uint8] | Sequence[Image]) -> Fingerprints:
    """Fingerprints of images, one at a time: lazily read photos never lie in memory together."""
    import cv2

    prints = Fingerprints(len(images))
    small = np.empty((len(images), 8, 9), dtype=np.float32)
    for i in range(len(images)):
        image = np.ascontiguousarray(images[i])
        prints.exact.append(_content_digest(image))
        gray = as_gray(image)
        prints.shapes.add((gray.shape[0], gray.shape[1]))
        prints.is_blank[i] = int(gray.max()) - int(gray.min()) <= FLAT_RANGE
        wide = gray.astype(np.float32)
        thumbnail = cv2.resize(wide, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
        thumbnail -= thumbnail.mean()
        prints.thumbnails[i] = thumbnail / max(float(np.linalg.norm(thumbnail)), 1e-6)
        small[i] = cv2.resize(wide, (9, 8), interpolation=cv2.INTER_AREA)
    bits = (small[:, :, 1:] > small[:, :, :-1]).reshape(len(images), HASH_BITS)
    prints.hashes[:] = np.packbits(bits, axis=1).view(">u8").ravel()
    return prints


def hamming_pairs(hashes: npt.NDArray[np.uint64], radius: int) -> npt.NDArray[np.int64]:
    """All pairs of hashes that differ in at most ``radius`` bits.

    Exact, not approximate: cut into ``radius + 1`` bands, two such hashes agree in at least one band, so only hashes
    that share a band's value are compared.

    Parameters
    ----------
    hashes : (N,) uint64
    radius : int
        0 to 15.

    Returns
    -------
    pairs : (P, 2) int64
        ``i < j``, sorted, each once.
    """
    if not 0 <= radius < 16:
        raise ParameterError("Hamming radius out of range", got=radius, expected="0 to 15")
    edges = np.linspace(0, HASH_BITS, radius + 2).astype(int)
    found = [np.empty((0, 2), dtype=np.int64)]
    for low, high in pairwise(edges.tolist()):
        mask = np.uint64((1 << (high - low)) - 1)
        band = (hashes >> np.uint64(low)) & mask
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(band[order]) != 0, True]) if len(order) else np.array([0])
        for start, end in pairwise(starts.tolist()):
            if end - start > 1:
                found += _pairs_in_bucket(hashes, order[start:end], radius)
    return np.unique(np.concatenate(found), axis=0)


def _pairs_in_bucket(
    hashes: npt.NDArray[np.uint64], members: npt.NDArray[np.int64], radius: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Pairs within ``radius`` among the members of a bucket (ascending), block by block."""
    for a in range(0, len(members), _BLOCK):
        rows = members[a : a + _BLOCK]
        for b in range(a, len(members), _BLOCK):
            columns = members[b : b + _BLOCK]
            near = _popcount(hashes[rows][:, None] ^ hashes[columns][None, :]) <= radius
            i, j = np.nonzero(near)
            pairs = np.stack([rows[i], columns[j]], axis=1)
            yield pairs[pairs[:, 0] < pairs[:, 1]]


_BITS_OF_16 = np.array([bin(value).count("1") for value in range(1 << 16)], dtype=np.uint8)


def _popcount(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Number of set bits of each value; numpy has it from 2.0 only."""
    words = np.ascontiguousarray(values).view(np.uint16).reshape(*values.shape, 4)
    counts: npt.NDArray[np.uint8] = _BITS_OF_16[words].sum(axis=-1, dtype=np.uint8)
    return counts


def near_pairs(prints: Fingerprints, *, radius: int, correlation: float) -> npt.NDArray[np.int64]:
    """Pairs (P, 2) that look the same: hashes within ``radius`` bits, thumbnails correlated, neither image blank."""
    pairs = hamming_pairs(prints.hashes, radius)
    pairs = pairs[~prints.is_blank[pairs].any(axis=1)]
    similar = np.zeros(len(pairs), dtype=bool)
    for at in range(0, len(pairs), _BLOCK):
        left, right = prints.thumbnails[pairs[at : at + _BLOCK, 0]], prints.thumbnails[pairs[at : at + _BLOCK, 1]]
        similar[at : at + _BLOCK] = np.einsum("ij,ij->i", left, right) >= correlation
    return pairs[similar]


def connected_groups(pairs: npt.NDArray[np.int64], n: int) -> list[npt.NDArray[np.int64]]:
    """Groups of images connected by pairs, each ascending, in the order of their first image."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(pairs):
        return []
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    order = np.argsort(component, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(component[order])) + 1)
    return sorted((part for part in parts if len(part) > 1), key=lambda part: int(part[0]))
