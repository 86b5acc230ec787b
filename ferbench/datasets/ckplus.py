"""CK+ [1]_: posed expressions of 118 people in the laboratory, from neutral to the peak.

.. [1] Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR workshops 2010.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ferbench.datasets.archives import FileImages, FileSource, image_names, open_source
from ferbench.datasets.base import ContemptDataset
from ferbench.datasets.content import Content, Skipped, cached
from ferbench.datasets.crops import image_shapes, read_crops
from ferbench.datasets.paths import not_found
from ferbench.datasets.trees import place
from ferbench.labels import CKPLUS7
from ferbench.samples import DatasetInfo, SampleKind

__all__ = ["CKPlus"]

CROP_SIDE = 48
PEAK_FRAMES = 3
"""Frames taken from the end of each sequence, as the widely used 48×48 edition does."""

_FRAME = re.compile(r"(S\d+)_(\d+)_(\d+)$")
_EMOTION_FILE = re.compile(r"(S\d+)_(\d+)_\d+_emotion\.txt$", re.IGNORECASE)
_CODES = {1: "angry", 2: "contempt", 3: "disgust", 4: "fear", 5: "happy", 6: "sad", 7: "surprise"}


class _Frame(NamedTuple):
    name: str
    id: str
    subject: str
    label: str


class CKPlus(ContemptDataset):
    """CK+, the last three frames of 327 labelled sequences; contempt, no neutral; subjects known.

    There are no official splits: use :func:`~ferbench.datasets.folds.subject_folds`. Frames of one sequence are all
    but equal, so random folds reach 100 % and say nothing.

    Parameters
    ----------
    path : path, optional
        Folder or zip of ``<emotion>/S<subject>_<sequence>_<frame>.png`` (48×48 crops), or a folder or zip with the
        original ``cohn-kanade-images/`` and ``Emotion/`` trees. The original frames show head and shoulders: from them
        the kind is ``photos``, and ids are the same.
    contempt : "keep", "drop", "disgust" or "neutral"
        ``keep``: an expression of its own. Otherwise labels are FER7's, and its faces are left out, or counted as such.
    """

    known = DatasetInfo(
        name="ckplus",
        title="CK+",
        label_space=CKPLUS7,
        kind="crops",
        splits=(),
        licence="research use, on signed agreement; pictures of most subjects must not be published",
        homepage="https://www.jeffcohn.net/resources/",
        files=("ckplus48.zip", "CK+48.zip", "CK+48", "ckplus48", "ckplus", "CK+"),
        official_counts={
            "all": {"angry": 135, "contempt": 54, "disgust": 177, "fear": 75, "happy": 207, "sad": 84, "surprise": 249}
        },
    )

    def _info(self) -> DatasetInfo:
        """As known; of kind ``photos`` where the original frames are read."""
        kind: SampleKind = "crops" if isinstance(self._content.images, np.ndarray) else "photos"
        return replace(self.known, kind=kind)

    def _read(self) -> Content:
        source = open_source(self.location)

        def build() -> Content:
            emotion_files = [name for name in source.names() if _EMOTION_FILE.search(name)]
            if emotion_files:
                frames, skipped = _original_frames(source, emotion_files)
            else:
                frames, skipped = _cropped_frames(source)
            if not frames and not skipped:
                raise not_found(self.known, f"{self.location} holds no CK+ frames")
            return _content(source, frames, skipped, is_cropped=not emotion_files)

        return cached(["ckplus", source.fingerprint()], build, source)


def _cropped_frames(source: FileSource) -> tuple[list[_Frame], list[Skipped]]:
    placed, skipped = place(image_names(source))
    frames = []
    for name, label, _ in placed:
        match = _FRAME.search(name.rsplit(".", 1)[0])
        if match is None:
            skipped.append(Skipped(name, "the file name tells no subject, expected S<subject>_<sequence>_<frame>"))
        elif label not in CKPLUS7:
            skipped.append(Skipped(name, f"{label!r} is not among CK+'s labels"))
        else:
            frames.append(_Frame(name, match.group(0), match.group(1), label))
    return frames, skipped


def _original_frames(source: FileSource, emotion_files: list[str]) -> tuple[list[_Frame], list[Skipped]]:
    """The last frames of every sequence that has an emotion file; the others were never labelled."""
    sequences: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name in image_names(source):
        match = _FRAME.search(name.rsplit(".", 1)[0])
        if match is not None:
            sequences[match.group(1), match.group(2)].append(name)
    frames, skipped = [], []
    for file in emotion_files:
        match = _EMOTION_FILE.search(file)
        subject, sequence = (match.group(1), match.group(2)) if match else ("", "")
        text = source.read(file)[:100].decode("ascii", "replace").strip()
        try:
            label = _CODES.get(round(float(text)))
        except (ValueError, OverflowError):
            label = None
        peak = sorted(sequences.get((subject, sequence), []))[-PEAK_FRAMES:]
        if label is None:
            skipped.append(Skipped(file, f"emotion code is {text[:20]!r}, expected 1 to 7"))
        elif not peak:
            skipped.append(Skipped(file, "no images of this sequence"))
        else:
            frames += [_Frame(name, name.rsplit("/", 1)[-1].rsplit(".", 1)[0], subject, label) for name in peak]
    return frames, skipped


def _content(source: FileSource, frames: list[_Frame], skipped: list[Skipped], *, is_cropped: bool) -> Content:
    names = [frame.name for frame in frames]
    if is_cropped:
        images, unreadable = read_crops(source, names, size=CROP_SIDE)
        kept = [frame for frame in frames if frame.name not in unreadable]
        pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | FileImages = images
    else:
        shapes, unreadable = image_shapes(source, names)
        kept = [frame for frame in frames if frame.name in shapes]
        pictures = FileImages(source, np.array([frame.name for frame in kept], dtype=np.str_))
    return Content(
        images=pictures,
        labels=np.array([frame.label for frame in kept], dtype=np.str_),
        ids=np.array([frame.id for frame in kept], dtype=np.str_),
        splits=np.full(len(kept), "all", dtype="<U5"),
        subjects=np.array([frame.subject for frame in kept], dtype=np.str_),
        skipped=[*skipped, *(Skipped(name, reason) for name, reason in unreadable.items())],
    )
