"""Checks of the clock: enough frames, a steady and quiet machine, the same threads, the right way to call a network."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ferbench.benchmarks.checks.evidence import Evidence, Found, NotApplicable
from ferbench.benchmarks.checks.wording import capital, ms, named, some, times
from ferbench.benchmarks.records import LatencySummary, RowSummary, StageTimes
from ferbench.benchmarks.timing_summary import PERCENTILE_FRAMES
from ferbench.errors import FerbenchError
from ferbench.specs import parse_spec

__all__ = [
    "cached_frames",
    "keras_overhead",
    "noisy_machine",
    "thread_settings",
    "too_few_frames",
    "too_many_threads",
    "unstable_timing",
]

NOT_TIMED = NotApplicable("nothing was timed")

FAR_SLOWER = 3.0
"""A Keras runtime this many times as slow as another runtime of the same network is mostly overhead."""
AS_PREDICT = 100.0
"""Slower than this, it is called as ``model.predict`` is: 50 to 84 ms for a face that LiteRT classifies in 0.2."""

_MORE_CALLS = "Raise rounds in the profile, or min_frames to a batch times the calls that are needed."
_BEFORE_ROUND = re.compile(r"before round (\d+): (.*)")


def too_few_frames(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB004: percentiles that a report has a column for and too few calls carry, or prints all the same."""
    found, any_timed = [], False
    for info, rows in evidence.timed():
        any_timed |= bool(rows)
        withheld: dict[str, dict[int, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
        printed: list[str] = []
        for row, scenario, times_of_calls in _calls(rows):
            for percentile, needed in PERCENTILE_FRAMES.items():
                if times_of_calls.n < needed:
                    n_of = withheld[scenario][percentile]
                    n_of[row.row] = min(times_of_calls.n, n_of.get(row.row, times_of_calls.n))
                    if getattr(times_of_calls, f"p{percentile}") is not None:
                        printed.append(row.row)
        if printed:
            text = f"The run states percentiles that too few frames carry, of {named(printed)}."
            found.append(Found(text, info.spec, tuple(dict.fromkeys(printed)), severity="warning"))
        found += [_withheld(info.spec, scenario, by, len(rows)) for scenario, by in withheld.items()]
    return found if any_timed else NOT_TIMED


def _calls(rows: list[RowSummary]) -> Iterator[tuple[RowSummary, str, StageTimes]]:
    """What percentiles are taken of, by row and scenario: one value a call, however many frames it holds."""
    for row in rows:
        for latency in row.latency:
            yield row, latency.scenario, latency.stages["total"]
            if latency.together is not None:
                yield row, latency.scenario, latency.together


def _withheld(dataset: str, scenario: str, by: dict[int, dict[str, int]], n_rows: int) -> Found:
    # A call of these holds several frames: a thousand frames in batches of 256 are four calls.
    is_batched = scenario.startswith(("offline", "multi-stream"))
    unit = "calls" if is_batched else "frames"
    # A row may carry a p90 and no p95: percentiles that the same rows lack are told together.
    together: dict[frozenset[str], list[str]] = defaultdict(list)
    for p, n_of in sorted(by.items()):
        together[frozenset(n_of)].append(f"p{p} ({min(n_of.values()):,} of {PERCENTILE_FRAMES[p]} {unit})")
    (first, *others) = [(named(said), some(len(rows), n_rows, "row")) for rows, said in together.items()]
    names = tuple(dict.fromkeys(name for n_of in by.values() for name in n_of))
    text = "; ".join([f"{first[0]}: left out of the reports for {first[1]}", *(f"{a} for {b}" for a, b in others)])
    text += f" under {scenario}." if scenario != "single-stream" else "."
    # The leaderboard has a column of p90; what batches are timed for is frames a second.
    is_column = 90 in by and not scenario.startswith("offline")
    return Found(
        text, dataset, names, action=_MORE_CALLS if is_batched else "", severity="warning" if is_column else "note"
    )


def unstable_timing(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB005: rounds, or halves of a round, that disagree about a row."""
    found, any_timed = [], False
    for info, rows in evidence.timed():
        any_timed |= bool(rows)
        shaky = [(row, next(one for one in row.latency if one.is_unstable)) for row in rows if _is_unstable(row)]
        if shaky:
            said = [f"{row.row}{_why(latency)}" for row, latency in shaky]
            found.append(
                Found(
                    f"{capital(some(len(shaky), len(rows), 'row'))}: {named(said, most=2)}.",
                    info.spec,
                    tuple(row.row for row, _ in shaky),
                )
            )
    return found if any_timed else NOT_TIMED


def _is_unstable(row: RowSummary) -> bool:
    return any(latency.is_unstable for latency in row.latency)


def _why(latency: LatencySummary) -> str:
    reason = next((note.removeprefix("unstable: ") for note in latency.notes if note.startswith("unstable: ")), "")
    return f" ({reason})" if reason else ""


def noisy_machine(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB006: what the guard saw before the run and before its rounds."""
    timed = [row for _, rows in evidence.timed() for row in rows]
    before = _problems(evidence.summary.environment.get("state"))
    if not timed:
        return NOT_TIMED  # scores do not depend on the load
    rounds: dict[str, list[str]] = defaultdict(list)
    n_rounds = 0
    for row in timed:
        for latency in row.latency:
            n_rounds += max(1, len(latency.round_p50))
            for note in latency.notes:
                if match := _BEFORE_ROUND.fullmatch(note):
                    rounds[match[2]].append(row.row)
    names = tuple(dict.fromkeys(name for rows in rounds.values() for name in rows))
    if rounds:
        n_bad = sum(_noisy_rounds(latency) for row in timed for latency in row.latency)
        worst = max(rounds, key=_largest_share)
        which = some(n_bad, n_rounds, "timing round")
        return [Found(f"Noted before {which}; at worst, {worst}.", rows=names)]
    return [Found(f"When the run began, {'; '.join(before)}.")] if before else []


def _noisy_rounds(latency: LatencySummary) -> int:
    return len({match[1] for note in latency.notes if (match := _BEFORE_ROUND.fullmatch(note))})


def _largest_share(problem: str) -> float:
    return max((float(share) for share in re.findall(r"(\d+)%", problem)), default=0.0)


def _problems(state: Any) -> list[str]:
    problems = state.get("problems") if isinstance(state, dict) else None
    return [str(problem) for problem in problems] if isinstance(problems, list) else []


def thread_settings(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB007: rows of one table that were timed with different numbers of threads, asked for or real."""
    found, any_pair = [], False
    for info, rows in evidence.timed():
        any_pair |= len(rows) > 1
        # Machine by machine: all threads of one are not as many as those of another, and they are not compared.
        asked: dict[tuple[str, str, str | None], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for row in rows:
            for one in row.latency:
                asked[one.scenario, one.device, one.machine][row.row].add(one.threads)
        for (scenario, device, machine), by_row in asked.items():
            if len({frozenset(threads) for threads in by_row.values()}) > 1:
                said = [f"{name} with {named([str(n) for n in sorted(threads)])}" for name, threads in by_row.items()]
                where = f"{scenario}, {device}" + (f", machine {machine}" if machine else "")
                text = f"Timed with different numbers of threads ({where}): {named(said)}."
                found.append(Found(text, info.spec, tuple(by_row)))
        found += _real_threads(evidence, info.spec)
    return found if any_pair else NotApplicable("fewer than two rows were timed")


def _real_threads(evidence: Evidence, dataset: str) -> Iterator[Found]:
    """Pools of one library that had different sizes under the same setting of one machine."""
    sizes: dict[tuple[object, ...], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for part in evidence.parts.values():
        cell = part.cell
        if cell.kind == "latency" and cell.dataset == dataset and part.status == "ok":
            pools = (part.metrics.get("effective_threads") or {}).get("pools", {})
            for pool, size in pools.items():
                sizes[cell.scenario, cell.device, cell.machine, cell.threads, pool][size].append(cell.row)
    for (*_, threads, pool), rows in sizes.items():
        if len(rows) > 1:
            said = [f"{size} for {named(rows[size])}" for size in sorted(rows)]
            text = f"Asked for {threads}, the pool of {pool} had different numbers of threads: {named(said)}."
            names = tuple(dict.fromkeys(name for some_rows in rows.values() for name in some_rows))
            yield Found(text, dataset, names)


def keras_overhead(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB009: a Keras network that is called the slow way, or far slower than its own export."""
    found, any_network = [], False
    for info, rows in evidence.timed():
        deep = [row for row in rows if row.family == "deep"]
        slow = [row.row for row in deep if _runtime(row) == "sklearn"]
        if slow:
            text = f"{named(slow)} went through scikit-learn's interface, and so through model.predict."
            found.append(Found(text, info.spec, tuple(slow)))
        plain = [row for row in deep if _runtime(row) == "keras"]
        any_network |= bool(slow or plain)
        for row in plain:
            twins = [one for one in deep if one.pipeline.id.split("@")[0] == row.pipeline.id.split("@")[0]]
            ratios = [(ratio, one) for one in twins if one is not row and (ratio := _ratio(row, one)) is not None]
            if not ratios or (most := max(ratios, key=lambda pair: pair[0]))[0] < FAR_SLOWER:
                continue
            ratio, twin = most
            as_predict = ", as slow as model.predict" if ratio >= AS_PREDICT else ""
            found.append(
                Found(
                    f"{row.row} needs {ms(_classify(row.latency[0]))} to classify a face, "
                    f"{times(ratio)} as long as {twin.row}{as_predict}.",
                    info.spec,
                    (row.row, twin.row),
                    severity="warning" if as_predict else "note",
                )
            )
    return found if any_network else NotApplicable("no network was timed in Keras itself")


def _runtime(row: RowSummary) -> str:
    try:
        return parse_spec(row.pipeline.runtime or "").name
    except FerbenchError:  # a record by another version: its name is no spec of this one
        return ""


def _ratio(slow: RowSummary, fast: RowSummary) -> float | None:
    """How many times longer one row classifies than another under the same condition."""
    for a in slow.latency:
        for b in fast.latency:
            if _condition(a) == _condition(b) and _classify(b) > 0:
                return _classify(a) / _classify(b)
    return None


def _condition(latency: LatencySummary) -> tuple[str, str, int, str, str | None]:
    return latency.scenario, latency.device, latency.threads, latency.frames, latency.machine


def _classify(latency: LatencySummary) -> float:
    stage = latency.stages.get("classify") or latency.stages["total"]
    return stage.p50


def cached_frames(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB019: rows that answer a frame faster when it comes again."""
    tried = [(info, row, one) for info, rows in evidence.timed() for row in rows for one in row.latency if one.repeats]
    if not tried:
        return NotApplicable("no frame was shown twice")
    found: dict[tuple[str, str], Found] = {}
    for info, row, latency in tried:
        again = latency.repeats
        if again is not None and again.is_cached and (info.spec, row.row) not in found:
            text = f"{row.row} needs {ms(again.first_ms)} for a new frame and {ms(again.again_ms)} for "
            text += f"the same frame again ({again.n_pairs} pairs, p {again.p:.2g})."
            found[info.spec, row.row] = Found(text, info.spec, (row.row,))
    return list(found.values())


def too_many_threads(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB020: rows whose process used more threads than they asked for."""
    watched = [(info, row, one) for info, rows in evidence.timed() for row in rows for one in row.latency if one.usage]
    if not watched:
        return NotApplicable("threads were not watched")
    found: dict[tuple[str, str], Found] = {}
    for info, row, latency in watched:
        if latency.usage is not None and latency.usage.problem and (info.spec, row.row) not in found:
            asked = "1 thread" if latency.threads == 1 else f"{latency.threads} threads"
            text = f"{row.row} was to keep to {asked}: {latency.usage.problem.rstrip('.')}."
            found[info.spec, row.row] = Found(text, info.spec, (row.row,))
    return list(found.values())
