"""Two runs compared, as text of 80 columns and as markdown for a pull-request comment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from textwrap import wrap

from ferbench.benchmarks.compare_records import Measure, RunComparison, RunFacts, Verdict, margin_text
from ferbench.reports.formatting import DASH, count, milliseconds, number, percent, points
from ferbench.reports.markdown import code, plain

__all__ = ["FORMATS", "comparison_markdown", "comparison_text", "headline"]

_WIDTH = 80
_METRICS = {"accuracy": "accuracy, %", "macro_f1": "macro F1, %", "latency": "p50, ms"}
_VERDICTS: tuple[Verdict, ...] = ("worse", "better", "tie", "cannot tell")


def headline(comparison: RunComparison) -> str:
    """The verdict in one line."""
    said = {
        "worse": "B is worse than A",
        "better": "B is better than A",
        "tie": "B and A tie",
        "cannot tell": "no difference is shown, but not everything ties",
    }[comparison.verdict]
    counts = [f"{n} {verdict}" for verdict in _VERDICTS if (n := comparison.count(verdict))]
    n = len(comparison.measures)
    return f"{said}: of {n} measure{'s' if n != 1 else ''} {', '.join(counts)}"


def comparison_text(comparison: RunComparison) -> str:
    """The comparison for a terminal, at most 80 columns."""
    lines = [*_wrapped(headline(comparison), ""), ""]
    for name, run in (("A", comparison.a), ("B", comparison.b)):
        lines += _wrapped(f"{name}  {_run_text(run)}", "   ")
    dataset = row = None
    for one in comparison.measures:
        if one.dataset != dataset:
            dataset, row = one.dataset, None
            lines += ["", *_wrapped(dataset, "  ")]
            lines.append(f"    {'':<13}{'A':>9}{'B':>9}{'B to A':>10}   {'95 %':<17}verdict")
        if one.row != row:
            row = one.row
            lines += _wrapped(f"  {row}", "    ")
        lines.append(_text_line(one))
        if one.condition:
            lines += _wrapped(f"      {one.condition}", "      ")
        if one.reason:
            lines += _wrapped(f"      {one.reason}", "      ")
    lines.append("")
    lines += [line for text in _remarks(comparison) for line in _wrapped(text, "  ")]
    return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _run_text(run: RunFacts) -> str:
    at = f" at {run.revision[:7]}" if run.revision else ""
    return f"{run.path}: {run.run_id}, ferbench {run.ferbench_version}{at}"


def _text_line(one: Measure) -> str:
    a, b, change, within = _figures(one)
    return f"    {_METRICS[one.metric]:<13}{a:>9}{b:>9}{change:>10}   {within:<17}{one.verdict}".rstrip()


def _figures(one: Measure) -> tuple[str, str, str, str]:
    """A, B, the change and its interval, as text."""
    if one.metric == "latency":
        change = DASH if one.difference is None else f"×{number(one.difference, 3)}"
        return milliseconds(one.a), milliseconds(one.b), change, _interval(one, lambda v: f"×{number(v, 3)}")
    return percent(one.a), percent(one.b), points(one.difference), _interval(one, points)


def _interval(one: Measure, text: Callable[[float], str]) -> str:
    return DASH if one.low is None or one.high is None else f"{text(one.low)} to {text(one.high)}"


def _remarks(comparison: RunComparison) -> Iterator[str]:
    for warning in comparison.warnings:
        yield f"warning: {warning}"
    for note in comparison.notes:
        yield f"note: {note}"
    within = margin_text(comparison.margin)
    yield (
        f"worse, better: shown after correction for the number of measures. tie: the interval is within {within}, or "
        "5 % of a latency (0.05 ms). cannot tell: neither. A missed face is wrong."
    )


def comparison_markdown(comparison: RunComparison) -> str:
    """The comparison for a pull-request comment: the verdict, what changed, and the rest folded away."""
    changed = [one for one in comparison.measures if one.verdict in ("worse", "better")]
    others = [one for one in comparison.measures if one.verdict not in ("worse", "better")]
    lines = [f"**{plain(headline(comparison))}**", ""]
    if changed:
        lines += [*_table(sorted(changed, key=lambda one: _VERDICTS.index(one.verdict))), ""]
    lines += [f"> - {plain(warning)}" for warning in comparison.warnings]
    lines += [""] if comparison.warnings else []
    if others:
        lines += [f"<details><summary>{len(others)} without a difference that is shown</summary>", ""]
        lines += [*_table(others), "", "</details>", ""]
    lines += ["<details><summary>What was compared</summary>", ""]
    for name, run in (("A", comparison.a), ("B", comparison.b)):
        lines.append(f"- {name}: {code(run.path)}, {plain(_run_text(run).partition(': ')[2])}")
    lines += [f"- {plain(note)}" for note in comparison.notes]
    lines += [f"- {plain(list(_remarks(comparison))[-1])}", "", "</details>", ""]
    return "\n".join(lines)


def _table(measures: Sequence[Measure]) -> list[str]:
    several = len({one.dataset for one in measures}) > 1
    heads = [*(["Data set"] if several else []), "Row", "Measure", "A", "B", "B to A", "95 %", "Verdict"]
    sides = [":---"] * (3 if several else 2) + ["---:"] * 3 + [":---"] * 2
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(sides)} |"]
    for one in measures:
        a, b, change, within = _figures(one)
        metric = _METRICS[one.metric] + (f" ({one.condition})" if one.condition else "")
        verdict = f"**{one.verdict}**" if one.verdict in ("worse", "better") else one.verdict
        verdict += f": {plain(one.reason)}" if one.reason else f" (n = {count(one.n)})" if one.n else ""
        cells = [*([code(one.dataset)] if several else []), code(one.row), plain(metric), a, b, change, within, verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _json(comparison: RunComparison) -> str:
    return comparison.model_dump_json(indent=1)


FORMATS: dict[str, Callable[[RunComparison], str]] = {
    "text": comparison_text,
    "markdown": comparison_markdown,
    "json": _json,
}
"""How a comparison can be written."""
