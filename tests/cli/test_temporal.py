"""``ferbench temporal`` from streams to report: once through the pipeline, then from the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ferbench.cli import main
from ferbench.realtime.defaults import DEFAULT_PIPELINE
from ferbench.realtime.temporal import TemporalResult
from ferbench.reports.temporal import temporal_html, temporal_markdown, temporal_text

QUICK = ["temporal", "--people", "2", "--seconds", "2", "--fps", "2", "--conditions", "calm", "--smooth", "ema:150ms"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("temporal") / "new" / "folder"
    assert main([*QUICK, "--out", str(out)]) == 0
    return out


def test_it_writes_record_page_and_markdown(folder: Path):
    result = TemporalResult.model_validate_json((folder / "temporal.json").read_text())
    assert (result.n_people, result.n_chosen_on, result.n_frames) == (2, 2, 8)
    assert {one.smoothing for one in result.scores} == {"none", "mean:10", "ema:150ms"}
    page = (folder / "index.html").read_text()
    assert "ema:150ms" in page
    assert f"ferbench temporal --pipeline {DEFAULT_PIPELINE} " in page
    assert "| `ema:150ms` |" in (folder / "report.md").read_text()


def test_a_second_run_asks_the_pipeline_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def never(*_: Any) -> Any:
        raise AssertionError("the stream was gone over again")

    monkeypatch.setattr("ferbench.realtime.temporal.traces.trace_frames", never)
    assert main([*QUICK[:-1], "ema:150ms", "mean:3", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    first = json.loads((folder / "temporal.json").read_text())
    assert [one for one in again["scores"] if one["smoothing"] != "mean:3"] == first["scores"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--people", "0"], "number of persons"),
        (["--conditions", "drak"], "drak"),
        (["--smooth", "maen:10"], "did you mean 'mean'"),
        (["--dataset", "synthetik"], "synthetik"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    assert main(["temporal", *arguments]) == 2
    message = capsys.readouterr().err.strip()
    assert said in message
    assert "\n" not in message


def estimate(value: float, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def made_up() -> TemporalResult:
    """Two smoothings with figures that stand out, the second chosen."""

    def score(name: str, condition: str, flicker: float) -> dict[str, Any]:
        metrics = {"flicker": estimate(flicker, flicker / 2, 2 * flicker), "accuracy": estimate(0.6125, 0.5, 0.7)}
        metrics |= {
            "lag_ms": estimate(123.4, 100, 150),
            "missed": estimate(0.0, 0, 0),
            "brier": estimate(0.5, 0.4, 0.6),
        }
        minus = {"flicker": estimate(flicker - 3.5, flicker - 4, flicker - 3)}
        return {
            "smoothing": name,
            "condition": condition,
            "metrics": metrics,
            "minus_none": minus,
            "minus_reference": minus,
        }

    names = {"none": 3.5, "mean:10": 0.4, "ema:150ms+hysteresis:0.1": 0.08}
    scores = [score(name, condition, f) for condition in ("all", "light") for name, f in names.items()]
    return TemporalResult.model_validate(
        {
            "pipeline": "haar/<b>bold</b>@litert",
            "streams": "ckplus",
            "revision": "abc",
            "is_synthetic": False,
            "n_people": 5,
            "n_chosen_on": 6,
            "conditions": ["light"],
            "seconds": 10.0,
            "fps": 30.0,
            "seed": 0,
            "n_frames": 1500,
            "n_changes": 20,
            "scores": scores,
            "chosen_on": scores,
            "chosen": "ema:150ms+hysteresis:0.1",
        }
    )


def test_the_terminal_table_keeps_to_80_columns_and_names_the_steadiest_first():
    lines = temporal_text(made_up()).splitlines()
    assert max(map(len, lines)) <= 80
    table = [line for line in lines if line.startswith(("none", "mean:10", "ema"))]
    assert [line.split()[0] for line in table] == ["ema:150ms+hysteresis:0.1", "mean:10", "none"]
    assert table[1].split()[1:] == ["0.40", "0.20–0.80", "123", "100–150", "61.3", "0.0", "0.50"]
    (light,) = (line for line in lines if line.startswith("light   "))
    assert light.split() == ["light", "3.50", "0.40", "-3.10", "-3.60", "to", "-2.60", "0.08"]


def test_markdown_has_every_figure_with_its_interval():
    text = temporal_markdown(made_up())
    assert "| `mean:10` | 0.40 (0.20–0.80) | 123 (100–150) | 61.3 (50.0–70.0) |" in text
    assert "| light | 3.50 (1.75–7.00) | 0.40 (0.20–0.80) | 0.08 (0.04–0.16) | −3.10 (-3.60 to -2.60) |" in text


def test_the_page_is_whole_draws_every_smoothing_and_escapes_names():
    page = temporal_html(made_up(), "1.0", "ferbench temporal")
    assert page.count("<svg viewBox") >= 2
    assert "<b>bold</b>" not in page
    assert all(name in page.split("</svg>")[0] for name in ("none", "mean:10", "ema:150ms+hysteresis:0.1"))
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_the_documented_default_is_the_one_in_force():
    import argparse
    import inspect

    from ferbench.cli import live, serve
    from ferbench.realtime.defaults import DEFAULT_SMOOTHING
    from ferbench.realtime.loop import FrameProcessor, stream
    from ferbench.realtime.runner import run_live
    from ferbench.realtime.web.settings import Settings

    for verb in (live, serve):
        parser = argparse.ArgumentParser()
        verb.configure(parser)
        assert parser.get_default("smooth") == DEFAULT_SMOOTHING
    for function in (FrameProcessor, stream, run_live):
        assert inspect.signature(function).parameters["smooth"].default == DEFAULT_SMOOTHING
    assert Settings().smooth == DEFAULT_SMOOTHING
