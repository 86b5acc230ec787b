"""Hours of frames, damaged clips, lost cameras and Ctrl-C at any moment: flat memory, complete files, one clear line.

``python tests/realtime/test_endurance.py 20000`` runs the memory test at full length.
"""

from __future__ import annotations

import csv
import json
import random
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import psutil
import pytest

from ferbench.errors import SourceError
from ferbench.faces import Faces, Image
from ferbench.realtime import Frame, Source, open_source, run_live, stream
from ferbench.realtime.capture import LiveCapture

pytestmark = pytest.mark.alone

MakeVideo = Callable[..., Path]
FramesIn = Callable[[Path], int]
FLAT = 20 * 2**20
"""Bytes that the resident set may move by over a run."""


class Bright:
    """Finds bright squares: what is tested is the loop around a pipeline."""

    labels = ("happy", "neutral")

    def detect(self, images: list[Image]) -> Faces:
        found = []
        for image in images:
            _, _, stats, _ = cv2.connectedComponentsWithStats((image.max(axis=2) > 90).astype(np.uint8))
            found.append([(x, y, x + w, y + h) for x, y, w, h, area in stats[1:] if area > 30])
        return Faces.from_lists(found)

    def process(self, images: list[Image]) -> Any:
        faces = self.detect(images)
        return SimpleNamespace(
            faces=faces, probabilities=self.classify(np.zeros((len(faces), 1, 1), np.uint8)), times_ns={"detect": 1}
        )

    def crop(self, images: list[Image], faces: Faces) -> npt.NDArray[np.uint8]:
        return np.zeros((len(faces), 1, 1), np.uint8)

    def classify(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.full((len(crops), 2), 0.5, np.float32)


class Endless(Source):
    """Textured squares that come, move and go, with black frames in between."""

    name, fps = "endless", 30.0

    def __iter__(self) -> Iterator[Frame]:
        rng = np.random.default_rng(0)
        ground = rng.integers(0, 30, (120, 160, 3), dtype=np.uint8)
        face = rng.integers(100, 255, (40, 40, 3), dtype=np.uint8)
        index = 0
        while True:
            image = ground.copy() if index % 50 else np.zeros_like(ground)
            if index % 200 < 170:
                x = index % 110
                image[40:80, x : x + 40] = face
            yield Frame(index, index * 33.3, image, self.name)
            index += 1


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def memory_over(n_frames: int, folder: Path) -> tuple[list[int], int]:
    """Resident bytes, every hundredth part of a run into table and film; and the frames processed."""
    process, seen = psutil.Process(), []

    def look(result: Any, summary: Any) -> None:
        if result.frame % max(n_frames // 100, 1) == 0:
            seen.append(process.memory_info().rss)

    summary = run_live(
        Endless(), Bright(), max_frames=n_frames, csv=folder / "t.csv", video=folder / "film.mp4", on_result=look
    )
    return seen, summary.frames


def test_memory_stays_flat_over_a_thousand_frames(tmp_path: Path):
    seen, n = memory_over(1000, tmp_path)
    assert n == 1000
    settled = seen[20:]
    assert max(settled) - min(settled) < FLAT
    assert len((tmp_path / "t.csv").read_text().splitlines()) >= 1001


# -- clips ---------------------------------------------------------------------------------------------------------


def test_a_clip_of_variable_rate_keeps_the_times_of_its_frames(tmp_path: Path, frames_in: FramesIn):
    path = tmp_path / "variable.mp4"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (64, 48))
    ticks = [0, 1, 2, 10, 11, 40, 41, 42]
    for tick in ticks:
        writer.write(np.full((48, 64, 3), 5 * tick, np.uint8))
    writer.release()
    space_out(path, np.diff([*ticks, 43]))
    table = tmp_path / "t.csv"
    run_live(path, Bright(), csv=table, video=tmp_path / "out.mp4")
    rows = rows_of(table)
    times = [float(row["t_ms"]) for row in rows]
    np.testing.assert_allclose(times, np.array(ticks) * 1000 / 30, atol=1.0)
    assert frames_in(tmp_path / "out.mp4") >= len(ticks)


def space_out(path: Path, ticks: npt.NDArray[np.int64]) -> None:
    """Give each frame of an MP4 its own duration: another table of times, and the boxes around it as much longer."""
    content = path.read_bytes().replace(b"edts", b"free")  # the list of edits would cut what is longer now
    at = content.index(b"stts") - 4
    size, _, _, n, count, duration = struct.unpack(">I4sIIII", content[at : at + 24])
    assert (n, count) == (1, len(ticks))
    table = b"".join(struct.pack(">II", 1, int(each) * duration) for each in ticks)
    longer = len(table) - 8
    new = struct.pack(">I4sII", size + longer, b"stts", 0, len(ticks)) + table
    content = bytearray(content[:at] + new + content[at + size :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        start = content.index(name) - 4
        (length,) = struct.unpack(">I", content[start : start + 4])
        content[start : start + 4] = struct.pack(">I", length + longer)
    path.write_bytes(content)


@pytest.mark.parametrize("size", [(63, 47), (33, 18), (17, 121)])
def test_odd_sizes_go_through_to_the_film(tmp_path: Path, size: tuple[int, int], frames_in: FramesIn):
    path = tmp_path / "odd.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, size)
    for _ in range(5):
        writer.write(np.full((size[1], size[0], 3), 50, np.uint8))
    writer.release()
    n = len(list(stream(path, Bright())))
    run_live(path, Bright(), video=tmp_path / "out.mp4")
    assert frames_in(tmp_path / "out.mp4") == n == 5


def test_a_corrupt_frame_costs_that_frame_is_counted_and_said(make_video: MakeVideo, tmp_path: Path):
    clip = make_video(40)
    content = bytearray(clip.read_bytes())
    # Frame 20 of this MJPEG file: its picture becomes zeros, its place in the container stays.
    at = [i for i in range(len(content)) if content[i : i + 3] == b"\xff\xd8\xff"][20]
    size = int.from_bytes(content[at - 4 : at], "little")
    content[at : at + size] = bytes(size)
    clip.write_bytes(content)
    summary = run_live(clip, Bright(), csv=tmp_path / "t.csv")
    frames = [int(row["frame"]) for row in rows_of(tmp_path / "t.csv")]
    assert summary.unreadable == 1
    assert frames == sorted(set(frames))
    assert len(frames) == 39


def test_a_clip_of_no_bytes_or_cut_in_its_header_is_refused_in_one_line(make_video: MakeVideo, tmp_path: Path):
    clip = make_video(10)
    for n, name in ((0, "zero.avi"), (100, "head.avi")):
        (tmp_path / name).write_bytes(clip.read_bytes()[:n])
        with pytest.raises(SourceError) as error:
            open_source(tmp_path / name)
        assert "\n" not in str(error.value)


# -- cameras -------------------------------------------------------------------------------------------------------


class Camera:
    """A device that gives some frames and is gone."""

    def __init__(self, n: int) -> None:
        self.left = n

    def isOpened(self) -> bool:  # noqa: N802
        return self.left > 0

    def read(self) -> tuple[bool, npt.NDArray[np.uint8] | None]:
        time.sleep(0.002)
        self.left -= 1
        return (True, np.zeros((12, 16, 3), np.uint8)) if self.left >= 0 else (False, None)

    def get(self, prop: int) -> float:
        return 30.0

    def release(self) -> None:
        pass


def test_a_lost_camera_is_tried_again_with_growing_pauses_and_its_files_are_complete(tmp_path: Path):
    opened: list[float] = []
    troubles: list[str] = []

    def open_device() -> Camera:
        opened.append(time.perf_counter())
        if len(opened) > 1:
            troubles.append(source.trouble)
        return Camera(8 if len(opened) == 1 else 0)

    source = LiveCapture("camera 7", open_device, retries=3, retry_pause_s=0.05)
    with pytest.raises(SourceError, match="camera 7 was lost, and 3 attempts to open it again failed"):
        run_live(source, Bright(), csv=tmp_path / "t.csv", video=tmp_path / "film.mp4")
    pauses = np.diff(opened[1:])
    assert len(opened) == 4
    assert pauses[0] >= 0.1
    assert pauses[1] >= 0.2
    assert troubles[0] == "lost: attempt 1 of 3 to open it again in 0.05 s"
    rows = rows_of(tmp_path / "t.csv")
    assert 1 <= len(rows) <= 8


def test_the_age_of_what_is_shown_is_measured_from_the_camera():
    class Slow(Bright):
        def process(self, images: list[Image]) -> Any:
            time.sleep(0.03)
            return super().process(images)

    with LiveCapture("camera 7", lambda: Camera(10_000)) as source:
        summary = run_live(source, Slow(), detect_every=1, max_frames=12)
    assert len(summary.ages_ms) == 12
    assert min(summary.ages_ms) >= 30
    assert np.median(summary.ages_ms) < 200, "a queue would have grown to this"
    assert summary.dropped > 10


# -- Ctrl-C --------------------------------------------------------------------------------------------------------

PROGRAM = """
import sys
sys.path.insert(0, {here!r})
from test_endurance import Bright, Endless
from ferbench.realtime import run_live
print("ready", flush=True)
run_live(Endless(), Bright(), csv="t.csv", jsonl="t.jsonl", video="film.mp4")
"""


@pytest.mark.parametrize("seed", range(3))
def test_ctrl_c_at_a_random_moment_leaves_complete_files(tmp_path: Path, seed: int, frames_in: FramesIn):
    code = PROGRAM.format(here=str(Path(__file__).parent))
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    table = tmp_path / "t.csv"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not table.exists() or table.stat().st_size < 1000):
        time.sleep(0.01)
    time.sleep(random.Random(seed).uniform(0, 0.4))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    rows = rows_of(table)
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    frames = [int(row["frame"]) for row in rows]
    assert all(None not in row.values() for row in rows), "no row is cut"
    assert sorted(set(frames)) == list(range(max(frames) + 1))
    assert [line["frame"] for line in lines] == frames
    assert frames_in(tmp_path / "film.mp4") == max(frames) + 1


def main() -> int:
    """Run the memory test over so many frames as the argument says."""
    import tempfile

    n_frames = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        seen, n = memory_over(n_frames, Path(folder))
    settled = np.array(seen[len(seen) // 10 :]) / 2**20
    print(f"{n} frames: resident {settled.min():.1f} to {settled.max():.1f} MiB after the first tenth")
    return 0 if settled.max() - settled.min() < FLAT / 2**20 else 1


if __name__ == "__main__":
    sys.exit(main())
