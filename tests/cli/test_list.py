"""``ferbench list``: what can be named, as text and as JSON, and what is missing here."""

from __future__ import annotations

import importlib.util
import json

import pytest

from ferbench.cli import main
from ferbench.registry import GROUPS, entries


def listed(capsys, what: str) -> list[dict]:
    assert main(["list", what, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("group", GROUPS)
def test_every_component_is_listed_with_its_summary(group, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    rows = listed(capsys, group)
    assert [row["name"] for row in rows] == list(entries(group))
    assert main(["list", group]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(rows)
    assert all(row["name"] in line and row["summary"] in line for row, line in zip(rows, lines, strict=True))


def test_presets_are_listed_with_their_pipelines(capsys):
    rows = {row["name"]: row["pipeline"] for row in listed(capsys, "pipelines")}
    assert {"majority", "haar-lbp-svm", "dlib-hog-svm", "pca-svm", "haar-mini-xception"} <= set(rows)
    assert rows["haar-lbp-svm"].startswith("haar/lbp")


def test_suites_are_listed_with_profiles_and_rows(capsys):
    suites = {row["name"]: row for row in listed(capsys, "suites")}
    assert {"quick", "fer2013", "ckplus"} <= set(suites)
    assert "majority" in suites["quick"]["pipelines"]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("what", [*GROUPS, "pipelines", "suites", "checks"])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(what, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("ferbench.cli.list.find_spec", lambda name: None)
    rows = listed(capsys, what)
    assert main(["list", what]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= columns
    for row in rows:
        assert row["summary"] in " ".join(text.split())
        if not row.get("installed", True):
            assert f"[not installed: pip install 'ferbench[{row['extra']}]']" in text


def test_a_component_whose_extra_is_missing_is_listed_with_its_pip_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("ferbench.cli.list.find_spec", lambda name: None if name == "dlib" else find_spec(name))
    assert main(["list", "detectors"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("dlib-hog")]
    assert line.endswith("[not installed: pip install 'ferbench[dlib]']")
    assert not any("not installed" in other for other in lines if other != line)


def test_an_unknown_kind_is_an_error_with_a_suggestion(capsys):
    assert main(["list", "detector"]) == 2
    assert "did you mean 'detectors'" in capsys.readouterr().err
