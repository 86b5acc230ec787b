"""Frames for latency cells: written to one file by the harness, read into memory by the worker before its clock.

A frame file is an uncompressed ``.npz``: ``kind`` and ``description`` as text, then either one stacked array
``frames`` (images of one shape) or ``frame_00000``, ``frame_00001``, … (images of several shapes, or encoded bytes).
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args, runtime_checkable
from zipfile import BadZipFile

import numpy as np

from ferbench.errors import DataError, ParameterError, RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferbench.faces import Image
    from ferbench.samples import Samples

__all__ = [
    "MAX_FRAME_BYTES",
    "EncodedImages",
    "FrameSet",
    "check_frames",
    "decode_frame",
    "read_frames",
    "write_frames",
]

FrameKind = Literal["crops", "photos", "encoded"]
"""``crops``: the detector is bypassed; ``photos``: decoded images; ``encoded``: JPEG or PNG bytes, decoding timed."""

MAX_FRAME_BYTES = 256 * 2**20
"""Frames held in memory at most; past it they repeat, which a note says. 290 RGB frames of 640×480."""

_SYNTHETIC = re.compile(r"synthetic(-stream)?-(\d{2,4})x(\d{2,4})(-jpeg)?")
_SENSOR_NOISE = 2.0
"""Gray levels: even where nothing moves, no two frames of a camera are equal."""
_WEBCAM_JPEG_QUALITY = 90


@runtime_checkable
class EncodedImages(Protocol):
    """A sequence of images that can also give the bytes of the file an image comes from."""

    def encoded(self, i: int) -> bytes:
        """Bytes of the image file ``i``."""
        ...


@dataclass(frozen=True)
class FrameSet:
    """Frames in memory.

    Attributes
    ----------
    frames : list of arrays
        (H, W) or (H, W, 3) uint8 RGB images; for ``encoded`` (n_bytes,) uint8, a file each.
    kind : "crops", "photos" or "encoded"
    description : str
        What a frame is, for the report: ``"48×48 crops, detector bypassed"``.
    """

    frames: list[Image]
    kind: FrameKind
    description: str

    @property
    def n_bytes(self) -> int:
        """Memory that the frames take."""
        return sum(frame.nbytes for frame in self.frames)


def write_frames(
    source: Samples | str, folder: str | os.PathLike[str], *, n: int, seed: int = 0, max_bytes: int = MAX_FRAME_BYTES
) -> Path:
    """Write up to ``n`` distinct frames to a file in ``folder``, unless it is there already.

    Every pipeline is timed on the same file, so the choice of frames is no difference between rows.

    Parameters
    ----------
    source : Samples or str
        Samples of the evaluation split (crops: the detector will be bypassed; photos: end to end, from encoded bytes
        where the images have them), or ``"synthetic-640x480"``, ``"synthetic-640x480-jpeg"``: built-in scenes with
        one face, raw as a camera gives them, or as JPEG; ``"synthetic-stream-640x480"`` and the same with ``-jpeg``:
        the frames of the built-in video, one person who moves.
    folder : path
        Made if it does not exist.
    n : int
        Frames wanted: those to be measured, and those of the warm-up.
    seed : int
        Which samples, in which order.
    max_bytes : int
        No more frames than fit into so much memory.

    Raises
    ------
    ParameterError
        Unknown name of frames, or ``n`` below 1.
    DataError
        No samples to take frames from.
    """
    if n < 1:
        raise ParameterError("no frames asked for", got=n, expected="1 or more")
    name = source if isinstance(source, str) else _identity(source)
    digest = hashlib.sha256(f"{name}|{n}|{seed}|{max_bytes}".encode()).hexdigest()[:16]
    path = Path(folder) / f"frames_{digest}.npz"
    if path.exists():
        return path
    frames = (
        _synthetic(source, n, seed, max_bytes) if isinstance(source, str) else _from_samples(source, n, seed, max_bytes)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(path, frames)
    return path


def check_frames(name: str) -> None:
    """Raise if there are no built-in frames of that name.

    Raises
    ------
    ParameterError
        The name is of another form than ``synthetic[-stream]-<width>x<height>[-jpeg]``.
    """
    if _SYNTHETIC.fullmatch(name) is None:
        raise ParameterError(
            "unknown frames",
            got=repr(name),
            expected="synthetic-<width>x<height> or synthetic-stream-<width>x<height>, with -jpeg or without",
        )


def read_frames(path: str | os.PathLike[str]) -> FrameSet:
    """Read a frame file into memory.

    Raises
    ------
    RunError
        If it is not there or not a frame file.
    """
    try:
        # Opened here: given a path, numpy leaves the file open if it is not a zip.
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            kind, description = str(file["kind"]), str(file["description"])
            # Views of the one array, not copies: for a moment they would double what the worker's peak memory shows.
            frames = (
                list(file["frames"]) if "frames" in file else [file[k] for k in sorted(file) if k.startswith("frame_")]
            )
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise RunError(f"cannot read frames from {os.fspath(path)}", got=str(error), fix="delete the file") from None
    if kind not in get_args(FrameKind):
        raise RunError(
            f"unknown kind of frames in {os.fspath(path)}", got=kind, expected=", ".join(get_args(FrameKind))
        )
    return FrameSet(frames, cast("FrameKind", kind), description)


def decode_frame(data: Image) -> Image:
    """Decode the bytes of an image file, given as a (n_bytes,) uint8 array: what the ``decode`` stage times.

    The toolkit's own decoder, as ``ferbench predict`` uses it: (H, W, 3) uint8 RGB, or (H, W) gray of a gray file.
    """
    from ferbench.datasets.decode import read_image

    return read_image(data.tobytes(), name="a frame")


def _identity(samples: Samples) -> str:
    """Text that differs for other samples: folds of one split have equal lengths but other ids."""
    ids = hashlib.sha256("\n".join(samples.ids.tolist()).encode()).hexdigest()
    return f"{samples.dataset}|{samples.revision}|{samples.split}|{ids}"


def _from_samples(samples: Samples, n: int, seed: int, max_bytes: int) -> FrameSet:
    if not len(samples):
        raise DataError(
            f"{samples.dataset} has no samples to take frames from", got=f"split {samples.split!r} is empty"
        )
    order = np.random.default_rng(seed).permutation(len(samples))[:n]
    encoded = samples.images if isinstance(samples.images, EncodedImages) else None
    frames: list[Image] = []
    taken = 0
    for i in order.tolist():
        frame = np.frombuffer(encoded.encoded(i), np.uint8) if encoded else np.asarray(samples.images[i])
        taken += frame.nbytes
        if frames and taken > max_bytes:
            break
        frames.append(frame)
    if samples.kind == "crops":
        return FrameSet(frames, "crops", f"{_sizes(frames)} crops, detector bypassed")
    if encoded:
        sizes = _sizes([decode_frame(frame) for frame in frames[:50]])
        return FrameSet(frames, "encoded", f"{sizes} photos, decoding included")
    return FrameSet(frames, "photos", f"{_sizes(frames)} photos")


def _synthetic(name: str, n: int, seed: int, max_bytes: int) -> FrameSet:
    check_frames(name)
    match = _SYNTHETIC.fullmatch(name)
    is_stream, width, height, is_jpeg = match.groups() if match else (None, 0, 0, None)
    size = (int(width), int(height))
    n = max(1, min(n, max_bytes // (3 * size[0] * size[1])))
    scenes = _stream(n, size, seed) if is_stream else _scenes(n, size, seed)
    what = f"{_sizes(scenes)} frames of a generated video" if is_stream else f"{_sizes(scenes)} generated scenes"
    if is_jpeg:
        return FrameSet([_as_jpeg(scene) for scene in scenes], "encoded", f"{what}, JPEG decoding included")
    return FrameSet(scenes, "photos", what if is_stream else f"{what}, one face each")


def _scenes(n: int, size: tuple[int, int], seed: int) -> list[Image]:
    from ferbench.registry import create

    dataset = create("datasets", "synthetic", kind="photos", size=size, n_train=0, n_val=0, n_test=n, seed=seed)
    return [np.asarray(image) for image in dataset.split("test").images]


def _stream(n: int, size: tuple[int, int], seed: int) -> list[Image]:
    from ferbench.datasets.synthetic import synthetic_stream

    video = synthetic_stream(seed=seed, size=size, seconds=math.inf, noise=_SENSOR_NOISE)
    return [frame.image for frame in islice(video, n)]


def _as_jpeg(image: Image) -> Image:
    import cv2

    bgr = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _WEBCAM_JPEG_QUALITY])
    return np.asarray(data, dtype=np.uint8).reshape(-1)


def _sizes(frames: Sequence[Image]) -> str:
    """``"640×480"``, or ``"120×90 to 640×480"`` where sizes differ (smallest and largest area)."""
    sizes = sorted({(f.shape[1], f.shape[0]) for f in frames}, key=lambda s: s[0] * s[1])
    smallest, largest = (f"{w}×{h}" for w, h in (sizes[0], sizes[-1]))
    return smallest if smallest == largest else f"{smallest} to {largest}"


def _save(path: Path, frames: FrameSet) -> None:
    arrays: dict[str, Any] = {"kind": np.array(frames.kind), "description": np.array(frames.description)}
    if len({frame.shape for frame in frames.frames}) == 1 and frames.kind != "encoded":
        arrays["frames"] = np.stack(frames.frames)
    else:
        arrays |= {f"frame_{i:05d}": frame for i, frame in enumerate(frames.frames)}
    # Written beside and renamed: a killed run leaves no half a file under the final name.
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz.part", delete=False) as file:
        try:
            np.savez(file, **arrays)
            file.close()
            os.replace(file.name, path)
        finally:
            Path(file.name).unlink(missing_ok=True)
