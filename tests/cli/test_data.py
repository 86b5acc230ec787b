"""``ferbench data``: tables for people, JSON for programs, one line for mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from ferbench.cli import main
from ferbench.errors import FerbenchError
from ferbench.registry import Entry


def fer2013(path: Path, *, bad_row: bool = False) -> Path:
    rng = np.random.default_rng(1)
    faces = rng.integers(0, 256, (9, 2304), np.uint8)
    faces[8] = faces[0]
    usages = ["Training"] * 7 + ["PublicTest"] * 2
    rows = [
        f"{i % 7},{' '.join(map(str, face))},{usage}" for i, (face, usage) in enumerate(zip(faces, usages, strict=True))
    ]
    if bad_row:
        rows[3] = "3,1 2 3,Training"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return path


@pytest.fixture
def table(tmp_path):
    return fer2013(tmp_path / "fer2013.csv")


def test_list_tells_what_is_here(table, monkeypatch, capsys):
    monkeypatch.setenv("FERBENCH_DATA", str(table.parent))
    assert main(["data", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["fer2013"]["found"] == str(table)
    assert rows["ckplus"]["found"] is None
    assert "ckplus48.zip" in rows["ckplus"]["files"]
    assert rows["synthetic"]["is_synthetic"]
    assert all(row["licence"] for row in rows.values())
    assert main(["data", "list"]) == 0
    shown = capsys.readouterr().out
    assert set(rows) <= set(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


def test_list_works_without_any_data(capsys):
    assert main(["data", "list", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} >= {"fer2013", "images", "rafdb"}


def test_list_leaves_out_a_plugin_that_cannot_be_imported(monkeypatch, capsys):
    def breaks(self: Entry):
        if self.name == "rafdb":
            raise FerbenchError("dataset 'rafdb' of the package p cannot be imported")
        return load(self)

    load = Entry.load
    monkeypatch.setattr(Entry, "load", breaks)
    assert main(["data", "list"]) == 0
    out, err = capsys.readouterr()
    assert "fer2013" in out
    assert "rafdb" not in out
    assert err == "ferbench: warning: dataset 'rafdb' of the package p cannot be imported\n"


def test_audit_shows_the_findings_within_80_columns(table, capsys):
    assert main(["data", "audit", "fer2013", "--path", str(table)]) == 0
    shown = capsys.readouterr().out
    assert "1 exact copies: 1 group, of which 1 across train, val" in shown
    assert "1 groups of exact copies with conflicting labels" in " ".join(shown.split())
    assert "1 images with a copy in an earlier split: 1 in val" in shown
    assert "1 official splits not in this file: test" in shown
    assert max(len(line) for line in shown.splitlines() if str(table) not in line) <= 80


def test_audit_as_json_prints_one_object_and_nothing_else(table, capsys):
    assert main(["data", "audit", str(table), "--json"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["exact"]["n_leaked"] == {"val": 1}
    assert captured.err == ""


def test_unreadable_rows_are_a_warning_and_in_the_report(tmp_path, capsys):
    path = fer2013(tmp_path / "bad.csv", bad_row=True)
    assert main(["data", "audit", str(path)]) == 0
    captured = capsys.readouterr()
    assert "1 unreadable rows: row 4 (line 5): 3 pixels, expected 2304" in " ".join(captured.out.split())
    assert captured.err == "ferbench: warning: 1 row skipped: row 4 (line 5): 3 pixels, expected 2304\n"


def test_stats(tmp_path, capsys):
    for label, value in (("happy", 10), ("happy2/happy", 40), ("sad", 200)):
        (tmp_path / "t" / label).mkdir(parents=True)
        Pillow.fromarray(np.full((32, 32), value, np.uint8)).save(tmp_path / "t" / label / "a.png")
    assert main(["data", "stats", str(tmp_path / "t"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["counts"]["all"]["happy"] == 2
    assert main(["data", "stats", str(tmp_path / "t")]) == 0
    shown = capsys.readouterr().out
    assert "66.7% (happy)" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit", "fer2013"], "dataset 'fer2013' not found, FERBENCH_DATA is not set"),
        (["audit", "fer2031"], "did you mean 'fer2013'"),
        (["audit"], "needs a dataset"),
        (["adit", "fer2013"], "did you mean 'audit'"),
        (["stats", "images"], "needs a path"),
        (["stats", "./nothing/here"], "no such file or folder"),
        (["stats", "fer2013", "--path", "nothing.csv"], "no such file or folder: nothing.csv"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(["data", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(("given", "named"), [(["--path", "x"], "--path x"), (["fer2013"], "fer2013")])
def test_a_list_of_all_takes_neither_a_path_nor_a_name(given: list[str], named: str, capsys):
    assert main(["data", "list", *given]) == 2
    assert f"lists every dataset: got {named}; describe one with ferbench data stats" in capsys.readouterr().err
