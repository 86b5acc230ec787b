"""``ferbench predict``: photographs, folders, clips; what cannot be read is named and counted."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from ferbench.cli import main
from ferbench.labels import FER7
from ferbench.realtime import tidy_columns


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a real pipeline that learnt from a few synthetic faces."""
    from ferbench.datasets.synthetic import SyntheticFaces
    from ferbench.pipelines import make_pipeline

    faces = SyntheticFaces(n_train=42, n_val=0, n_test=0, kind="crops").split("train")
    pipeline = make_pipeline("haar", "hog", "linear-svm").fit(faces)
    return str(pipeline.save(tmp_path_factory.mktemp("predict") / "model"))


@pytest.fixture(scope="module")
def scenes() -> list[npt.NDArray[np.uint8]]:
    """BGR frames, each with one synthetic face that Haar finds."""
    from ferbench.datasets.synthetic import synthetic_stream

    frames = synthetic_stream(seed=3, size=(200, 150), fps=4, seconds=2)
    return [frame.image[:, :, ::-1].copy() for frame in frames]


@pytest.fixture
def folder(tmp_path: Path, scenes: list[npt.NDArray[np.uint8]]) -> Path:
    """Two photographs with a face, one of them in a subfolder, and one without."""
    root = tmp_path / "photos"
    (root / "deep").mkdir(parents=True)
    cv2.imwrite(str(root / "a.png"), scenes[0])
    cv2.imwrite(str(root / "deep" / "a.png"), scenes[1])
    cv2.imwrite(str(root / "wall.png"), np.full((150, 200, 3), 90, np.uint8))
    return root


@pytest.fixture
def clip(tmp_path: Path, scenes: list[npt.NDArray[np.uint8]]) -> Path:
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 4.0, (200, 150))
    for scene in scenes:
        writer.write(scene)
    writer.release()
    return path


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    """A film in which nobody is to be seen."""
    path = tmp_path / "dark.mp4"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 4.0, (64, 48))
    for _ in range(2):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return path


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_folder_gives_a_row_a_face_and_an_empty_one_without(
    model: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["predict", str(folder), "--pipeline", model, "--csv", "-"]) == 0
    out, err = capsys.readouterr()
    rows = table_of(out)
    assert tuple(rows[0]) == tidy_columns(FER7.labels)
    assert [Path(row["source"]).relative_to(folder).as_posix() for row in rows] == ["a.png", "deep/a.png", "wall.png"]
    assert [bool(row["label"]) for row in rows] == [True, True, False]
    assert {row["t_ms"] for row in rows} == {""}
    assert {row["track"] for row in rows} == {"1", ""}
    assert err == "device: cpu (sklearn runs on the CPU)\n"


def test_photographs_are_never_smoothed_over_each_other(model: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    def of(*options: str) -> list[dict[str, str]]:
        assert main(["predict", str(folder), "--pipeline", model, "--csv", "-", *options]) == 0
        rows = table_of(capsys.readouterr().out)
        return [{k: v for k, v in row.items() if not k.startswith("ms_")} for row in rows]

    assert of("--smooth", "mean:50") == of("--smooth", "none")


def test_clips_are_smoothed_and_numbered_by_frame(model: str, clip: Path, capsys: pytest.CaptureFixture[str]):
    def of(smooth: str) -> pd.DataFrame:
        assert main(["predict", str(clip), "--pipeline", model, "--csv", "-", "--smooth", smooth]) == 0
        return pd.read_csv(io.StringIO(capsys.readouterr().out))

    raw, smooth = of("none"), of("mean:3")
    assert raw["frame"].tolist() == list(range(8))
    assert raw["t_ms"].tolist() == [250.0 * i for i in range(8)]
    assert raw["track"].nunique() == 1
    expected = raw["p_happy"].rolling(3, min_periods=1).mean()
    np.testing.assert_allclose(smooth["p_happy"], expected, atol=2e-6)


def test_the_default_output_is_a_table_of_80_columns(
    model: str, folder: Path, clip: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["predict", str(folder), str(clip), "--pipeline", model]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["file", "box", "or", "time", "face", "label", "p"]
    assert "no face" in "\n".join(lines)
    spans = [line for line in lines if " s " in line]
    assert spans
    assert len(spans) < 8, "a clip is told in stretches, not in frames"
    assert "0.0-" in spans[0]


def test_a_clip_without_a_face_has_a_line_of_its_own(
    model: str, folder: Path, dark: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["predict", str(dark), str(folder / "a.png"), str(dark), "--pipeline", model]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert ["no face" in line for line in lines] == [True, False, True]
    assert str(dark)[-20:] in lines[0]


def test_tables_go_to_files_too(model: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    table, lines = tmp_path / "t.csv", tmp_path / "t.jsonl"
    assert main(["predict", str(folder), "--pipeline", model, "--csv", str(table), "--jsonl", str(lines)]) == 0
    assert f"wrote {table}" in capsys.readouterr().err
    assert len(pd.read_csv(table)) == 3
    assert [json.loads(line)["label"] == "" for line in lines.read_text().splitlines()] == [False, False, True]


def test_what_was_annotated_before_is_not_predicted_again(model: str, scenes, tmp_path: Path, capsys) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), scenes[0])
    command = ["predict", str(tmp_path), "--pipeline", model, "--annotate", str(tmp_path / "out"), "--csv", "-"]
    for _ in range(2):
        assert main(command) == 0
        assert len(capsys.readouterr().out.splitlines()) == 2


def test_detect_every_is_checked_before_anything_is_read(model: str, tmp_path: Path, capsys) -> None:
    assert main(["predict", str(tmp_path / "a.png"), "--pipeline", model, "--detect-every", "0"]) == 2
    assert "detect_every is out of range" in capsys.readouterr().err


def test_annotated_pictures_and_films_mirror_the_folder(
    model: str, folder: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "annotated"
    assert main(["predict", str(folder), str(clip), "--pipeline", model, "--annotate", str(out)]) == 0
    found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert found == ["a.png", "clip.mp4", "deep/a.png", "wall.png"]
    drawn, original = cv2.imread(str(out / "a.png")), cv2.imread(str(folder / "a.png"))
    assert drawn.shape == original.shape
    assert not np.array_equal(drawn, original)
    capture = cv2.VideoCapture(str(out / "clip.mp4"), cv2.CAP_FFMPEG)
    assert sum(1 for _ in iter(lambda: capture.read()[0], False)) == 8
    capture.release()


def test_annotating_beside_the_originals_replaces_no_other_picture(model: str, scenes, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.bmp"), scenes[0])
    cv2.imwrite(str(folder / "a.png"), scenes[0])
    before = (folder / "a.png").read_bytes()
    assert main(["predict", str(folder / "a.bmp"), "--pipeline", model, "--annotate", str(folder)]) == 0
    assert (folder / "a.png").read_bytes() == before
    assert (folder / "a-2.png").is_file()


@pytest.mark.parametrize(("table", "message"), [("b.JPG", "a table is no picture"), (".", "a table is a file")])
def test_a_table_is_not_written_over_a_picture(
    model: str, table: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    for verb in (
        ["predict", "a.png", "--csv"],
        ["predict", "a.png", "--jsonl"],
        ["live", "synthetic", "--headless", "--csv"],
        ["evaluate", model, "--dataset", "synthetic", "--items"],
        ["detectors", "haar", "--csv"],
    ):
        assert main([*verb, table]) == 2
        assert f"{message}: got {table}" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["predict", "a.png"], ["live", "synthetic", "--headless"]])
def test_a_table_without_a_name_is_told_as_such(verb: list[str], capsys) -> None:
    assert main([*verb, "--csv", ""]) == 2
    assert "a table is a file: got '', expected such as faces.csv" in capsys.readouterr().err


def test_annotating_into_a_folder_that_is_read_is_refused(model: str, folder: Path, tmp_path: Path, capsys) -> None:
    table = tmp_path / "t.csv"
    for place in (folder, folder / "deep" / "..", folder.parent):
        command = ["predict", str(folder), "--pipeline", model, "--csv", str(table), "--annotate", str(place)]
        assert main(command) == 2
        assert "annotated pictures would be read by the next command: got --annotate" in capsys.readouterr().err
    assert not table.exists()
    assert len(list(folder.rglob("*.png"))) == 3


@pytest.mark.parametrize(
    ("place", "message"),
    [("a-file", "go into a folder: got a-file, a file"), ("a-file/in", "got a-file, a file"), ("", "got ''")],
)
def test_a_place_that_is_no_folder_is_refused_before_any_work(
    model: str, folder: Path, place: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(folder)
    Path("a-file").touch()
    assert main(["predict", "a.png", "--pipeline", model, "--csv", "t.csv", "--annotate", place]) == 2
    assert message in capsys.readouterr().err
    assert not Path("t.csv").exists()


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(model: str, folder: Path, tmp_path: Path, capsys):
    table = tmp_path / "t.csv"
    command = ["predict", str(folder), "--pipeline", model, "--csv", str(table), "--annotate", "/proc/annotated"]
    assert main(command) == 2
    assert "cannot write annotated pictures into /proc/annotated: got " in capsys.readouterr().err
    assert not table.exists()


def test_a_picture_that_cannot_be_annotated_is_named_and_ends_no_batch(
    model: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "annotated"
    out.mkdir()
    (out / "deep").touch()
    command = ["predict", str(folder), "--pipeline", model, "--csv", "-", "--annotate", str(out)]
    assert main(command) == 1
    printed = capsys.readouterr()
    assert f"cannot write {out / 'deep' / 'a.png'}: got " in printed.err
    assert printed.err.splitlines()[-1] == "1 of 3 failed"
    assert len(table_of(printed.out)) == 3
    assert (out / "wall.png").is_file()


def test_who_interrupts_is_told_how_far_it_came(
    model: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    from ferbench.datasets import decode

    def read(path: Path) -> object:
        if path.name == "wall.png":
            raise KeyboardInterrupt
        return read_image(path)

    read_image = decode.read_image
    monkeypatch.setattr(decode, "read_image", read)
    table = tmp_path / "t.csv"
    assert main(["predict", str(folder), "--pipeline", model, "--csv", str(table)]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == f"stopped: 2 of 3 files are in {table}"
    assert len(pd.read_csv(table)) == 2


def test_annotating_into_the_same_folder_keeps_the_originals(
    model: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    before = (folder / "a.png").read_bytes()
    assert main(["predict", str(folder / "a.png"), "--pipeline", model, "--annotate", str(folder)]) == 0
    assert (folder / "a.png").read_bytes() == before
    assert (folder / "a-2.png").exists()


def test_what_cannot_be_read_is_named_and_counted(model: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and nothing more")
    (folder / "empty.mp4").touch()
    cv2.imwrite(str(folder / "dot.png"), np.zeros((1, 1, 3), np.uint8))
    arguments = [str(folder), str(folder / "nowhere.png")]
    assert main(["predict", *arguments, "--pipeline", model, "--csv", "-"]) == 1
    out, err = capsys.readouterr()
    lines = err.splitlines()
    for name in ("broken.jpg", "empty.mp4", "dot.png", "nowhere.png"):
        assert sum(name in line for line in lines) == 1, err
    assert lines[-1] == "4 of 7 failed"
    assert len(table_of(out)) == 3


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_exit_code_2_if_nothing_could_be_read(
    model: str, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "x.png").write_bytes(content)
    assert main(["predict", str(tmp_path / "x.png"), "--pipeline", model]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "x.png" in err
    assert "1 of 1 failed" in err


def test_an_empty_folder_is_named(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["predict", str(tmp_path), "--pipeline", model]) == 2
    assert f"no image or video in {tmp_path}" in capsys.readouterr().err


def test_without_a_face_whole_takes_the_picture_and_raise_is_an_error(
    model: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    wall = str(folder / "wall.png")
    assert main(["predict", wall, "--pipeline", model, "--csv", "-", "--on-no-face", "whole"]) == 0
    (row,) = table_of(capsys.readouterr().out)
    assert row["label"] in FER7.labels
    assert [float(row[name]) for name in ("x1", "y1", "x2", "y2")] == [0, 0, 200, 150]
    assert main(["predict", wall, "--pipeline", model, "--on-no-face", "raise"]) == 2
    assert f"no face in {wall}; " in capsys.readouterr().err


def test_a_picture_without_a_face_that_is_an_error_is_named_and_ends_no_batch(
    model: str, folder: Path, dark: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "wall.png").rename(folder / "a-wall.png")
    arguments = [str(dark), str(folder), "--pipeline", model, "--csv", "-", "--on-no-face", "raise"]
    assert main(["predict", *arguments]) == 1
    out, err = capsys.readouterr()
    assert f"no face in frame 0 of {dark}; " in err
    assert f"no face in {folder / 'a-wall.png'}; " in err
    assert err.splitlines()[-1] == "2 of 4 failed"
    assert [Path(row["source"]).name for row in table_of(out)] == ["a.png", "a.png"]


def test_gray_photographs_are_predicted(model: str, tmp_path: Path, scenes: list[npt.NDArray[np.uint8]],
                                        capsys: pytest.CaptureFixture[str]):  # fmt: skip
    path = tmp_path / "gray.png"
    cv2.imwrite(str(path), cv2.cvtColor(scenes[0], cv2.COLOR_BGR2GRAY))
    assert main(["predict", str(path), "--pipeline", model, "--csv", "-", "--annotate", str(tmp_path / "out")]) == 0
    (row,) = table_of(capsys.readouterr().out)
    assert row["label"] in FER7.labels
    assert (tmp_path / "out" / "gray.png").exists()
