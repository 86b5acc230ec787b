"""Rows of one dataset against each other, on the same faces: all together, two at a time, and their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.confidence import summarise_confidence
from ferbench.benchmarks.evidence import ConfidenceSummary, FoldTest, OmnibusTest, PairedDifference, RankStability
from ferbench.benchmarks.metrics import Sufficient, confusion_metrics, sufficient
from ferbench.benchmarks.records import Comparison
from ferbench.benchmarks.resampling import (
    METRICS,
    DrawnDifference,
    draw_metrics,
    pairwise_difference,
    rank_stability,
)
from ferbench.benchmarks.significance import cochran_q, corrected_t_test, permutation_q
from ferbench.benchmarks.statistics import holm, paired_test, tie_groups
from ferbench.errors import RunError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ALPHA", "Scored", "compare_rows", "is_faster", "labels_of", "omnibus", "tie_numbers"]

ALPHA = 0.05
"""Family-wise error rate at which two rows count as different."""
LEAST_GAIN = 0.05
"""Share of the time, and below it..."""
LEAST_GAIN_MS = 0.05
"""...milliseconds, that a pipeline must save to count as faster: less is a matter of the day."""

Array = npt.NDArray[np.float64]


def is_faster(ms: float, than: float) -> bool:
    """Whether a time is below another by more than the day's chance can be."""
    return than - ms > max(LEAST_GAIN * than, LEAST_GAIN_MS)


@dataclass(frozen=True)
class Scored:
    """A row and its faces.

    Attributes
    ----------
    name : str
    items : DataFrame
        One row per face: ``id``, ``subject``, ``truth``, ``predicted`` (empty where missed), ``p_<label>``.
    labels : list of str
        Expressions that the row chooses among.
    folds : list of int
        Faces of each fold, in the order of ``items``; empty where there was one split.
    """

    name: str
    items: pd.DataFrame
    labels: list[str]
    folds: list[int] = field(default_factory=list)

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """(N,) bool: which faces are right, end to end."""
        return np.asarray(self.items["predicted"] == self.items["truth"], dtype=bool)

    @cached_property
    def subjects(self) -> npt.NDArray[np.str_] | None:
        """(N,) str: who is shown, where that is known of every face and somebody appears twice."""
        if self.items["subject"].isna().any():
            return None
        subjects = self.items["subject"].to_numpy(dtype=np.str_)
        return None if len(np.unique(subjects)) == len(subjects) else subjects

    @cached_property
    def groups(self) -> npt.NDArray[np.int64]:
        """(N,) int64: the unit of resampling of each face, 0..G-1: subjects where known, otherwise faces."""
        column = "id" if self.items["subject"].isna().any() else "subject"
        return np.unique(self.items[column].astype(str), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def sums(self) -> Sufficient:
        """Sums per group."""
        import pandas as pd

        labels = pd.Index(self.labels)
        truth = labels.get_indexer(pd.Index(self.items["truth"])).astype(np.int64)
        predicted = labels.get_indexer(pd.Index(self.items["predicted"])).astype(np.int64)  # -1 where it is empty
        if (truth < 0).any():
            raise RunError(
                f"faces of {self.name or 'a row'} have a label that it does not know",
                got=str(self.items["truth"].iloc[int((truth < 0).argmax())]),
                expected=", ".join(self.labels),
            )
        return sufficient(truth, predicted, self._probabilities, self.groups)

    @cached_property
    def fold_accuracies(self) -> Array:
        """(J,) float64: end to end; none where there was one split."""
        ends = np.cumsum([0, *self.folds])
        return np.array([self.right[i:j].mean() for i, j in pairwise(ends)])

    @cached_property
    def _probabilities(self) -> Array:
        return self.items[[f"p_{label}" for label in self.labels]].to_numpy(dtype=np.float64)

    @classmethod
    def of_folds(cls, name: str, items: pd.DataFrame, sizes: list[int]) -> Scored:
        """A row from the faces of its folds, or of its one split, and how many there are of each."""
        return cls(name, items, labels_of(items), sizes if len(sizes) > 1 else [])

    def confidence(self, seed: int) -> ConfidenceSummary | None:
        """What its confidence is worth, on the faces that were found."""
        found = self.items["detected"].to_numpy(dtype=bool)
        groups = np.unique(self.groups[found], return_inverse=True)[1].astype(np.int64)
        return summarise_confidence(
            self._probabilities[found].max(axis=1, initial=0.0), self.right[found], groups, seed
        )

    def value(self, metric: str) -> float:
        """An end-to-end metric of all faces."""
        return self._values[metric]

    @cached_property
    def _values(self) -> dict[str, float]:
        metrics = confusion_metrics(self.sums.confusion.sum(axis=0, keepdims=True))
        return {name: float(one[0]) for name, one in metrics.items()}

    def is_on_faces_of(self, other: Scored) -> bool:
        """Whether both were scored on the same faces, in the same order."""
        return self.items["id"].equals(other.items["id"])


def labels_of(items: pd.DataFrame) -> list[str]:
    """Expressions that a row chose among: the data set's, and after them what only a pretrained pipeline knows."""
    return [name.removeprefix("p_") for name in items.columns if name.startswith("p_")]


def omnibus(rows: Sequence[Scored]) -> OmnibusTest | None:
    """Whether rows that were scored on the faces of the first differ at all; None for fewer than three such rows."""
    same = [row for row in rows if row.is_on_faces_of(rows[0])]
    if len(same) < 3:
        return None
    right = np.stack([row.right for row in same], axis=1)
    names = [row.name for row in same]
    if (subjects := same[0].subjects) is not None:
        variance, p = permutation_q(right, subjects, seed=0)
        return OmnibusTest(rows=names, method="permutation", statistic=variance, p=p)
    q, df, p = cochran_q(right)
    return OmnibusTest(rows=names, method="cochran", statistic=q, df=df, p=p)


def compare_rows(dataset: str, rows: Sequence[Scored], seed: int) -> tuple[list[Comparison], RankStability | None]:
    """Paired tests of every pair of rows that were scored on the same faces, Holm's correction for each metric.

    Parameters
    ----------
    dataset : str
    rows : sequence of Scored
    seed : int
        Seed of the bootstrap and of the exchanges.

    Returns
    -------
    comparisons : list of Comparison
    ranks : RankStability or None
        Of the rows that share the faces of the first, by accuracy.
    """
    together = _by_faces(rows)
    draws = {
        row.name: drawn
        for some in together
        for row, drawn in zip(some, draw_metrics([row.sums for row in some], seed=seed), strict=True)
    }
    pairs = [pair for some in together for pair in combinations(some, 2)]
    p_values = [paired_test(a.right, b.right, a.subjects, seed) for a, b in pairs]
    drawn = {
        metric: [
            pairwise_difference(draws[a.name][metric], draws[b.name][metric], len(a.sums.confusion)) for a, b in pairs
        ]
        for metric in METRICS
    }
    f1_holm = holm([one.p for one in drawn["macro_f1"]])
    accuracies = {row.name: row.right.mean() for row in rows}
    result = []
    for (a, b), p, p_holm, drawn_accuracy, drawn_f1, f1_p_holm in zip(
        pairs, p_values, holm(p_values), drawn["accuracy"], drawn["macro_f1"], f1_holm, strict=True
    ):
        difference = float(accuracies[a.name] - accuracies[b.name])
        result.append(
            Comparison(
                dataset=dataset,
                a=a.name,
                b=b.name,
                difference=difference,
                p=p,
                p_holm=p_holm,
                verdict=_verdict(difference, p_holm),
                low=drawn_accuracy.low,
                high=drawn_accuracy.high,
                macro_f1=_f1_difference(a, b, drawn_f1, f1_p_holm),
                folds=_fold_test(a, b),
            )
        )
    return result, _order_of_rows(together[0], draws) if together else None


def _by_faces(rows: Sequence[Scored]) -> list[list[Scored]]:
    """Rows together that were scored on the same faces."""
    groups: list[list[Scored]] = []
    for row in rows:
        mine = next((group for group in groups if row.is_on_faces_of(group[0])), None)
        if mine is None:
            groups.append([row])
        else:
            mine.append(row)
    return groups


def _verdict(difference: float, p_holm: float) -> Literal["better", "worse", "tie"]:
    return "tie" if p_holm >= ALPHA else "better" if difference > 0 else "worse"


def _f1_difference(a: Scored, b: Scored, drawn: DrawnDifference, p_holm: float) -> PairedDifference:
    difference = a.value("macro_f1") - b.value("macro_f1")
    return PairedDifference(
        difference=difference,
        low=drawn.low,
        high=drawn.high,
        p=drawn.p,
        p_holm=p_holm,
        verdict=_verdict(difference, p_holm),
        n_resamples=drawn.n,
    )


def _order_of_rows(rows: Sequence[Scored], draws: dict[str, dict[str, Array]]) -> RankStability | None:
    """How stable the order of rows by accuracy is, from draws on the same resamples."""
    names = [row.name for row in rows]
    return rank_stability(names, [row.value("accuracy") for row in rows], [draws[n]["accuracy"] for n in names])


def _fold_test(a: Scored, b: Scored) -> FoldTest | None:
    """Corrected resampled t-test of the accuracies of two rows over their folds; None without folds."""
    if len(a.folds) < 2 or a.folds != b.folds:
        return None
    n_test = sum(a.folds) / len(a.folds)
    return corrected_t_test((a.fold_accuracies - b.fold_accuracies).tolist(), sum(a.folds) - n_test, n_test)


def tie_numbers(rows: Sequence[Scored], pairs: Sequence[Comparison]) -> dict[str, int]:
    """The group of rows that cannot be told from their best, by name; 1 is the best."""
    ordered = sorted(rows, key=lambda row: -float(row.right.mean()))
    different = {frozenset((pair.a, pair.b)) for pair in pairs if pair.verdict != "tie"}
    return tie_groups([row.name for row in ordered], different)
