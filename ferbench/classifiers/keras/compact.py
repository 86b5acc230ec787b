"""Networks stored in half the space: weights rounded to float16, in a ``.keras`` file that Keras reads as any other."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import keras
import numpy as np

__all__ = ["halve_file", "round_weights"]

_WEIGHTS = "model.weights.h5"


def round_weights(model: keras.Model) -> None:
    """Round every float32 weight to the nearest float16, so that a halved file holds exactly these."""
    model.set_weights([w.astype(np.float16).astype(np.float32) for w in model.get_weights()])


def halve_file(path: Path) -> None:
    """Store the float32 weights of a ``.keras`` file as float16; Keras casts them back when it loads them."""
    new = path.with_suffix(".half")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            content = source.read(item)
            target.writestr(item.filename, _halved(content) if item.filename == _WEIGHTS else content)
    os.replace(new, path)


def _halved(content: bytes) -> bytes:
    import h5py

    out = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(out, "w") as target:

        def copy(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                data = item[()]
                made = target.create_dataset(name, data=data.astype(np.float16) if data.dtype == np.float32 else data)
            else:
                made = target.require_group(name)
            made.attrs.update(item.attrs)  # type: ignore[attr-defined]

        target.attrs.update(source.attrs)
        source.visititems(copy)
    return out.getvalue()
