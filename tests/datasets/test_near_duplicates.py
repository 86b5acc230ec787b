"""Copies are found, all of them and nothing else."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferbench.datasets.near_duplicates import connected_groups, fingerprint, hamming_pairs, near_pairs
from ferbench.errors import ParameterError


def brute_force(hashes, radius):
    return [
        [i, j]
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= radius
    ]


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.lists(st.integers(0, 63), max_size=8)), max_size=12),
    st.integers(0, 15),
)
def test_pairs_equal_those_of_comparing_all_with_all(bases, changes, radius):
    hashes = list(bases)
    for base, bits in changes:
        if base < len(bases):
            hashes.append(bases[base] ^ sum(1 << bit for bit in set(bits)))
    array = np.array(hashes, dtype=np.uint64)
    assert hamming_pairs(array, radius).tolist() == brute_force(array, radius)


def test_a_bucket_larger_than_a_block_is_searched_whole(monkeypatch):
    monkeypatch.setattr("ferbench.datasets.near_duplicates._BLOCK", 16)
    hashes = np.zeros(100, dtype=np.uint64)
    hashes[1:] = np.uint64((1 << 63) | (1 << 2) | (1 << 20) | (1 << 40))
    assert len(hamming_pairs(hashes, 0)) == 99 * 98 // 2


@pytest.mark.slow
def test_the_search_is_fast_for_all_of_fer2013():
    hashes = np.random.default_rng(0).integers(0, 2**64, 36_000, dtype=np.uint64)
    hashes[1::100] = hashes[::100] ^ np.uint64(0b10110)
    start = time.process_time()
    pairs = hamming_pairs(hashes, 6)
    assert len(pairs) >= 360
    assert time.process_time() - start < 60


def test_a_radius_out_of_range_is_refused():
    with pytest.raises(ParameterError, match="0 to 15"):
        hamming_pairs(np.zeros(2, np.uint64), 16)


@pytest.fixture
def faces():
    """Smooth random pictures, no two alike."""
    rng = np.random.default_rng(5)
    small = rng.integers(0, 256, (30, 6, 6)).astype(np.float32)
    return np.stack([cv2.resize(s, (48, 48), interpolation=cv2.INTER_CUBIC).clip(0, 255) for s in small]).astype(
        np.uint8
    )


def test_recompressed_brightened_and_rescaled_copies_are_near(faces):
    original = faces[0]
    jpeg = cv2.imdecode(cv2.imencode(".jpg", original, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_GRAYSCALE)
    brighter = np.clip(original * 0.8 + 30, 0, 255).astype(np.uint8)
    rescaled = cv2.resize(cv2.resize(original, (30, 30), interpolation=cv2.INTER_AREA), (48, 48))
    prints = fingerprint(np.stack([*faces, jpeg, brighter, rescaled]))
    groups = connected_groups(near_pairs(prints, radius=6, correlation=0.93), 33)
    assert [group.tolist() for group in groups] == [[0, 30, 31, 32]]


def test_photos_of_different_sizes_are_compared(faces):
    colour = np.dstack([cv2.resize(faces[3], (300, 260))] * 3)
    prints = fingerprint([faces[2], faces[3], colour])
    assert near_pairs(prints, radius=6, correlation=0.93).tolist() == [[1, 2]]
    assert prints.shapes == {(48, 48), (260, 300)}


def test_blank_images_are_blank_and_not_copies_of_each_other():
    blank = np.stack([np.zeros((48, 48), np.uint8), np.full((48, 48), 200, np.uint8), np.full((48, 48), 200, np.uint8)])
    prints = fingerprint(blank)
    assert prints.is_blank.tolist() == [True, True, True]
    assert len(near_pairs(prints, radius=6, correlation=0.93)) == 0


def test_equal_pixels_of_another_shape_are_no_copy():
    prints = fingerprint([np.arange(128, dtype=np.uint8).reshape(8, 16), np.arange(128, dtype=np.uint8).reshape(16, 8)])
    assert prints.exact[0] != prints.exact[1]


def test_groups_join_chains_of_pairs():
    groups = connected_groups(np.array([[4, 5], [0, 2], [2, 3]]), 7)
    assert [group.tolist() for group in groups] == [[0, 2, 3], [4, 5]]
    assert connected_groups(np.empty((0, 2), np.int64), 7) == []
