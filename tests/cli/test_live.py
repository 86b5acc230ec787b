"""``ferbench live``: files complete at any stop, one clear line for mistakes, silence on stdout."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pandas as pd
import pytest

from ferbench.cli import main
from ferbench.labels import FER7
from ferbench.realtime import tidy_columns

pytestmark = pytest.mark.alone

COMMAND = [sys.executable, "-c", "import sys; from ferbench.cli import main; sys.exit(main())"]
SMALL = "synthetic(seconds=1, fps=8, size=(200, 150))"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a real pipeline that learnt from a few synthetic faces."""
    from ferbench.datasets.synthetic import SyntheticFaces
    from ferbench.pipelines import make_pipeline

    faces = SyntheticFaces(n_train=42, n_val=0, n_test=0, kind="crops").split("train")
    pipeline = make_pipeline("haar", "hog", "linear-svm").fit(faces)
    return str(pipeline.save(tmp_path_factory.mktemp("live") / "model"))


def frames_in(path: Path) -> int:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    n = 0
    while capture.read()[0]:
        n += 1
    capture.release()
    return n


def test_one_frame_is_not_told_as_several(model: str, capsys: pytest.CaptureFixture[str]):
    assert main(["live", SMALL, "--pipeline", model, "--headless", "--max-frames", "1"]) == 0
    assert "1 frame in" in capsys.readouterr().err


def test_a_run_writes_tidy_table_and_film_and_a_summary(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    table, film = tmp_path / "t.csv", tmp_path / "film.mp4"
    code = main(["live", SMALL, "--pipeline", model, "--headless", "--csv", str(table), "--out", str(film)])
    out, err = capsys.readouterr()
    assert code == 0
    assert out == ""
    assert "8 frames in" in err
    assert "fps" in err
    assert "median ms: detect " in err
    assert f"wrote {film}" in err
    rows = pd.read_csv(table)
    assert list(rows.columns) == list(tidy_columns(FER7.labels))
    assert rows["frame"].tolist() == list(range(8))
    assert set(rows["label"]) <= set(FER7.labels)
    assert (rows["label"].notna()).all(), "Haar finds the one face of each frame"
    assert rows["track"].nunique() == 1
    assert rows.filter(regex="^p_").sum(axis=1).between(0.999, 1.001).all()
    assert frames_in(film) == 8


def test_max_frames_detect_every_and_mirror(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--max-frames", "4", "--detect-every", "2", "--mirror", "--smooth", "ema:0.5", "--headless"]
    assert main(["live", SMALL, "--pipeline", model, "--jsonl", "-", *options]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["frame"] for row in rows] == [0, 1, 2, 3]
    assert [row["ms_detect"] > 0 for row in rows][::2] == [True, True], "in between it looks where there is doubt"
    assert all(row["label"] for row in rows)


@pytest.mark.parametrize("option", [["--budget-ms", "5"], ["--run", "runs/latest"]])
def test_what_is_for_best_alone_is_refused_otherwise(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", SMALL, "--pipeline", "tiny", *option]) == 2
    assert f"{option[0]} is for --pipeline best: got --pipeline tiny" in capsys.readouterr().err


def test_another_detector_finds_the_faces(model: str, capsys: pytest.CaptureFixture[str]):
    options = ["--detect-every", "1", "--max-frames", "2", "--headless", "--jsonl", "-"]
    scores = []
    for detector in ("haar", "yunet"):
        assert main(["live", SMALL, "--pipeline", model, "--detector", detector, *options]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert all(row["label"] for row in rows)
        scores.append(rows[0]["detection_score"])
    assert scores[1] <= 1 != scores[0], "a Haar cascade's score is no share"


def test_without_a_display_it_says_so_and_goes_on(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["live", SMALL, "--pipeline", model, "--max-frames", "2"]) == 0
    assert "no display: running without a window" in capsys.readouterr().err


def test_a_display_that_cannot_be_reached_is_no_crash(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    assert main(["live", SMALL, "--pipeline", model, "--max-frames", "2"]) == 0
    assert "cannot open a window" in capsys.readouterr().err


@pytest.fixture
def virtual_display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A display in memory, where Xvfb is installed."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("Xvfb is not installed: no display to open a window on")
    read, write = os.pipe()
    server = subprocess.Popen(
        [program, "-displayfd", str(write), "-screen", "0", "640x480x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as answer:
        display = f":{answer.readline().strip()}"
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    yield display
    server.terminate()
    server.wait(timeout=10)


@pytest.mark.usefixtures("virtual_display")
def test_a_window_shows_the_frames_at_the_speed_of_life(model: str):
    ran = subprocess.run(
        [*COMMAND, "live", "synthetic(seconds=1.5, fps=4, size=(200, 150))", "--pipeline", model],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert "without a window" not in ran.stderr
    (seconds,) = re.findall(r"6 frames in ([0-9.]+) s", ran.stderr)
    assert float(seconds) >= 0.9, "six frames of four a second are not over at once"


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_leaves_a_playable_film_and_a_complete_table(model: str, tmp_path: Path, signal_name: str):
    table, film = tmp_path / "t.csv", tmp_path / "film.mp4"
    endless = "synthetic(seconds=100000, size=(200, 150))"
    arguments = ["live", endless, "--pipeline", model, "--csv", str(table), "--out", str(film), "--headless"]
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and (not table.exists() or len(table.read_text().splitlines()) < 12):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(getattr(signal, signal_name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "frames in" in err
    assert out == ""
    rows = pd.read_csv(table)
    assert len(rows) >= 11
    assert table.read_text().endswith("\n")
    assert rows["ms_total"].notna().all(), "no row is cut"
    assert frames_in(film) == rows["frame"].nunique() == rows["frame"].max() + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.mp4"], "no such file or folder: nowhere.mp4"),
        (["synthetic", "--smooth", "maen:10"], "did you mean 'mean'"),
        (["synthetic", "--detect-every", "0"], "detect_every is out of range"),
        (["synthetic", "--detector", "hara"], "did you mean 'haar'"),
        (["synthetic", "--detector", "haar(scale_factor=0.5)"], "scale_factor"),
        (["synthetic", "--max-frames", "-1"], "max_frames is out of range"),
        (["synthetic", "--out", "film.doc"], "cannot tell the form of the video"),
        (["synthetic(nfaces=3)"], "did you mean 'n_faces'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    model: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["live", *arguments, "--pipeline", model, "--headless"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert message in line


def test_an_unknown_pipeline_is_named(capsys: pytest.CaptureFixture[str]):
    assert main(["live", "synthetic", "--pipeline", "no-such-model"]) == 2
    assert "no-such-model" in capsys.readouterr().err


def test_the_source_is_not_overwritten(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"precious")
    assert main(["live", str(clip), "--pipeline", model, "--out", str(clip)]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert clip.read_bytes() == b"precious"
