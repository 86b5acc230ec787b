"""Small datasets in every form in which the real ones are passed around."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


class Faces2013:
    """Twelve random FER2013 rows: eight Training, two PublicTest, two PrivateTest."""

    usages = ["Training"] * 8 + ["PublicTest"] * 2 + ["PrivateTest"] * 2

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.images = rng.integers(0, 256, (12, 48, 48), np.uint8)
        self.codes = [0, 1, 2, 3, 4, 5, 6, 3, 0, 6, 1, 2]

    def rows(self) -> list[str]:
        return [
            f"{code},{' '.join(map(str, image.ravel()))},{usage}"
            for code, image, usage in zip(self.codes, self.images, self.usages, strict=True)
        ]

    def csv(self, *, rows: list[str] | None = None, header: str = "emotion,pixels,Usage") -> str:
        return "\n".join([header, *(self.rows() if rows is None else rows)]) + "\n"


@pytest.fixture
def fer() -> Faces2013:
    return Faces2013()


@pytest.fixture
def fer_csv(fer: Faces2013, tmp_path: Path) -> Path:
    path = tmp_path / "fer2013.csv"
    path.write_text(fer.csv())
    return path


def save_image(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(image).save(path)
    return path


def zip_folder(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as opened:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                opened.write(file, file.relative_to(folder.parent).as_posix())
    return archive


@pytest.fixture
def save():
    return save_image


@pytest.fixture
def as_zip():
    return zip_folder


@pytest.fixture
def noise():
    """A function that makes a different random gray image on every call."""
    rng = np.random.default_rng(3)
    return lambda height=48, width=48: rng.integers(0, 256, (height, width), np.uint8)
