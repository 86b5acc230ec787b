"""Accuracy and macro F1 of two rows of two runs, on the faces that both scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ferbench.benchmarks.compare_records import Measure, Verdict, margin_text, unjudged
from ferbench.benchmarks.pairs import ALPHA, Scored
from ferbench.benchmarks.records import RowSummary
from ferbench.benchmarks.resampling import difference_interval, difference_p, draw_metrics
from ferbench.benchmarks.statistics import holm, paired_test

__all__ = ["judge_quality", "quality_measures"]

Load = Callable[[RowSummary], Scored]


def quality_measures(a: RowSummary, b: RowSummary, load_a: Load, load_b: Load, seed: int) -> Iterator[Measure]:
    """Accuracy and macro F1 of a pair of rows, to be judged together with those of other pairs.

    Parameters
    ----------
    a, b : RowSummary
    load_a, load_b : callables
        Give the faces of a row that was scored.
    seed : int
        Seed of the bootstrap and of the exchanges.
    """
    for name, row, other in (("A", a, b), ("B", b, a)):
        if row.quality is None:
            why = row.error.message if row.error else "no reason was recorded"
            # A pipeline that worked and now fails is worse by any measure; one that is skipped lacks a package.
            is_broken = name == "B" and row.status == "failed" and other.quality is not None
            verdict: Verdict = "worse" if is_broken else "cannot tell"
            yield unjudged(a, b, "accuracy", f"{row.status} in {name}: {why}", verdict)
            return
    first, second, reason = _on_common_faces(load_a(a), load_b(b))
    if reason is not None:
        yield unjudged(a, b, "accuracy", reason)
        return
    drawn, other_drawn = draw_metrics([first.sums, second.sums], seed=seed)
    p_values = {
        "accuracy": paired_test(second.right, first.right, first.subjects, seed),
        "macro_f1": difference_p(other_drawn["macro_f1"] - drawn["macro_f1"], len(first.sums.confusion)),
    }
    for metric, p in p_values.items():
        low, high = difference_interval(other_drawn[metric] - drawn[metric])
        yield unjudged(a, b, metric).model_copy(
            update={
                "a": first.value(metric), "b": second.value(metric), "low": low, "high": high, "p": p,
                "difference": second.value(metric) - first.value(metric), "n": len(first.items),
            }
        )  # fmt: skip


def _on_common_faces(a: Scored, b: Scored) -> tuple[Scored, Scored, str | None]:
    """Both rows on the faces that both scored, in one order; and why that is impossible."""
    mine, theirs = (row.items.set_index("id", drop=False).sort_index() for row in (a, b))
    common = mine.index.intersection(theirs.index)
    if not len(common):
        return a, b, "no face was scored in both runs"
    mine, theirs = mine.loc[common].reset_index(drop=True), theirs.loc[common].reset_index(drop=True)
    if not mine["truth"].equals(theirs["truth"]):
        return a, b, "the same faces have other true labels"
    return Scored(a.name, mine, a.labels), Scored(b.name, theirs, b.labels), None


def judge_quality(measures: Sequence[Measure], margin: float) -> list[Measure]:
    """Verdicts on measures of quality, with Holm's correction over all of them.

    Better or worse where the corrected test says so; a tie where the 95 % interval lies within the margin; otherwise
    nobody can tell. Measures without a p value keep the verdict that they have.
    """
    tested = [one for one in measures if one.p is not None]
    corrected = iter(holm([one.p for one in tested if one.p is not None]))
    result = []
    for one in measures:
        if one.p is None or one.difference is None:
            result.append(one)
            continue
        p_holm = next(corrected)
        verdict: Verdict = "cannot tell"
        reason = None
        if p_holm < ALPHA:
            verdict = "better" if one.difference > 0 else "worse"
        elif one.low is None or one.high is None:
            reason = "all faces are of one person"
        elif -margin <= one.low and one.high <= margin:
            verdict = "tie"
        else:
            reason = f"{one.n:,} faces are too few to rule out a difference of {margin_text(margin)}"
        result.append(one.model_copy(update={"p_holm": p_holm, "verdict": verdict, "reason": reason}))
    return result
