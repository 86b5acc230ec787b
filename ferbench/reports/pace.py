"""What a report says of frames that come by themselves or several together, and of what a pipeline took meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ferbench.benchmarks.records import LatencySummary
from ferbench.benchmarks.timing_records import Energy, FixedRate
from ferbench.reports.context import Condition, DatasetView, RowView, condition_of
from ferbench.reports.formatting import milliseconds, number, percent

__all__ = ["Timed", "energy_text", "fixed_rates", "has_pace", "highest_rate", "pace_text", "resources", "streams"]


@dataclass(frozen=True)
class Timed:
    """A row in one scenario."""

    row: RowView
    latency: LatencySummary


def has_pace(views: tuple[DatasetView, ...]) -> bool:
    """Whether any row was timed at a fixed rate or on several frames together."""
    return any(True for view in views for _ in (*fixed_rates(view), *streams(view)))


def fixed_rates(view: DatasetView) -> Iterator[tuple[Condition, list[Timed]]]:
    """Rows timed at a fixed rate, a group for each condition: fewest drops first, or the highest rate first."""
    for condition, rows in _grouped(view):
        if all(one.latency.fixed_rate is not None for one in rows):
            yield condition, sorted(rows, key=_by_rate)


def streams(view: DatasetView) -> Iterator[tuple[Condition, list[Timed]]]:
    """Rows timed on frames that arrive together, a group for each condition, fastest first."""
    for condition, rows in _grouped(view):
        if all(one.latency.together is not None for one in rows):
            yield condition, sorted(rows, key=lambda one: one.latency.stages["total"].p50)


def resources(view: DatasetView) -> list[Timed]:
    """Rows whose threads were watched, under the leaderboard's condition, in the leaderboard's order."""
    return [Timed(row, row.latency) for row in view.rows if row.latency is not None and row.latency.usage is not None]


def highest_rate(rate: FixedRate) -> str:
    """Where the highest rate with under 1 % dropped lies: ``"57.1 to 58.0"``, ``"below 12.3"``, ``"1,000 or more"``."""
    low, high = (
        None if hz is None else number(hz, 1 if hz < 100 else 0) for hz in (rate.highest_low, rate.highest_high)
    )
    if low is None:
        return "not found" if high is None else f"below {high}"
    return f"{low} or more" if high is None else f"{low} to {high}"


def pace_text(latency: LatencySummary) -> str:
    """A scenario's main figure in a few words: ``"4.51 ms (single-stream)"``, ``"2.1 % dropped, age 9.9 ms (…)"``."""
    rate = latency.fixed_rate
    if latency.together is not None:
        return f"all answered in {milliseconds(latency.together.p50)} ms ({latency.scenario})"
    if rate is None:
        return f"{latency.stages['total'].p50:.2f} ms ({latency.scenario})"
    found = f"highest rate {highest_rate(rate)} Hz, " if rate.is_searched else ""
    dropped = f"{percent(rate.drop_share)} % dropped, age {milliseconds(rate.age_p50)} ms"
    return f"{found}{dropped} ({latency.scenario})"


def energy_text(energy: Energy | None) -> str:
    """Millijoules of one frame and the mean power, or why there is no figure."""
    if energy is None:
        return "not looked for"
    if energy.joules_per_frame is None:
        return energy.source.partition(":")[0]
    power = "" if energy.watts is None else f" at {number(energy.watts, 1)} W"
    return f"{number(1e3 * energy.joules_per_frame, 1)} mJ{power}"


def _grouped(view: DatasetView) -> Iterator[tuple[Condition, list[Timed]]]:
    groups: dict[Condition, list[Timed]] = {}
    for row in view.rows:
        for latency in row.record.latency:
            groups.setdefault(condition_of(latency), []).append(Timed(row, latency))
    yield from groups.items()


def _by_rate(one: Timed) -> tuple[float, float, float]:
    rate = one.latency.fixed_rate
    if rate is None:
        return (0.0, 0.0, 0.0)
    highest = rate.highest_low or 0.0
    return (-highest, rate.drop_share, rate.age_p50)
