"""How often saved pipelines are right on PublicTest, with and without the faces that have a near copy in Training.

``python examples/near_copies.py tiny accurate models/kernel-ridge`` prints a line for each pipeline: percent right of
all faces, of those without a near copy, and of those with one, with 95 % Wilson intervals. Needs FER2013.
"""

import sys

import numpy as np
from scipy.stats import binomtest

from ferbench.datasets import load_dataset
from ferbench.datasets.audit import NEAR_CORRELATION, NEAR_RADIUS
from ferbench.datasets.near_duplicates import fingerprint, near_pairs
from ferbench.pipelines import load_pipeline


def share(right: np.ndarray) -> str:
    """Percent right, with its interval, of so many."""
    k, n = int(right.sum()), len(right)
    interval = binomtest(k, n).proportion_ci(0.95, "wilson")
    return f"{100 * k / n:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f}) of {n:,}"


def main(names: list[str]) -> None:
    """Compare the splits' pictures once, then score each pipeline."""
    train, val = (np.asarray(load_dataset("fer2013", split=split).images) for split in ("train", "val"))
    truth = load_dataset("fer2013", split="val").labels
    pairs = near_pairs(fingerprint(np.concatenate([train, val])), radius=NEAR_RADIUS, correlation=NEAR_CORRELATION)
    across = pairs[(pairs[:, 0] < len(train)) & (pairs[:, 1] >= len(train))]
    has_copy = np.zeros(len(val), bool)
    has_copy[across[:, 1] - len(train)] = True
    for name in names:
        pipeline = load_pipeline(name)
        right = np.array(pipeline.labels)[pipeline.classify(val).argmax(axis=1)] == truth
        print(f"{name}: all {share(right)}; without a copy {share(right[~has_copy])}; with {share(right[has_copy])}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["tiny", "accurate"])
