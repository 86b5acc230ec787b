"""What the rounds of a row tell besides times, pooled: drops and ages of a fixed rate, repeats, threads, energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.arrivals import RESOLUTION
from ferbench.benchmarks.repeats import compare_repeats
from ferbench.benchmarks.timing_records import Energy, FixedRate, Repeats, Usage
from ferbench.benchmarks.usage import usage_problem

__all__ = ["Facts", "fixed_rate"]

Metrics = Sequence[Mapping[str, Any]]


def fixed_rate(metrics: Metrics, ages_ns: npt.NDArray[np.int64]) -> FixedRate:
    """Drops and ages of all rounds of a fixed rate, and the highest rate where it was searched for.

    Parameters
    ----------
    metrics : sequence of mappings
        One a round, each with ``rate`` of :func:`ferbench.benchmarks.timing.measure`.
    ages_ns : (n_answered,) int64
        Nanoseconds from the arrival of a frame to its result, all rounds.
    """
    from scipy import stats

    from ferbench.benchmarks.timing_summary import stage_times

    rates = [one["rate"] for one in metrics]
    n, dropped = (sum(int(rate[key]) for rate in rates) for key in ("n_frames", "n_dropped"))
    share = stats.binomtest(dropped, n).proportion_ci(0.95)
    ages = stage_times(ages_ns / 1e6)
    searched = "trials" in rates[0]
    lows, highs = ([rate.get(key) for rate in rates] for key in ("low", "high"))
    return FixedRate(
        hz=float(np.median([rate["hz"] for rate in rates])),
        n_frames=n,
        n_dropped=dropped,
        drop_share=dropped / n,
        drop_low=float(share.low),
        drop_high=float(share.high),
        age_p50=ages.p50,
        age_p50_low=ages.p50_low,
        age_p50_high=ages.p50_high,
        age_p99=ages.p99,
        age_p99_low=ages.p99_low,
        age_p99_high=ages.p99_high,
        is_searched=searched,
        # A round that found no end on one side leaves that side open for all.
        highest_low=None if None in lows else min(lows),
        highest_high=None if None in highs else max(highs),
        is_closed=searched and not any(rate["why_open"] for rate in rates),
        resolution=RESOLUTION if searched else None,
        n_trials=sum(len(rate.get("trials", ())) for rate in rates),
    )


class Facts:
    """Repeats, threads and energy of all rounds; None each where earlier versions did not look.

    Parameters
    ----------
    metrics : sequence of mappings
        One a round.
    threads : int
        The setting.
    n_frames : int
        Frames timed in all rounds.
    """

    def __init__(self, metrics: Metrics, threads: int, *, n_frames: int) -> None:
        self._metrics, self._threads, self._n_frames = metrics, threads, n_frames

    @cached_property
    def repeats(self) -> Repeats | None:
        """Repeated frames against new ones, the pairs of all rounds together."""
        pairs = [(int(a), int(b)) for one in self._metrics for a, b in one.get("repeats_ns", ())]
        return Repeats(**compare_repeats(pairs)) if pairs else None

    @cached_property
    def usage(self) -> Usage | None:
        """CPU time and threads; the worst of the rounds."""
        rounds = [one["usage"] for one in self._metrics if "usage" in one]
        if not rounds:
            return None
        problems = [found for one in rounds if (found := usage_problem(one, self._threads))]
        return Usage(
            cores=max(one["cpu_s"] / one["wall_s"] for one in rounds),
            **{key: max(one[key] for one in rounds) for key in ("n_threads", "n_busy", "n_started")},
            problem=problems[0] if problems else None,
        )

    @cached_property
    def energy(self) -> Energy | None:
        """Energy of all rounds; without a figure if one of them has none."""
        rounds = [(one["energy"], one["usage"]) for one in self._metrics if "energy" in one]
        if not rounds:
            return None
        source = rounds[0][0]["source"]
        if any(energy["joules"] is None for energy, _ in rounds):
            return Energy(source=next(energy["source"] for energy, _ in rounds if energy["joules"] is None))
        joules, seconds = sum(e["joules"] for e, _ in rounds), sum(u["elapsed_s"] for _, u in rounds)
        return Energy(source=source, joules_per_frame=joules / self._n_frames, watts=joules / seconds)

    @property
    def notes(self) -> list[str]:
        """What must be said beside the times."""
        notes = []
        if self.repeats is not None and self.repeats.is_cached:
            notes.append(
                f"repeated frames are cached: {self.repeats.again_ms:.3g} ms against {self.repeats.first_ms:.3g} ms "
                f"for new ones ({self.repeats.n_pairs} pairs, p = {self.repeats.p:.1g})"
            )
        if self.usage is not None and self.usage.problem:
            notes.append(f"threads beyond the setting: {self.usage.problem}")
        notes += [
            f"highest rate, round {number}: {one['rate']['why_open']}"
            for number, one in enumerate(self._metrics, start=1)
            if one.get("rate", {}).get("why_open")
        ]
        return notes
