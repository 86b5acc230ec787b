"""Sinks: the tidy columns exactly, rows for frames without a face, films that play."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from ferbench.errors import ParameterError, SourceError
from ferbench.labels import FER7
from ferbench.realtime import CsvSink, FaceResult, FrameResult, JsonLinesSink, VideoSink, run_live, tidy_columns

MakeVideo = Callable[..., Path]
FramesIn = Callable[[Path], int]


def some_result(n_faces: int, frame: int = 0, t_ms: float | None = 40.0) -> FrameResult:
    p = dict(zip(FER7.labels, (0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1), strict=True))
    faces = [FaceResult(i + 1, (1.0, 2.5, 30.123, 40.0), 0.75, "happy", 0.4, p, p) for i in range(n_faces)]
    times = {"detect": 5.0, "align": 0.1, "features": 0.25, "classify": 0.5, "track": 0.1, "total": 6.0}
    return FrameResult("clip.mp4", frame, t_ms, np.zeros((48, 64, 3), np.uint8), tuple(faces), times)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_columns_are_these_in_this_order(tmp_path: Path):
    with CsvSink(tmp_path / "t.csv", FER7.labels) as sink:
        sink.write(some_result(1))
    header = (tmp_path / "t.csv").read_text().splitlines()[0]
    assert header == (
        "source,frame,t_ms,track,x1,y1,x2,y2,detection_score,label,probability,"
        "p_angry,p_disgust,p_fear,p_happy,p_sad,p_surprise,p_neutral,ms_detect,ms_features,ms_classify,ms_total"
    )
    assert header.split(",") == list(tidy_columns(FER7.labels))


def test_a_row_a_face_and_an_empty_one_for_a_frame_without(tmp_path: Path):
    with CsvSink(tmp_path / "t.csv", FER7.labels) as sink:
        for i, n_faces in enumerate((2, 0, 1)):
            sink.write(some_result(n_faces, frame=i))
    rows = rows_of(tmp_path / "t.csv")
    assert [(row["frame"], row["track"], row["label"]) for row in rows] == [
        ("0", "1", "happy"),
        ("0", "2", "happy"),
        ("1", "", ""),
        ("2", "1", "happy"),
    ]
    assert rows[0]["x2"] == "30.12"
    assert rows[0]["p_happy"] == "0.4"
    assert {rows[2][name] for name in ("x1", "detection_score", "probability", "p_happy")} == {""}
    assert rows[2]["ms_total"] == "6.0"
    assert rows[2]["t_ms"] == "40.0"


def test_pandas_reads_the_table_back(tmp_path: Path):
    with CsvSink(tmp_path / "t.csv", FER7.labels) as sink:
        sink.write(some_result(1))
        sink.write(some_result(0, frame=1))
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["label"].fillna("").tolist() == ["happy", ""]
    assert table.filter(regex="^p_").sum(axis=1)[0] == pytest.approx(1, abs=1e-5)


def test_json_lines_carry_the_same_cells(tmp_path: Path):
    with JsonLinesSink(tmp_path / "t.jsonl", FER7.labels) as sink:
        sink.write(some_result(1, t_ms=None))
        sink.write(some_result(0))
    first, second = map(json.loads, (tmp_path / "t.jsonl").read_text().splitlines())
    assert list(first) == list(second) == list(tidy_columns(FER7.labels))
    assert (first["track"], first["label"], first["t_ms"]) == (1, "happy", None)
    assert (second["track"], second["label"], second["p_happy"]) == (None, "", None)


def test_rows_are_in_the_file_before_it_is_closed(tmp_path: Path):
    with CsvSink(tmp_path / "t.csv", FER7.labels) as sink:
        sink.write(some_result(1))
        assert len((tmp_path / "t.csv").read_text().splitlines()) == 2


def test_names_with_commas_and_quotes_survive(tmp_path: Path):
    odd = 'a, "b"\nc.mp4'
    result = FrameResult(odd, 0, None, np.zeros((2, 2, 3), np.uint8), (), {})
    with CsvSink(tmp_path / "t.csv", FER7.labels) as sink:
        sink.write(result)
    (row,) = rows_of(tmp_path / "t.csv")
    assert row["source"] == odd


def test_the_folder_of_a_table_is_made_and_an_impossible_one_is_an_error(tmp_path: Path):
    with CsvSink(tmp_path / "new" / "er" / "t.csv", FER7.labels):
        pass
    assert (tmp_path / "new" / "er" / "t.csv").exists()
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="cannot make the folder"):
        CsvSink(tmp_path / "file" / "t.csv", FER7.labels)
    with pytest.raises(SourceError, match="cannot write"):
        CsvSink(tmp_path, FER7.labels)


# -- video ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".mov", ".webm"])
def test_a_film_plays_back_with_the_same_number_of_frames(
    tmp_path: Path, frames_in: FramesIn, suffix: str, capfd: pytest.CaptureFixture[str]
):
    path = tmp_path / f"out{suffix}"
    with VideoSink(path, 25.0) as sink:
        for i in range(17):
            sink.write(np.full((48, 64, 3), 10 * i, np.uint8))
    assert frames_in(path) == 17
    assert capfd.readouterr().err == "", "OpenCV talks past Python"
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


@pytest.mark.parametrize("name", ["out.mp4", "out.webm"])
def test_a_film_keeps_colours_and_rate(tmp_path: Path, name: str):
    path = tmp_path / name
    with VideoSink(path, 29.97) as sink:
        for _ in range(5):
            sink.write(np.full((64, 64, 3), (220, 40, 20), np.uint8))
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(29.97, abs=0.01)
    blue, green, red = capture.read()[1].reshape(-1, 3).mean(axis=0)
    capture.release()
    assert red > 190
    assert green < 80
    assert blue < 80


def test_odd_sides_are_made_even_without_losing_a_pixel(tmp_path: Path):
    path = tmp_path / "out.mp4"
    with VideoSink(path, 25.0) as sink:
        sink.write(np.full((33, 47, 3), 100, np.uint8))
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    image = capture.read()[1]
    capture.release()
    assert image.shape == (34, 48, 3)
    assert abs(int(image[-1, -1, 0]) - 100) < 8


def test_frames_of_other_sizes_are_fitted_into_the_first(tmp_path: Path, frames_in: FramesIn):
    path = tmp_path / "out.mp4"
    with VideoSink(path, 25.0) as sink:
        for size in ((48, 64), (200, 20), (10, 300), (1, 1)):
            sink.write(np.full((*size, 3), 255, np.uint8))
    assert frames_in(path) == 4


def test_a_film_of_a_live_source_runs_as_fast_as_life(tmp_path: Path):
    image = np.zeros((16, 16, 3), np.uint8)
    with VideoSink(tmp_path / "out.mp4", 10.0, keep_time=True) as sink:
        for t_ms in (0.0, 500.0, 520.0, 1000.0):
            sink.write(image, t_ms)
    assert sink.n_frames == 11  # one second at ten frames a second, both ends included


def test_a_lost_camera_does_not_fill_the_disk_with_its_last_picture(tmp_path: Path):
    image = np.zeros((16, 16, 3), np.uint8)
    with VideoSink(tmp_path / "out.mp4", 10.0, keep_time=True) as sink:
        for t_ms in (0.0, 3_600_000.0, 3_600_100.0):
            sink.write(image, t_ms)
    assert sink.n_frames <= 102


def test_why_a_film_cannot_be_written_is_told():
    with pytest.raises(SourceError, match=r"cannot write /proc/out\.mp4: got No such file or directory; check"):
        VideoSink("/proc/out.mp4", 10.0).write(np.zeros((16, 16, 3), np.uint8))


def test_a_film_needs_a_known_ending_and_rate(tmp_path: Path):
    with pytest.raises(ParameterError, match=r"from its name: got '', expected \.mp4"):
        VideoSink("", 25.0)
    with pytest.raises(ParameterError, match=r"\.mp4, \.m4v"):
        VideoSink(tmp_path / "out.txt", 25.0)
    with pytest.raises(ParameterError, match="out of range: got 0"):
        VideoSink(tmp_path / "out.mp4", 0)


@pytest.mark.parametrize("suffix", VideoSink.SUFFIXES)
def test_a_film_that_the_disk_had_no_room_for_is_an_error(tmp_path: Path, suffix: str):
    resource = pytest.importorskip("resource", reason="limits of file sizes are POSIX")
    noise = np.random.default_rng(0).integers(0, 256, (25, 240, 320, 3)).astype(np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    sink = VideoSink(tmp_path / f"out{suffix}", 25.0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        for image in noise:
            sink.write(image)
        with pytest.raises(SourceError, match=r"is not complete: got \d+ of 25 frames; see whether the disk is full"):
            sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


# -- a whole run ---------------------------------------------------------------------------------------------------


def test_a_run_writes_tables_and_film_of_every_frame(
    tmp_path: Path, pipeline: Any, make_video: MakeVideo, frames_in: FramesIn
):
    clip, out = make_video(25, faceless=range(5, 9)), tmp_path / "out.mp4"
    summary = run_live(clip, pipeline, detect_every=1, csv=tmp_path / "t.csv", jsonl=tmp_path / "t.jsonl", video=out)
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["frame"].tolist() == list(range(25))
    assert table["label"].isna().sum() == 4
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 25
    assert frames_in(out) == 25
    assert (summary.frames, summary.frames_with_face, summary.faces) == (25, 21, 21)
    assert summary.median_ms["detect"] == 3.0
    assert sum(summary.label_counts.values()) == 21
    assert summary.fps > 0


def test_a_wrong_film_name_leaves_the_tables_of_before(tmp_path: Path, pipeline: Any, make_video: MakeVideo):
    (tmp_path / "t.csv").write_text("precious")
    with pytest.raises(ParameterError, match="form of the video"):
        run_live(make_video(2), pipeline, csv=tmp_path / "t.csv", video=tmp_path / "out.xyz")
    assert (tmp_path / "t.csv").read_text() == "precious"


def test_files_are_complete_when_the_pipeline_fails_in_the_middle(
    tmp_path: Path, pipeline: Any, make_video: MakeVideo, frames_in: FramesIn
):
    whole = pipeline.process

    def fail_later(images: Any) -> Any:
        if pipeline.detections == 10:
            raise ZeroDivisionError
        return whole(images)

    pipeline.process = fail_later
    with pytest.raises(ZeroDivisionError):
        run_live(make_video(25), pipeline, detect_every=1, csv=tmp_path / "t.csv", video=tmp_path / "out.mp4")
    assert frames_in(tmp_path / "out.mp4") == 10
    assert len(pd.read_csv(tmp_path / "t.csv")) == 10


def test_a_source_is_never_overwritten(pipeline: Any, make_video: MakeVideo, tmp_path: Path):
    clip = make_video(5)
    before = clip.read_bytes()
    with pytest.raises(ParameterError, match="would be overwritten"):
        run_live(clip, pipeline, video=clip.parent / "." / clip.name)
    with pytest.raises(ParameterError, match="two tables go to standard output"):
        run_live("clip.mp4", pipeline, csv="-", jsonl="-")
    with pytest.raises(ParameterError, match="two outputs"):
        run_live(clip, pipeline, csv=tmp_path / "t", jsonl=tmp_path / "t")
    assert clip.read_bytes() == before
