"""What is shown of a benchmark of smoothings: tables for the terminal, for markdown, and the page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from ferbench.realtime.temporal import REFERENCE, TemporalResult
from ferbench.reports.drawing import NARROW, WIDE
from ferbench.reports.formatting import count, number, percent
from ferbench.reports.pages import environment
from ferbench.reports.temporal_figure import kind_of, temporal_svg

if TYPE_CHECKING:
    from ferbench.benchmarks.evidence import Estimate
    from ferbench.realtime.temporal import SmoothingScores

__all__ = ["PAGES", "ranked", "temporal_html", "temporal_markdown", "temporal_pages", "temporal_text"]

WIDTH = 80
PAGES = {"html": "index.html", "md": "report.md"}
"""File of each form."""


def ranked(result: TemporalResult) -> list[SmoothingScores]:
    """Scores over all conditions, least flicker first."""
    together = [one for one in result.scores if one.condition == "all"]
    return sorted(together, key=lambda one: one.metrics["flicker"].value)


def _about(result: TemporalResult) -> list[str]:
    """Sentences that every form begins with."""
    source = "generated people" if result.is_synthetic else f"people of {result.streams} put in motion"
    return [
        f"{result.pipeline}",
        f"{result.n_people} {source}, {result.seconds:g} s at {result.fps:g} frames a second under each "
        f"of {', '.join(result.conditions)}: {count(result.n_frames)} faces in frames, {count(result.n_changes)} "
        f"changes of expression that the pipeline sees. Seed {result.seed}; intervals are 95 %, bootstrap over people.",
        f"Chosen: {result.chosen}, by {result.rule} (on {result.n_chosen_on} others).",
    ]


def temporal_text(result: TemporalResult) -> str:
    """The result for a terminal, 80 columns."""
    lines = [line for text in _about(result) for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False)]
    head = f"{'smoothing':<25}{'flicker/s':>9}{'95 %':>11}{'lag ms':>7}{'95 %':>9}{'right':>6}{'missed':>7}{'Brier':>6}"
    lines += ["", head]
    for one in ranked(result):
        m = one.metrics
        lines.append(
            f"{_cut(one.smoothing, 25):<25}{_value(m.get('flicker')):>9}{_within(m.get('flicker')):>11}"
            f"{_value(m.get('lag_ms'), 0):>7}{_within(m.get('lag_ms'), 0):>9}"
            f"{_percent(m.get('accuracy')):>6}{_percent(m.get('missed')):>7}{_value(m.get('brier')):>6}"
        )
    lines += ["", f"{'flicker/s under':<17} {'none':>6} {REFERENCE:>8} {'difference':>11}  {'95 %':<15}  chosen"]
    for condition in result.conditions:
        none, mean, chosen = (result.score(name, condition) for name in _compared(result))
        difference = mean.minus_none["flicker"]
        lines.append(
            f"{condition:<17} {_value(none.metrics['flicker']):>6} {_value(mean.metrics['flicker']):>8} "
            f"{difference.value:>+11.2f}  {_signed(difference):<15}{_value(chosen.metrics['flicker']):>8}"
        )
    lines += ["", "flicker: label changes that the face did not make; lag: until the new label is"]
    lines += ["shown and stays 200 ms; right: % of frames; missed: % of changes never followed"]
    return "\n".join(lines)


def _compared(result: TemporalResult) -> tuple[str, str, str]:
    return "none", REFERENCE, result.chosen


def temporal_markdown(result: TemporalResult) -> str:
    """The result as markdown."""
    lines = ["# Smoothing over time", "", *(line for text in _about(result) for line in (text, ""))]
    lines += ["| smoothing | flicker/s | lag, ms | right, % | missed, % | Brier |", "| --- " + "| ---: " * 5 + "|"]
    for one in ranked(result):
        lines.append(f"| `{one.smoothing}` | {' | '.join(_cells(one))} |")
    lines += ["", *_condition_table(result)]
    return "\n".join(lines) + "\n"


def _cells(one: SmoothingScores) -> list[str]:
    m = one.metrics
    return [
        _with_interval(m.get("flicker"), 2),
        _with_interval(m.get("lag_ms"), 0),
        _with_interval(m.get("accuracy"), 1, 100),
        _with_interval(m.get("missed"), 1, 100),
        _with_interval(m.get("brier"), 3),
    ]


def _condition_table(result: TemporalResult) -> list[str]:
    names = list(dict.fromkeys(_compared(result)))
    head = " | ".join(f"`{name}`" for name in names)
    lines = [
        f"| flicker/s under | {head} | `{REFERENCE}` − `none` |",
        "| --- " + "| ---: " * (len(names) + 1) + "|",
    ]
    for condition in result.conditions:
        cells = [_with_interval(result.score(name, condition).metrics["flicker"], 2) for name in names]
        minus = result.score(REFERENCE, condition).minus_none["flicker"]
        lines.append(f"| {condition} | {' | '.join(cells)} | {_with_interval(minus, 2)} |")
    return lines


def temporal_html(result: TemporalResult, version: str, command: str) -> str:
    """The result as one page that needs nothing else."""
    drawings = [Markup(temporal_svg(ranked(result), result.chosen, width)) for width in (WIDE, NARROW)]
    page = environment(is_html=True).get_template("temporal.html.j2")
    return page.render(
        result=result,
        rows=ranked(result),
        about=_about(result),
        drawings=drawings,
        kind_of=kind_of,
        compared=list(dict.fromkeys(_compared(result))),
        reference=REFERENCE,
        value=_value,
        within=_within,
        signed=_signed,
        percent=_percent,
        version=version,
        command=command,
    )


def _value(one: Estimate | None, decimals: int = 2) -> str:
    return number(one.value if one else None, decimals)


def _percent(one: Estimate | None) -> str:
    return percent(one.value if one else None)


def _within(one: Estimate | None, decimals: int = 2, scale: float = 1.0) -> str:
    if one is None or one.low is None or one.high is None:
        return ""
    return f"{number(scale * one.low, decimals)}–{number(scale * one.high, decimals)}"


def _signed(one: Estimate | None) -> str:
    return "" if one is None or one.low is None or one.high is None else f"{one.low:+.2f} to {one.high:+.2f}"


def _with_interval(one: Estimate | None, decimals: int, scale: float = 1.0) -> str:
    if one is None:
        return number(None)
    if one.low is not None and one.low < 0:
        return f"{number(scale * one.value, decimals)} ({_signed(one)})"
    within = _within(one, decimals, scale)
    return number(scale * one.value, decimals) + (f" ({within})" if within else "")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def temporal_pages(result: TemporalResult, forms: Sequence[str], version: str, command: str) -> dict[str, str]:
    """Text of each file of :data:`PAGES` that is asked for."""
    made = {"html": lambda: temporal_html(result, version, command), "md": lambda: temporal_markdown(result)}
    return {PAGES[form]: made[form]() for form in forms}
