"""Two runs against each other: the same faces row by row, and latencies where the conditions are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferbench.benchmarks.checks.models import differing_environments
from ferbench.benchmarks.compare_quality import judge_quality, quality_measures
from ferbench.benchmarks.compare_records import MARGIN, Measure, RunComparison, Verdict, unjudged
from ferbench.benchmarks.compare_side import Side
from ferbench.benchmarks.latency_ratio import compare_rounds
from ferbench.benchmarks.pairs import ALPHA
from ferbench.benchmarks.records import LatencySummary, RowSummary, Summary
from ferbench.errors import ParameterError, RunError, UnknownNameError

__all__ = ["compare_runs"]


def compare_runs(
    a: str | Path,
    b: str | Path,
    *,
    a_rows: Sequence[str] = (),
    b_rows: Sequence[str] = (),
    margin: float = MARGIN,
) -> RunComparison:
    """Compare run b with run a, row by row on each dataset that both used.

    Accuracy and macro F1 (end to end) are compared on the faces that both scored: exact McNemar, or exchanges of whole
    subjects, and a paired bootstrap; Holm's correction over all of them. Latencies are compared by
    :func:`~ferbench.benchmarks.latency_ratio.compare_rounds` where machine, scenario, device, threads and frames are
    the same, at a level that leaves 5 % for all of them.

    Parameters
    ----------
    a, b : path
        Run folders.
    a_rows, b_rows : sequences of str
        Names of rows to pair, in order; by default the rows of one name.
    margin : float
        A share; quality ties where the 95 % interval of the difference is within it.

    Raises
    ------
    RunError
        If a folder is no finished run, a dataset has different revisions in the two, or they have nothing in common.
    ParameterError
        If ``a_rows`` and ``b_rows`` differ in length, or the margin is not a share.
    UnknownNameError
        If a run has no row of a given name.
    """
    if len(a_rows) != len(b_rows):
        raise ParameterError(
            "rows cannot be paired", got=f"{len(a_rows)} of A and {len(b_rows)} of B", expected="as many of each"
        )
    if not 0 <= margin < 1:
        raise ParameterError("the margin is a share of the faces", got=margin, expected="0 to 1, such as 0.01")
    left, right = Side.open(a), Side.open(b)
    _check_revisions(left.summary, right.summary)
    pairs = _pairs(left, right, a_rows, b_rows)
    if not pairs:
        raise RunError(
            "the runs have no row of one name on one dataset",
            got=f"{_named(left.summary)} and {_named(right.summary)}",
            fix="pair rows with --a-row and --b-row",
        )
    seed = left.summary.seed
    quality = [one for mine, theirs in pairs for one in quality_measures(mine, theirs, left.scored, right.scored, seed)]
    timed = [one for pair in pairs for one in _conditions(left, right, *pair)]
    measures = judge_quality(quality, margin) + _timed(left, right, timed)
    order = {(mine.dataset, mine.row, theirs.row): i for i, (mine, theirs) in enumerate(pairs)}
    measures.sort(key=lambda one: order[one.dataset, one.a_row, one.b_row])
    return RunComparison(
        a=left.facts(a),
        b=right.facts(b),
        verdict=_overall([one.verdict for one in measures]),
        measures=measures,
        warnings=_warnings(left.summary, right.summary),
        notes=list(_notes(left, right, pairs)),
        margin=margin,
    )


def _overall(verdicts: Sequence[Verdict]) -> Verdict:
    for verdict in ("worse", "better"):
        if verdict in verdicts:
            return verdict
    return "tie" if verdicts and all(one == "tie" for one in verdicts) else "cannot tell"


def _named(summary: Summary) -> str:
    return ", ".join(dict.fromkeys(row.row for row in summary.rows)) or "no row"


def _check_revisions(a: Summary, b: Summary) -> None:
    revisions = {one.spec: one.revision for one in a.datasets}
    for one in b.datasets:
        if revisions.get(one.spec, one.revision) != one.revision:
            raise RunError(
                f"the runs scored different data under the name {one.spec}",
                got=f"revisions {revisions[one.spec]} and {one.revision}",
                fix="run both on the same files",
            )


def _pairs(
    left: Side, right: Side, a_rows: Sequence[str], b_rows: Sequence[str]
) -> list[tuple[RowSummary, RowSummary]]:
    mine, theirs = left.rows(), right.rows()
    for rows, asked, name in ((mine, a_rows, "A"), (theirs, b_rows, "B")):
        known = {row for _, row in rows}
        for row in asked:
            if row not in known:
                raise UnknownNameError(f"row of run {name}:", row, known)
    named = list(zip(a_rows, b_rows, strict=True)) or [(row, row) for row in dict.fromkeys(row for _, row in mine)]
    datasets = list(dict.fromkeys(dataset for dataset, _ in mine))
    return [
        (mine[dataset, one], theirs[dataset, other])
        for dataset in datasets
        for one, other in named
        if (dataset, one) in mine and (dataset, other) in theirs
    ]


@dataclass(frozen=True)
class _Timing:
    a: RowSummary
    b: RowSummary
    of_a: LatencySummary | None
    of_b: LatencySummary | None
    reason: str | None = None
    verdict: Verdict = "cannot tell"


_SKIPPED = ("MissingDependencyError", "DeviceError")
"""Errors of timings that were skipped, since something is not there."""


def _conditions(left: Side, right: Side, a: RowSummary, b: RowSummary) -> Iterator[_Timing]:
    """Latencies of a pair that can be compared, and those that cannot, with the reason."""
    machines = [side.summary.environment.get("fingerprint") for side in (left, right)]
    timed_a, timed_b = ([one for one in row.latency if one.fixed_rate is None] for row in (a, b))
    if not timed_a and not timed_b:
        return
    if not timed_a or not timed_b:
        error = b.error if timed_a and machines[0] == machines[1] else None
        if error is not None and error.type not in _SKIPPED:
            # Timings that worked and now fail are worse by any measure.
            yield _Timing(a, b, None, None, f"timing failed in B: {error.message}", "worse")
            return
        yield _Timing(a, b, None, None, f"not timed in {'B' if timed_a else 'A'}")
        return
    if machines[0] != machines[1]:
        yield _Timing(a, b, None, None, f"timed on other machines: {machines[0]} and {machines[1]}")
        return
    by_condition = {_condition(one): one for one in timed_b}
    for one in timed_a:
        match = by_condition.pop(_condition(one), None)
        if match is None:
            yield _Timing(a, b, None, None, f"A's {_condition(one)} was not timed in B")
            continue
        busy = [name for name, side in (("A", one), ("B", match)) if any(_BUSY in note for note in side.notes)]
        why = f"other programs used the machine during {' and '.join(busy)}" if busy else None
        warm_up = left.warm_up(a, one), right.warm_up(b, match)
        if all(warm_up) and warm_up[0] != warm_up[1]:
            said = " and ".join(
                f"{', '.join(map(str, n))} frames in {name}" for name, n in zip("AB", warm_up, strict=True)
            )
            why = f"warmed up otherwise: {said}"
        yield _Timing(a, b, one, match, why)
    for condition in by_condition:
        yield _Timing(a, b, None, None, f"B's {condition} was not timed in A")


_BUSY = "other programs use"
"""In notes of the guard: a load that comes and goes between two runs looks like a difference of the rows."""


def _condition(latency: LatencySummary) -> str:
    threads = f"{latency.threads} thread{'s' if latency.threads != 1 else ''}"
    where = f", on machine {latency.machine}" if latency.machine else ""
    return f"{latency.scenario}, {latency.device}, {threads}, {latency.frames}{where}"


def _timed(left: Side, right: Side, timings: Sequence[_Timing]) -> list[Measure]:
    n_compared = sum(one.of_a is not None and one.of_b is not None for one in timings)
    level = 1 - ALPHA / max(n_compared, 1)
    result = []
    for one in timings:
        blank = unjudged(one.a, one.b, "latency", one.reason, one.verdict)
        if one.of_a is None or one.of_b is None:
            result.append(blank)
            continue
        rounds = left.rounds(one.a, one.of_a), right.rounds(one.b, one.of_b)
        ratio = compare_rounds(*rounds, seed=left.summary.seed, level=level)
        result.append(
            blank.model_copy(
                update={
                    "condition": _condition(one.of_a), "a": ratio.a_ms, "b": ratio.b_ms, "difference": ratio.ratio,
                    "low": ratio.low, "high": ratio.high, "n": sum(map(len, rounds[1])),
                    "verdict": "cannot tell" if one.reason else ratio.verdict, "reason": one.reason or ratio.reason,
                }
            )
        )  # fmt: skip
    return result


def _warnings(a: Summary, b: Summary) -> list[str]:
    facts = [fact for fact in differing_environments(a.environment, b.environment) if not fact.startswith("revision ")]
    found = [f"other environments: {'; '.join(facts)}"] if facts else []
    protocols = {one.spec: one.protocol for one in a.datasets}
    found += [
        f"other protocols on {one.spec}: A: {protocols[one.spec]} B: {one.protocol}"
        for one in b.datasets
        if protocols.get(one.spec, one.protocol) != one.protocol
    ]
    if a.seed != b.seed:
        found.append(f"other seeds, which decide subsets, folds and trainings: {a.seed} in A, {b.seed} in B")
    dirty = [name for name, one in (("A", a), ("B", b)) if (one.environment.get("git") or {}).get("is_dirty")]
    if dirty:
        found.append(f"ferbench had changes that were not committed in {' and '.join(dirty)}")
    return found


def _notes(left: Side, right: Side, pairs: Sequence[tuple[RowSummary, RowSummary]]) -> Iterator[str]:
    used = {(side, row.dataset, row.row) for pair in pairs for side, row in zip("AB", pair, strict=True)}
    for name, side in (("A", left), ("B", right)):
        alone = [f"{row.row} on {row.dataset}" for row in side.summary.rows if (name, row.dataset, row.row) not in used]
        if alone:
            yield f"in {name} alone, or not paired: {', '.join(alone)}"
    kinds = {
        "fixed rates": any(latency.fixed_rate for pair in pairs for row in pair for latency in row.latency),
        "spoilt faces": left.summary.robustness or right.summary.robustness,
        "other data sets": left.summary.transfers or right.summary.transfers,
    }
    if left_out := [kind for kind, is_there in kinds.items() if is_there]:
        yield f"not compared, see the reports: {', '.join(left_out)}"
    for a, b in pairs:
        if a.row == b.row and a.pipeline != b.pipeline:
            yield f"{a.row} on {a.dataset} is another pipeline in B: {b.pipeline.id}, not {a.pipeline.id}"
        if a.quality is not None and b.quality is not None and a.quality.n != b.quality.n:
            counts = f"{a.quality.n:,} faces in A, {b.quality.n:,} in B"
            yield f"{b.row} on {b.dataset}: {counts}; those in both are compared"
