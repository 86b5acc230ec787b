"""How large a face must be for a detector: ``python examples/face_sizes.py haar yunet "yunet(max_side=320)"``.

Faces of FER2013's Training, their borders repeated, are pasted in several sizes into 640×480 photographs of nobody.
Prints the share found of each size, boxes elsewhere, and boxes in photographs without any face.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np
from skimage import data

import ferbench as fb
from ferbench.registry import create

SIZES = 48, 64, 96, 160, 240, 360
EMPTY = (
    "coffee chelsea rocket brick grass gravel coins page text moon hubble_deep_field retina logo colorwheel clock horse"
    " cell"
)


def pasted(face: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    """(480, 640, 3) uint8 RGB with one face of ``size`` pixels, and x, y of its middle."""
    picture = cv2.resize(getattr(data, str(rng.choice(["coffee", "rocket", "chelsea"])))(), (640, 480))
    side = size + 2 * (size // 4)
    padded = cv2.copyMakeBorder(face, 12, 12, 12, 12, cv2.BORDER_REPLICATE)
    gray = cv2.resize(padded, (side, side), interpolation=cv2.INTER_CUBIC)
    gray = gray[max(0, (side - 480) // 2) :][:480]
    height = len(gray)
    x, y = int(rng.integers(0, 640 - side + 1)), int(rng.integers(0, 480 - height + 1))
    picture[y : y + height, x : x + side] = gray[..., None]
    return picture, (x + side / 2, y + height / 2)


def empty_pictures() -> list[np.ndarray]:
    """Photographs and drawings of scikit-image that show nobody, as uint8 gray or RGB."""
    pictures = [getattr(data, name)() for name in EMPTY.split()]
    as_bytes = [255 * picture.astype(np.uint8) if picture.dtype == bool else picture for picture in pictures]
    return [np.ascontiguousarray(picture[..., :3]) if picture.ndim == 3 else picture for picture in as_bytes]


def main() -> None:
    """Print one line for each detector."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detectors", nargs="+")
    parser.add_argument("-n", type=int, default=200, help="faces of each size")
    args = parser.parse_args()
    faces = np.asarray(fb.load_dataset("fer2013", split="train").images)
    picked = faces[np.sort(np.random.default_rng(0).choice(len(faces), args.n, replace=False))]
    sizes = " ".join(f"{size} px" for size in SIZES)
    print(f"found %, of {args.n} each: {sizes} | boxes elsewhere | in {len(EMPTY.split())} pictures of nobody")
    for spec in args.detectors:
        detector, rng = create("detectors", spec), np.random.default_rng(1)
        shares, elsewhere = [], 0
        for size in SIZES:
            found = 0
            for face in picked:
                picture, (x, y) = pasted(face, size, rng)
                boxes = detector.detect([picture]).xyxy
                on_it = (boxes[:, 0] < x) & (x < boxes[:, 2]) & (boxes[:, 1] < y) & (y < boxes[:, 3])
                on_it &= boxes[:, 2] - boxes[:, 0] < 2 * size
                found, elsewhere = found + bool(on_it.any()), elsewhere + int((~on_it).sum())
            shares.append(f"{100 * found / args.n:.1f}")
        print(spec, *shares, "|", elsewhere, "|", len(detector.detect(empty_pictures())), flush=True)


if __name__ == "__main__":
    main()
