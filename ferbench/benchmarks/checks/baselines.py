"""Checks of what a row is worth: against the baseline, against a simpler pipeline, against chance."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from ferbench.benchmarks.checks.evidence import Evidence, Found, NotApplicable, accuracy
from ferbench.benchmarks.checks.wording import ms, named, percent, points
from ferbench.benchmarks.pairs import ALPHA, is_faster
from ferbench.benchmarks.records import Comparison, DatasetSummary, LatencySummary, RowSummary, both_ways

__all__ = ["difference_within_noise", "no_baseline", "not_better_than_majority", "slower_and_not_better"]

_RANK = {"baseline": 0, "classical": 1, "deep": 2}
Pairs = Mapping[tuple[str, str], Comparison]


def no_baseline(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB001: a data set on which no row ignores the face."""
    scored = [(info, rows) for info, rows in evidence.datasets() if rows]
    if not scored:
        return NotApplicable("nothing was scored")
    return [
        Found(
            f"Always saying the commonest expression would be right on {percent(_majority_share(info))}; no row shows "
            "that under the same protocol.",
            info.spec,
        )
        for info, rows in scored
        if all(row.family != "baseline" for row in rows)
    ]


def not_better_than_majority(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB002: a row that looks at the face and is not shown to beat one that does not."""
    found, any_rival = [], False
    for info, rows in evidence.datasets():
        pairs = both_ways(evidence.summary.comparisons, info.spec)
        baselines = [row for row in rows if row.family == "baseline"]
        rivals = [row for row in rows if row.family != "baseline"]
        any_rival |= bool(rivals)
        weak = [row for row in rivals if not _beats(row, baselines, pairs, _majority_share(info))]
        if weak:
            bar = max([_majority_share(info), *map(accuracy, baselines)])
            said = [f"{row.row} ({percent(accuracy(row))})" for row in weak]
            found.append(
                Found(
                    f"{named(said)} {'are' if len(weak) > 1 else 'is'} not shown to beat {percent(bar)}, which looking "
                    "at no face gives.",
                    info.spec,
                    tuple(row.row for row in weak),
                )
            )
    return found if any_rival else NotApplicable("no row that looks at the face was scored")


def _beats(row: RowSummary, baselines: list[RowSummary], pairs: Pairs, majority: float) -> bool:
    compared = [pairs[row.row, one.row] for one in baselines if (row.row, one.row) in pairs]
    if compared:
        # A baseline on a poor detector is right less often than the commonest expression is: no bar to be proud of.
        return all(one.verdict == "better" for one in compared) and accuracy(row) > majority
    low = row.quality.end_to_end["accuracy"].low if row.quality is not None else None
    return (accuracy(row) if low is None else low) > majority


def slower_and_not_better(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB003: a row that costs more than a simpler one and is not shown to be better."""
    found, any_pair = [], False
    for info, rows in evidence.datasets():
        pairs = both_ways(evidence.summary.comparisons, info.spec)
        rivals = [row for row in rows if row.family != "baseline" and row.latency]
        any_pair |= len(rivals) > 1
        beaten = [(row, best) for row in rivals if (best := _simpler_equal(row, rivals, pairs)) is not None]
        if beaten:
            said = [
                f"{row.row} ({ms(_p50(row, best))}) is no better than {best.row} ({ms(_p50(best, row))})"
                for row, best in beaten
            ]
            found.append(Found(f"{named(said, most=2)}.", info.spec, tuple(row.row for row, _ in beaten)))
    return found if any_pair else NotApplicable("fewer than two rows were scored and timed")


def _simpler_equal(row: RowSummary, rivals: list[RowSummary], pairs: Pairs) -> RowSummary | None:
    """The fastest of the rows that are simpler, clearly faster and not shown to be worse."""
    good = []
    for other in rivals:
        pair = pairs.get((row.row, other.row))
        if pair is None or pair.verdict == "better" or not _is_simpler(other, row):
            continue
        mine, theirs = _p50(row, other), _p50(other, row)
        if is_faster(theirs, mine):
            good.append((theirs, other.row, other))
    return min(good)[2] if good else None


def _is_simpler(a: RowSummary, b: RowSummary) -> bool:
    """Of another family the plainer one; within a family the smaller. Runtimes of one model are no rivals."""
    if _parts(a) == _parts(b):
        return False
    if a.family != b.family:
        return _RANK[a.family] < _RANK[b.family]
    return a.latency[0].artefact_bytes < b.latency[0].artefact_bytes


def _parts(row: RowSummary) -> tuple[str, str | None, str]:
    return row.pipeline.detector, row.pipeline.features, row.pipeline.classifier


def _p50(row: RowSummary, like: RowSummary) -> float:
    """Median frame in ms under the first condition that both rows were timed in; infinite where there is none."""
    theirs = {_condition(one) for one in like.latency}
    return next((one.stages["total"].p50 for one in row.latency if _condition(one) in theirs), float("inf"))


def _condition(latency: LatencySummary) -> tuple[str, str, int, str, str | None]:
    return latency.scenario, latency.device, latency.threads, latency.frames, latency.machine


def difference_within_noise(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB015: rows that share the first place, and how many neighbours of the table cannot be told apart."""
    found, any_pair = [], False
    for info, rows in evidence.datasets():
        pairs = both_ways(evidence.summary.comparisons, info.spec)
        neighbours = [(a, b) for a, b in pairwise(rows) if (a.row, b.row) in pairs]
        any_pair |= bool(neighbours)
        ties = [(a, b) for a, b in neighbours if pairs[a.row, b.row].verdict == "tie"]
        if not ties:
            continue
        largest = max(accuracy(a) - accuracy(b) for a, b in ties)
        n = rows[0].quality.n if rows[0].quality is not None else 0
        first = [one for one in rows if _group(one) == _group(rows[0])]
        lead = f" First place is shared by {named([one.row for one in first])}." if len(first) > 1 else ""
        lead += _too_few_people(rows, sum(one.dataset == info.spec for one in evidence.summary.comparisons), info)
        found.append(
            Found(
                f"{len(ties)} of {len(neighbours)} neighbours in the table cannot be told apart on {n:,} faces, by up "
                f"to {points(largest)}.{lead}",
                info.spec,
                tuple(dict.fromkeys(one.row for pair in ties for one in pair)),
            )
        )
    return found if any_pair else NotApplicable("no two rows were compared")


def _too_few_people(rows: list[RowSummary], n_pairs: int, info: DatasetSummary) -> str:
    """Where so few people are scored that exchanges of whole people can tell nothing apart after Holm's correction."""
    n = info.n_subjects
    if n is None or all(row.quality is None or row.quality.interval_over != "subjects" for row in rows):
        return ""
    if n_pairs * 2.0 ** (1 - n) < ALPHA:
        return ""
    return f" No pair could have been: {n} people are too few for {n_pairs} comparisons, however large the difference."


def _group(row: RowSummary) -> int | None:
    return row.quality.tie_group if row.quality is not None else None


def _majority_share(info: DatasetSummary) -> float:
    total = sum(info.class_counts.values())
    return max(info.class_counts.values()) / total if total else 0.0
