"""The generated faces as a dataset with official splits."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferbench.checks import is_integer
from ferbench.datasets.paths import cache_dir
from ferbench.datasets.synthetic.scene import SceneScript, check_size, is_pair, script
from ferbench.errors import DataError, ParameterError, UnknownNameError
from ferbench.faces import Image, as_gray
from ferbench.labels import FER7
from ferbench.samples import DatasetInfo, SampleKind, Samples

__all__ = ["GENERATOR_VERSION", "SyntheticFaces", "SyntheticPhotos"]

GENERATOR_VERSION = 3
"""Part of every revision: to be raised by whoever changes a pixel of what is drawn."""

_SPLITS = ("train", "val", "test")
_FIRST_SUBJECT = 1_000_000
_CROP_SCENE = (112, 112)
_JPEG_QUALITY = 94


@dataclass(frozen=True)
class _Recipe:
    """Everything that decides what the dataset holds."""

    n_train: int
    n_val: int
    n_test: int
    seed: int
    kind: str
    size: tuple[int, int]
    images_per_subject: int
    intensity: tuple[float, float]
    occlusion: float
    crop_size: int

    @property
    def revision(self) -> str:
        text = json.dumps({"generator": GENERATOR_VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def label(self, index: int) -> str:
        return FER7.labels[index % len(FER7.labels)]

    def subject(self, split: str, index: int) -> int:
        return _SPLITS.index(split) * _FIRST_SUBJECT + index // self.images_per_subject

    def script(self, split: str, index: int) -> SceneScript:
        """What picture number ``index`` of a split shows; it depends on nothing else."""
        crops = self.kind == "crops"
        return script(
            (self.seed, _SPLITS.index(split), index),
            _CROP_SCENE if crops else self.size,
            labels=[self.label(index)],
            subjects=[self.subject(split, index)],
            identity_seed=self.seed,
            face_share=(0.60, 0.66) if crops else (0.42, 0.66),
            intensity=self.intensity,
            occlusion=self.occlusion,
        )

    def crop(self, split: str, index: int) -> Image:
        """(crop_size, crop_size) gray: cut as a detector would, never exactly the same way."""
        scene = self.script(split, index).draw()
        rng = np.random.default_rng([self.seed, _SPLITS.index(split), index, 3])
        x0, y0, x1, y1 = (float(v) for v in scene.boxes[0])
        side = max(x1 - x0, y1 - y0) * float(rng.uniform(0.98, 1.14))
        cx, cy = (
            0.5 * (a + b) + side * float(np.clip(rng.normal(0, 0.025), -0.06, 0.06)) for a, b in ((x0, x1), (y0, y1))
        )
        scale = self.crop_size / side
        move = np.array([[scale, 0, (0.5 * side - cx) * scale], [0, scale, (0.5 * side - cy) * scale]])
        size = (self.crop_size, self.crop_size)
        gray = as_gray(scene.image)
        return np.asarray(cv2.warpAffine(gray, move, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


class SyntheticPhotos(Sequence[Image]):
    """The photographs of one split, drawn when they are asked for and kept as JPEG files in the cache.

    A picture is what its JPEG file says, whether it was just drawn or read again, so that the cache changes nothing.
    """

    def __init__(self, recipe: _Recipe, split: str, n: int, folder: Path | None) -> None:
        self._recipe, self._split, self._n, self._folder = recipe, split, n, folder

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: int) -> Image:  # type: ignore[override]
        if not -self._n <= i < self._n:
            raise IndexError(f"picture {i} of {self._n}")
        index = i % self._n
        path = None if self._folder is None else self._folder / f"{self._split}-{index:06d}.jpg"
        data = path.read_bytes() if path is not None and path.exists() else b""
        if not data:
            image = self._recipe.script(self._split, index).draw().image
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
            if path is not None:
                _write(path, data)
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise DataError(f"a cached picture is damaged: {path}", fix="delete it; it will be drawn again")
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _write(path: Path, data: bytes) -> None:
    """Write a file at once or not at all: several processes may fill the same cache."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except OSError as error:
        raise DataError(
            f"cannot write the cache {path.parent}",
            got=error.strerror,
            fix="set FERBENCH_CACHE to a writable folder, or use synthetic(cache=False)",
        ) from error


class SyntheticFaces:
    """Generated faces with known expression, identity and box; no download needed.

    Every subject shows all seven expressions at various strengths; the splits share no subject. Picture ``i`` of a
    split depends on the parameters and ``i`` alone.

    Parameters
    ----------
    n_train, n_val, n_test : int
        Pictures of each split.
    seed : int
        Another seed gives other people and pictures.
    kind : "photos" or "crops"
        RGB photographs with one face each, or gray crops as a detector would cut them.
    size : (width, height)
        Of a photograph, in pixels.
    images_per_subject : int
        Pictures of each person; a multiple of 7 gives each person every expression equally often.
    intensity : (low, high)
        Strength of the expressions, in [0, 1]; weak ones are hard to tell from neutral.
    occlusion : float
        Probability that something hides a small part of the face.
    crop_size : int
        Side of a crop, in pixels.
    cache : bool
        Keep what was drawn in the cache folder.

    Raises
    ------
    ParameterError
        If a parameter is out of its range.

    Examples
    --------
    >>> faces = SyntheticFaces(n_train=28, n_val=7, n_test=7, cache=False)
    >>> samples = faces.split("test")
    >>> len(samples), samples.images[0].shape, str(samples.labels[0])
    (7, (240, 320, 3), 'angry')
    """

    def __init__(
        self,
        n_train: int = 1400,
        n_val: int = 280,
        n_test: int = 700,
        seed: int = 0,
        kind: SampleKind = "photos",
        size: tuple[int, int] = (320, 240),
        images_per_subject: int = 14,
        intensity: tuple[float, float] = (0.5, 1.0),
        occlusion: float = 0.08,
        crop_size: int = 48,
        cache: bool = True,
    ) -> None:
        if kind not in ("photos", "crops"):
            raise ParameterError("kind of synthetic faces", got=repr(kind), expected="'photos' or 'crops'")
        limits: dict[str, tuple[int, int]] = {
            "n_train": (n_train, 0),
            "n_val": (n_val, 0),
            "n_test": (n_test, 0),
            "seed": (seed, 0),
            "images_per_subject": (images_per_subject, 1),
            "crop_size": (crop_size, 8),
        }
        for name, (value, least) in limits.items():
            if not is_integer(value) or value < least:
                raise ParameterError(
                    f"{name} of synthetic faces", got=repr(value), expected=f"a whole number >= {least}"
                )
        if not is_pair(intensity) or not 0 <= intensity[0] <= intensity[1] <= 1:
            raise ParameterError("intensity of synthetic faces", got=intensity, expected="(low, high) within 0..1")
        if not isinstance(occlusion, int | float) or not 0 <= occlusion <= 1:
            raise ParameterError("occlusion of synthetic faces", got=occlusion, expected="a probability")
        low, high = (float(v) for v in intensity)
        self._recipe = _Recipe(
            n_train, n_val, n_test, seed, kind, check_size(size), images_per_subject, (low, high), occlusion, crop_size
        )
        self._cache = cache
        self.info = DatasetInfo(
            name="synthetic",
            title="Synthetic faces (generated)",
            label_space=FER7,
            kind=kind,
            splits=_SPLITS,
            licence="generated, MIT",
            official_counts={split: self._counts(split) for split in _SPLITS},
            is_synthetic=True,
        )

    def _size(self, split: str) -> int:
        return {"train": self._recipe.n_train, "val": self._recipe.n_val, "test": self._recipe.n_test}[split]

    def _counts(self, split: str) -> dict[str, int]:
        whole, rest = divmod(self._size(split), len(FER7.labels))
        return {name: whole + (i < rest) for i, name in enumerate(FER7.labels)}

    @property
    def revision(self) -> str:
        """Digest of the generator's version and the parameters: they decide every pixel, so none need be drawn."""
        return self._recipe.revision

    def split(self, name: str) -> Samples:
        """The samples of ``train``, ``val``, ``test`` or ``all``.

        Photographs are drawn when they are asked for; crops are drawn here, once, and read from the cache later.

        Raises
        ------
        UnknownNameError
            For another split.
        """
        if name not in (*_SPLITS, "all"):
            raise UnknownNameError("split of synthetic faces", name, (*_SPLITS, "all"))
        splits = _SPLITS if name == "all" else (name,)
        recipe = self._recipe
        rows = [(split, i) for split in splits for i in range(self._size(split))]
        folder = cache_dir() / "synthetic" / self.revision if self._cache else None
        images: npt.NDArray[np.uint8] | Sequence[Image]
        boxes = None
        if recipe.kind == "crops":
            images = np.concatenate([self._crops(split, folder) for split in splits])
        else:
            images = _Joined([SyntheticPhotos(recipe, split, self._size(split), folder) for split in splits])
            boxes = np.array([recipe.script(split, i).boxes[0] for split, i in rows], np.float32).reshape(-1, 4)
        return Samples(
            images=images,
            labels=np.array([recipe.label(i) for _, i in rows], dtype=np.str_),
            ids=np.array([f"{split}-{i:06d}" for split, i in rows], dtype=np.str_),
            label_space=FER7,
            kind=self.info.kind,
            dataset=self.info.name,
            split=name,
            revision=self.revision,
            subjects=np.array([f"s{recipe.seed}-{recipe.subject(split, i):07d}" for split, i in rows], dtype=np.str_),
            boxes=boxes,
        )

    def _crops(self, split: str, folder: Path | None) -> npt.NDArray[np.uint8]:
        """(n, crop_size, crop_size) uint8 gray crops of a split."""
        path = None if folder is None else folder / f"{split}.crops"
        n, side = self._size(split), self._recipe.crop_size
        if path is not None and path.exists():
            flat = np.fromfile(path, np.uint8)
            if len(flat) == n * side * side:
                return flat.reshape(n, side, side)
            raise DataError(f"a cached file is damaged: {path}", fix="delete it; it will be drawn again")
        crops = np.zeros((n, side, side), np.uint8)
        for i in range(n):
            crops[i] = self._recipe.crop(split, i)
        if path is not None:
            _write(path, crops.tobytes())
        return crops


class _Joined(Sequence[Image]):
    """Several sequences of pictures, one after the other."""

    def __init__(self, parts: list[SyntheticPhotos]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, i: int) -> Image:  # type: ignore[override]
        if not -len(self) <= i < len(self):
            raise IndexError(f"picture {i} of {len(self)}")
        index = i % len(self)
        part = int(np.searchsorted(self._ends, index, side="right"))
        before = int(self._ends[part - 1]) if part else 0
        return self._parts[part][index - before]
