"""What a merged run was timed on: its machines, and the same rows on each of them, never pooled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ferbench.benchmarks.records import StageTimes, Summary
from ferbench.reports.context import Condition, DatasetView, RowView

__all__ = ["Machine", "machine_times", "machines_of"]


@dataclass(frozen=True)
class Machine:
    """A kind of machine, and the runs that were made on it."""

    fingerprint: str
    name: str
    runs: tuple[str, ...]


def machines_of(summary: Summary) -> list[Machine]:
    """The machines of a merged run; none of a run that was made on one machine."""
    runs: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for run, environment in summary.environments.items():
        fingerprint = str(environment.get("fingerprint", "unknown"))
        cpu = environment.get("cpu") or {}
        cores = cpu.get("cores_available") or cpu.get("cores_logical")
        names.setdefault(
            fingerprint, str(cpu.get("model", "unknown processor")) + (f", {cores} cores" if cores else "")
        )
        runs.setdefault(fingerprint, []).append(run)
    return [Machine(fingerprint, names[fingerprint], tuple(own)) for fingerprint, own in runs.items()]


def machine_times(view: DatasetView) -> Iterator[tuple[Condition, list[tuple[RowView, dict[str, StageTimes]]]]]:
    """End-to-end times of each row by machine, a group for each condition, in the leaderboard's order."""
    groups: dict[Condition, dict[str, tuple[RowView, dict[str, StageTimes]]]] = {}
    for row in view.rows:
        for one in row.record.latency:
            if one.machine is not None and "total" in one.stages:
                group = groups.setdefault((one.scenario, one.device, one.threads, one.frames), {})
                group.setdefault(row.name, (row, {}))[1][one.machine] = one.stages["total"]
    for condition, rows in groups.items():
        yield condition, list(rows.values())
