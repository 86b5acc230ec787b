"""AffectNet [1]_, the manually annotated part: faces from the web, eight expressions.

.. [1] Mollahosseini, Hasani, Mahoor, "AffectNet: A database for facial expression, valence, and arousal computing in
   the wild", IEEE Transactions on Affective Computing 2019.
"""

from __future__ import annotations

import io
import os
from collections import Counter

import numpy as np

from ferbench.datasets.archives import FileSource, image_names, open_source
from ferbench.datasets.base import ContemptChoice, ContemptDataset
from ferbench.datasets.content import Content, Skipped, cached
from ferbench.datasets.crops import check_side, read_crops
from ferbench.datasets.paths import not_found
from ferbench.datasets.trees import file_id
from ferbench.errors import LabelError
from ferbench.labels import AFFECTNET8, canonical_label
from ferbench.samples import DatasetInfo

__all__ = ["AffectNet"]

_SPLIT_FOLDERS = {
    "train_set": "train",
    "train": "train",
    "val_set": "val",
    "val": "val",
    "valid": "val",
    "test": "test",
}
_NO_EXPRESSION = {8: "no expression", 9: "uncertain", 10: "not a face"}
_CODES = dict(enumerate(("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")))


def _counts(*counts: int) -> dict[str, int]:
    return dict(zip(AFFECTNET8.labels, counts, strict=True))


class AffectNet(ContemptDataset):
    """AffectNet, 287,651 training and 4,000 validation faces; as gray crops.

    Parameters
    ----------
    path : path, optional
        A folder or zip with the official ``train_set/`` and ``val_set/`` (``images/<n>.jpg`` and
        ``annotations/<n>_exp.npy``), or with ``train/<class>/<image>`` where the class is a name or its code 0 to 7.
    size : int
        Side of the crops in pixels; the originals have 224. The decoded set is kept on disk and memory-mapped:
        96 pixels make 2.7 GB of it.
    contempt : "keep", "drop", "disgust" or "neutral"
        ``keep``: an expression of its own. Otherwise labels are FER7's, and its faces are left out, or counted as such.
    """

    known = DatasetInfo(
        name="affectnet",
        title="AffectNet",
        label_space=AFFECTNET8,
        kind="crops",
        splits=("train", "val", "test"),
        licence="research use, on signed agreement",
        homepage="http://mohammadmahoor.com/affectnet/",
        files=("affectnet", "AffectNet", "affectnet.zip", "AffectNet.zip"),
        official_counts={
            "train": _counts(74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750),
            "val": _counts(*[500] * len(AFFECTNET8)),
        },
    )

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, size: int = 96, contempt: ContemptChoice = "keep"
    ) -> None:
        super().__init__(path, contempt=contempt)
        self.size = check_side(size)

    def _read(self) -> Content:
        source = open_source(self.location)
        return cached(["affectnet", str(self.size), source.fingerprint()], lambda: self._decode(source))

    def _decode(self, source: FileSource) -> Content:
        every = set(source.names())
        rows: list[tuple[str, str, str]] = []
        skipped: list[Skipped] = []
        excluded: Counter[str] = Counter()
        for name in image_names(source):
            split = next((_SPLIT_FOLDERS[f.lower()] for f in name.split("/") if f.lower() in _SPLIT_FOLDERS), None)
            if split is None:
                skipped.append(Skipped(name, f"in no split folder, expected {', '.join(_SPLIT_FOLDERS)}"))
                continue
            try:
                label = _label(source, name, every)
            except ValueError as problem:
                skipped.append(Skipped(name, str(problem)))
                continue
            if isinstance(label, int):
                excluded[_NO_EXPRESSION[label]] += 1
            else:
                rows.append((name, label, split))
        if not rows and not skipped:
            raise not_found(self.known, f"{self.location} holds no images")
        images, unreadable = read_crops(source, [name for name, _, _ in rows], size=self.size)
        kept = [row for row in rows if row[0] not in unreadable]
        return Content(
            images=images,
            labels=np.array([label for _, label, _ in kept], dtype=np.str_),
            ids=np.array([file_id(name) for name, _, _ in kept], dtype=np.str_),
            splits=np.array([split for _, _, split in kept], dtype=np.str_),
            skipped=[*skipped, *(Skipped(name, reason) for name, reason in unreadable.items())],
            excluded=dict(excluded),
        )


def _label(source: FileSource, name: str, every: set[str]) -> str | int:
    """Label of an image, or the code (8 to 10) under which AffectNet files what shows no expression.

    Raises
    ------
    ValueError
        Says what is missing or wrong.
    """
    folders, _, file = name.rpartition("/")
    above, _, folder = folders.rpartition("/")
    if folder.lower() == "images":
        annotation = f"{above}/annotations/{file.rsplit('.', 1)[0]}_exp.npy".lstrip("/")
        if annotation not in every:
            raise ValueError("no annotation beside it, expected annotations/<n>_exp.npy")
        return _from_code(_annotated_code(source.read(annotation)))
    if folder.isascii() and folder.isdigit():
        return _from_code(folder)
    try:
        return canonical_label(folder)
    except LabelError:
        raise ValueError(f"folder {folder!r} is neither an expression nor a code 0 to 7") from None


def _annotated_code(content: bytes) -> str:
    """The code in an ``_exp.npy`` file: a string or number without dimensions."""
    try:
        return str(np.load(io.BytesIO(content), allow_pickle=False).item())
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"its annotation cannot be read: {error}") from error


def _from_code(text: str) -> str | int:
    code = int(text) if text.isascii() and text.isdigit() else -1
    if code in _CODES:
        return _CODES[code]
    if code in _NO_EXPRESSION:
        return code
    raise ValueError(f"expression code is {text[:20]!r}, expected 0 to {max(_NO_EXPRESSION)}")
