"""The verdict on a dataset in plain sentences: who is right most often, what it costs, what to choose."""

from __future__ import annotations

from typing import NamedTuple

from ferbench.benchmarks.pairs import is_faster
from ferbench.reports.context import DatasetView, RowView, percentile
from ferbench.reports.formatting import count, interval, milliseconds, number, p_value, percent, points

__all__ = ["Name", "Sentence", "device_text", "verdict"]


class Name(NamedTuple):
    """A pipeline's name inside a sentence, with the anchor of its line in the leaderboard."""

    text: str
    anchor: str


Sentence = tuple[str | Name, ...]

_MAX_NAMED = 3
_NBSP = "\N{NO-BREAK SPACE}"
"""Keeps a number and its unit on one line."""


def verdict(view: DatasetView) -> list[Sentence]:
    """At most three sentences on a dataset: the winner and its margin, its cost, the choice under a budget."""
    scored = view.scored
    if not view.rows:
        return [(f"On {view.info.title} only pipelines that learnt elsewhere were scored, see “Across data sets”.",)]
    if not scored:
        return [(f"Nothing was scored on {view.info.title}: the reasons are under “Failures and skipped cells”.",)]
    return [_winner(view, scored), _cost(view, scored[0]), _choice(view, scored[0])]


def device_text(device: str, threads: int) -> str:
    """``"one CPU thread"``, ``"4 CPU threads"``, ``"cuda"``."""
    if device != "cpu":
        return device
    return "one CPU thread" if threads == 1 else f"{threads} CPU threads"


def _name(row: RowView) -> Name:
    return Name(row.name, row.anchor)


def _names(rows: list[RowView]) -> Sentence:
    shown: list[str | Name] = []
    for i, row in enumerate(rows[:_MAX_NAMED]):
        is_last = i == len(rows) - 1
        shown += [" and " if is_last and i else ", " if i else "", _name(row)]
    if len(rows) > _MAX_NAMED:
        shown.append(f" and {len(rows) - _MAX_NAMED} more")
    return tuple(part for part in shown if part)


def _ties(view: DatasetView, best: RowView) -> list[RowView]:
    return [row for row in _with_ties(best, view.scored) if row is not best]


def _with_ties(best: RowView, rows: list[RowView]) -> list[RowView]:
    """Those of some rows that cannot be told apart from one of them, itself among them."""
    group = best.quality.tie_group if best.quality else None
    return [row for row in rows if row is best or (row.quality is not None and row.quality.tie_group == group)]


def _winner(view: DatasetView, scored: list[RowView]) -> Sentence:
    best, accuracy = scored[0], scored[0].accuracy
    n = best.quality.n if best.quality else 0
    kind = "synthetic faces" if view.info.is_synthetic else "faces"
    within = interval(accuracy)
    value = _percent(accuracy.value if accuracy else None)
    figure = f"{value} end to end (95{_NBSP}% interval{_NBSP}{within})" if within else f"{value} end to end"
    opening = (f"On {view.info.title} ({count(n)} {kind}), ", _name(best))
    if len(scored) == 1:
        return (*opening, f" is the only pipeline scored and is right on {figure}.")
    ties = _ties(view, best)
    if ties:
        return (*opening, f" is right most often, {figure}, but cannot be told apart from ", *_names(ties), ".")
    return (*opening, f" is right most often, {figure}", *_margin(view, scored), ".")


def _margin(view: DatasetView, scored: list[RowView]) -> Sentence:
    best, second = scored[0], scored[1]
    compared = view.comparisons.get((best.name, second.name))
    if best.accuracy is None or second.accuracy is None:
        return ()
    difference = compared.difference if compared else best.accuracy.value - second.accuracy.value
    test = f" (paired test, Holm-corrected p {_relation(compared.p_holm)})" if compared else ""
    return (f", {points(difference).lstrip('+')} points ahead of ", _name(second), test)


def _relation(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _cost(view: DatasetView, best: RowView) -> Sentence:
    if best.p50 is None or best.latency is None:
        return ("What it costs was not measured in this run.",)
    p90 = percentile(best.total, "p90")
    tail = f", nine frames in ten within {_ms(p90)}" if p90 is not None else ""
    on = device_text(best.latency.device, best.latency.threads)
    fps = number(best.latency.throughput_fps, 0)
    text = f"It takes {_ms(best.p50)} a frame at the median on {on}{tail} ({fps} frames a second)"
    fastest = min(_looking(view), key=lambda row: row.p50 or 0.0, default=best)
    if not is_faster(fastest.p50 or 0.0, best.p50) or fastest.accuracy is None or best.accuracy is None:
        return (f"{text}.",)
    less = points(best.accuracy.value - fastest.accuracy.value).lstrip("+")
    right = "as often right" if less == "0.0" else f"right {less} points less often"
    return (f"{text}; the fastest, ", _name(fastest), f", takes {_ms(fastest.p50)} and is {right}.")


def _choice(view: DatasetView, best: RowView) -> Sentence:
    if not _beats_chance(view, best):
        return ("No pipeline is shown to beat one that ignores the face, so there is nothing to choose yet.",)
    if len(view.scored) == 1:
        return ("With one pipeline there is nothing to choose between.",)
    if best.p50 is None:
        return ("Choose by accuracy alone until latency is measured.",)
    looking = _looking(view)
    equals = [row for row in [best, *_ties(view, best)] if row in looking]
    pick = next(row for row in equals if not _is_slow(row, equals))
    is_fastest = not _is_slow(pick, looking)
    if pick is best:
        head: Sentence = ("Choose ", _name(best))
        reason = " whatever the budget" if is_fastest else f" wherever {_ms(best.p50)} a frame fit the budget"
    else:
        head = ("Choose ", _name(pick))
        reason = f" at {_ms(pick.p50)}: as far as these faces can tell it is as good"
    if is_fastest:
        link = ":" if pick is best else ", and"
        return (
            *head,
            f"{reason}{link} nothing that looks at the face is clearly faster." if len(looking) > 1 else f"{reason}.",
        )
    cheaper = [row for row in view.front if is_faster(row.p50 or 0.0, pick.p50 or 0.0) and _beats_chance(view, row)]
    if not cheaper:
        return (*head, f"{reason}.")
    below = min(_with_ties(cheaper[-1], cheaper), key=lambda row: row.p50 or 0.0)
    value = below.accuracy.value if below.accuracy else None
    return (*head, f"{reason}; below that, ", _name(below), f" ({_ms(below.p50)}, {_percent(value)}).")


def _is_slow(row: RowView, rivals: list[RowView]) -> bool:
    """Whether one of some rows is faster by more than chance; of equals the one that is right most often is named."""
    return any(is_faster(other.p50 or 0.0, row.p50 or 0.0) for other in rivals)


def _beats_chance(view: DatasetView, row: RowView) -> bool:
    """Whether a row is told apart from every baseline, and above the commonest class.

    Where a detector misses faces, a baseline may be right less often than the commonest class is.
    """
    if any(one.record.family == "baseline" for one in (row, *_ties(view, row))):
        return False
    return row.accuracy is None or row.accuracy.value > (view.majority_share or 0.0)


def _looking(view: DatasetView) -> list[RowView]:
    """Timed and scored rows that look at the face: a baseline is no choice."""
    return [row for row in view.scored if row.p50 is not None and row.record.family != "baseline"]


def _ms(value: float | None) -> str:
    return f"{milliseconds(value)}{_NBSP}ms"


def _percent(value: float | None) -> str:
    return f"{percent(value)}{_NBSP}%"
