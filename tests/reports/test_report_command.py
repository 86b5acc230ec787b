"""``ferbench report`` as a user calls it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from ferbench.cli import report
from ferbench.errors import RunError


def call(*words: str) -> int:
    parser = argparse.ArgumentParser()
    report.configure(parser)
    return report.main(parser.parse_args(list(words)))


def test_paths_are_printed_one_a_line(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(str(run_folder)) == 0
    assert capsys.readouterr().out.split() == [
        str(run_folder / "report/index.html"),
        str(run_folder / "report/report.md"),
    ]


def test_latest_means_runs_latest(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = run_folder.parent
    (place / "runs").mkdir()
    (place / "runs/latest").symlink_to(run_folder)
    monkeypatch.chdir(place)
    assert call("latest", "--format", "md") == 0
    assert capsys.readouterr().out == "runs/latest/report/report.md\n"


def test_a_missing_run_is_an_error_with_exit_code_two(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        call(str(tmp_path / "no"))
    assert error.value.exit_code == 2


def test_a_report_needs_neither_tensorflow_nor_opencv(run_folder: Path) -> None:
    heavy = ["tensorflow", "keras", "cv2", "dlib", "sklearn", "scipy", "pandas"]
    code = (
        "import sys; from ferbench.reports import build_report; build_report(sys.argv[1]); "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, run_folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
