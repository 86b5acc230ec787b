"""One context for every format: the summary, ordered and joined as a reader needs it, with nothing recomputed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ferbench.benchmarks.checks.faces import MIN_SUPPORT
from ferbench.benchmarks.checks.gather import check_stored
from ferbench.benchmarks.records import (
    STAGES,
    Comparison,
    DatasetSummary,
    Estimate,
    LatencySummary,
    QualitySummary,
    RowSummary,
    StageTimes,
    Summary,
    both_ways,
)
from ferbench.errors import RunError
from ferbench.reports.checks import ChecksView, checks_view
from ferbench.reports.machine import EnvironmentTable, environment_of
from ferbench.reports.pareto import pareto_front
from ferbench.reports.shifts import dataset_names

__all__ = [
    "FAMILIES",
    "MIN_FRAMES",
    "MIN_SUPPORT",
    "Condition",
    "DatasetView",
    "ReportContext",
    "RowView",
    "StageBar",
    "best_first",
    "build_context",
    "percentile",
]

FAMILIES = ("baseline", "classical", "deep")

MIN_FRAMES = {"p50": 1, "p90": 64, "p95": 130, "p99": 662}
"""Frames that a percentile needs before it is printed; the counts of MLPerf's LoadGen."""

Condition = tuple[str, str, int, str]
"""What makes two latencies comparable: scenario, device, threads, frames (and the machine, where there are several)."""


def percentile(times: StageTimes | None, name: str) -> float | None:
    """A percentile in ms, or None where it was not measured or too few frames carry it."""
    if times is None or times.n < MIN_FRAMES[name]:
        return None
    value: float | None = getattr(times, name)
    return value


@dataclass(frozen=True)
class StageBar:
    """Median milliseconds per frame of one row, stage by stage.

    Medians, because one hiccup of the machine would stretch a mean. They need not add up: ``other`` is what the median
    of the whole frame holds besides them, where that is positive.
    """

    row: RowView
    latency: LatencySummary
    stages: tuple[tuple[str, float], ...]

    @property
    def total(self) -> float:
        """Median end-to-end milliseconds per frame; the sum of the stages where there is no such clock."""
        total = self.latency.stages.get("total")
        return total.p50 if total else sum(ms for _, ms in self.stages)


@dataclass(frozen=True)
class RowView:
    """One line of a leaderboard with its place in it.

    Attributes
    ----------
    record : RowSummary
        The numbers.
    anchor : str
        Fragment identifier of the line in the page.
    rank : int or None
        Place by end-to-end accuracy, 1 is the best; None for a row that was not scored.
    latency : LatencySummary or None
        Its cost under the leaderboard's condition.
    is_on_front : bool
        Whether no other row is both faster and more often right.
    """

    record: RowSummary
    anchor: str
    rank: int | None
    latency: LatencySummary | None
    is_on_front: bool = False

    @property
    def name(self) -> str:
        """The row's id in the suite."""
        return self.record.row

    @property
    def spec(self) -> str | None:
        """The pipeline's full id where the row has another name."""
        return self.record.pipeline.id if self.record.pipeline.id != self.record.row else None

    @property
    def quality(self) -> QualitySummary | None:
        """Scores, or None for a row without."""
        return self.record.quality

    @property
    def accuracy(self) -> Estimate | None:
        """End-to-end accuracy: a missed face is wrong."""
        return self.quality.end_to_end.get("accuracy") if self.quality else None

    @property
    def total(self) -> StageTimes | None:
        """End-to-end times under the leaderboard's condition."""
        return self.latency.stages.get("total") if self.latency else None

    @property
    def p50(self) -> float | None:
        """Median end-to-end milliseconds per frame."""
        return percentile(self.total, "p50")

    @property
    def detection_rate(self) -> float | None:
        """Share of faces found; None where the detector was bypassed."""
        quality = self.quality
        if quality is None or quality.detector_bypassed or quality.n == 0:
            return None
        return quality.n_detected / quality.n

    @property
    def timing_error(self) -> str | None:
        """Why some of the timing is missing, for a row whose scores stand; None where nothing is."""
        error = self.record.error
        if self.record.status != "ok" or error is None:
            return None
        return f"{error.type}: {error.message}"

    def detected(self, metric: str) -> Estimate | None:
        """A metric on the faces that were found."""
        return self.quality.detected.get(metric) if self.quality else None

    def end_to_end(self, metric: str) -> Estimate | None:
        """A metric over all faces, a missed one counted wrong."""
        return self.quality.end_to_end.get(metric) if self.quality else None


@dataclass(frozen=True)
class DatasetView:
    """Everything a report says about one dataset.

    Attributes
    ----------
    info : DatasetSummary
        What was used and how.
    anchor : str
        Fragment identifier of the dataset in the page.
    rows : tuple of RowView
        Scored rows, best first, then the others.
    condition : Condition or None
        Under which the leaderboard's latencies were taken: the one that most rows share.
    comparisons : dict
        ``{(a, b): Comparison}`` in both directions, differences and verdicts seen from ``a``.
    """

    info: DatasetSummary
    anchor: str
    rows: tuple[RowView, ...]
    condition: Condition | None
    comparisons: dict[tuple[str, str], Comparison]

    @property
    def scored(self) -> list[RowView]:
        """Rows with an accuracy, best first."""
        return [row for row in self.rows if row.rank is not None]

    @property
    def published(self) -> list[RowView]:
        """Scored rows beside which their authors' figures can stand, best first."""
        return [row for row in self.scored if row.record.published is not None]

    @property
    def front(self) -> list[RowView]:
        """Rows of the Pareto front, fastest first."""
        return sorted((row for row in self.rows if row.is_on_front), key=lambda row: row.p50 or 0.0)

    @property
    def is_bypassed(self) -> bool:
        """Whether no row ran its detector, because the dataset is made of crops."""
        qualities = [row.quality for row in self.rows if row.quality]
        return bool(qualities) and all(quality.detector_bypassed for quality in qualities)

    @property
    def chance(self) -> float | None:
        """Accuracy of guessing evenly among the expressions that the scored faces show."""
        return 1 / self.n_shown if self.n_shown else None

    @property
    def n_shown(self) -> int:
        """How many expressions the scored faces show: two of the seven, in a folder of happy and sad."""
        return sum(count > 0 for count in self.info.class_counts.values())

    @property
    def majority_share(self) -> float | None:
        """Accuracy of always guessing the commonest class."""
        total = sum(self.info.class_counts.values())
        return max(self.info.class_counts.values()) / total if total else None

    @property
    def annotators(self) -> Estimate | None:
        """How often one human annotator agrees with the plurality of the others on these faces; None if not known."""
        return self.info.evidence.annotators if self.info.evidence else None

    @property
    def interval_over(self) -> str:
        """What the intervals resample: ``faces`` or ``subjects``."""
        return " and ".join(dict.fromkeys(row.quality.interval_over for row in self.scored if row.quality))

    @property
    def labels(self) -> list[str]:
        """Class names in the order of the tables."""
        return list(dict.fromkeys(label for row in self.scored if row.quality for label in row.quality.labels))

    def support(self, label: str) -> int | None:
        """Scored faces of a class."""
        for row in self.scored:
            if row.quality and label in row.quality.per_class:
                return row.quality.per_class[label].support
        return None

    def row_notes(self) -> list[tuple[RowView, str]]:
        """What must stand by single rows: timing that failed, settings that were found, what pretrained ones learnt."""
        failed = "⚠ at least one timing round failed, the latency is of the others or missing"
        notes = [(row, f"{failed} ({row.timing_error})") for row in self.rows if row.timing_error]
        notes += [(row, f"tuned: {row.record.searches[0].text}") for row in self.rows if len(row.record.searches) == 1]
        came = ((row, row.record.pretrained) for row in self.rows)
        return notes + [(row, f"pretrained: {one.text}") for row, one in came if one is not None]

    @property
    def tuned(self) -> list[RowView]:
        """Rows whose settings were searched for; of those that run one fit on several runtimes the first."""
        rows: list[RowView] = []
        for row in self.rows:
            if row.record.searches and row.record.searches not in [one.record.searches for one in rows]:
                rows.append(row)
        return rows

    def timing_notes(self) -> dict[str, list[str]]:
        """What the clock noted, with the names of the rows that it concerns."""
        notes: dict[str, list[str]] = {}
        for row in self.rows:
            for note in dict.fromkeys(note for latency in row.record.latency for note in latency.notes):
                notes.setdefault(note, []).append(row.name)
        return notes

    def stage_bars(self) -> Iterator[tuple[Condition, list[StageBar]]]:
        """Per-stage costs, one group for each condition, fastest row first."""
        groups: dict[Condition, list[StageBar]] = {}
        for row in self.rows:
            for latency in row.record.latency:
                groups.setdefault(condition_of(latency), []).append(_stage_bar(row, latency))
        for condition, bars in groups.items():
            yield condition, sorted(bars, key=lambda bar: bar.total)


@dataclass(frozen=True)
class ReportContext:
    """What the templates see.

    Attributes
    ----------
    summary : Summary
        The run as stored.
    datasets : tuple of DatasetView
        In the order of the suite.
    environment : tuple of EnvironmentTable
        The machine, flattened for reading.
    checks : ChecksView
        What a reader must know before trusting a number.
    """

    summary: Summary
    datasets: tuple[DatasetView, ...]
    environment: tuple[EnvironmentTable, ...]
    checks: ChecksView

    @property
    def is_synthetic(self) -> bool:
        """Whether any dataset is made of generated faces."""
        return any(view.info.is_synthetic for view in self.datasets)

    @property
    def synthetic_text(self) -> str:
        """How much of the run is generated: what the title says."""
        return "synthetic faces" if all(view.info.is_synthetic for view in self.datasets) else "in part synthetic faces"

    @property
    def incomplete(self) -> list[RowView]:
        """Rows that failed, were skipped, or carry an error."""
        rows = [row for view in self.datasets for row in view.rows]
        return [row for row in rows if row.record.status != "ok" or row.record.error]

    @property
    def checks_headline(self) -> str:
        """What the checks found; where they found nothing, also what they had nothing to look at of."""
        if self.checks.findings or self.is_whole:
            return self.checks.headline
        n_rows, n_cells = len(self.incomplete), self.summary.n_failed + self.summary.n_missing
        missing = f"{n_rows} row{'s' * (n_rows > 1)}" if n_rows else f"{n_cells} cell{'s' * (n_cells > 1)}"
        return f"nothing in what was measured; {missing} failed or incomplete"

    @property
    def is_whole(self) -> bool:
        """Whether every planned cell was done, and none failed."""
        return not (self.incomplete or self.summary.n_failed or self.summary.n_missing)

    @property
    def unfinished_text(self) -> str:
        """What became of the cells of a run of which no row is incomplete."""
        summary = self.summary
        if summary.n_missing:
            return f"Not all was done ({summary.cells_text}): rows or timings were left out, or the run was stopped."
        if summary.n_failed or summary.n_skipped:
            return f"Every row was scored: {summary.cells_text}."
        return f"None: all {summary.n_cells:,} cells finished."

    @property
    def is_tuned(self) -> bool:
        """Whether the settings of any row were searched for."""
        return any(view.tuned for view in self.datasets)

    @property
    def families(self) -> list[str]:
        """Families that occur, in a fixed order."""
        present = {row.record.family for view in self.datasets for row in view.rows}
        return [family for family in FAMILIES if family in present]

    @property
    def pipelines(self) -> dict[str, str]:
        """The full pipeline id of every row name."""
        return {row.name: row.record.pipeline.id for view in self.datasets for row in view.rows}


def condition_of(latency: LatencySummary) -> Condition:
    """The condition under which a latency was taken."""
    where = f"; on machine {latency.machine}" if latency.machine else ""
    return (latency.scenario, latency.device, latency.threads, latency.frames + where)


def build_context(summary: Summary, ignore: Sequence[str] = ()) -> ReportContext:
    """Order and join a summary for reading; one that was never checked is checked by what it holds.

    Parameters
    ----------
    summary : Summary
    ignore : sequence of str
        Codes of checks to leave out; the page says so.

    Raises
    ------
    RunError
        If a row or a comparison names a dataset or a row that the summary does not describe.
    """
    summary = check_stored(summary)
    known = {info.spec for info in summary.datasets}
    for record in summary.rows:
        if record.dataset not in known:
            raise RunError(
                f"the summary of {summary.run_id} is damaged",
                got=f"row {record.row!r} on the undescribed dataset {record.dataset!r}",
                expected=f"one of {', '.join(sorted(known)) or 'no dataset at all'}",
                fix="delete summary.json and run 'ferbench run' again",
            )
    # Two data sets of one title are told apart by what differs in their parameters.
    names = dataset_names(summary)
    datasets = [info.model_copy(update={"title": names[info.spec]}) for info in summary.datasets]
    summary = summary.model_copy(update={"datasets": datasets})
    views = tuple(_dataset_view(summary, info, i) for i, info in enumerate(summary.datasets, start=1))
    return ReportContext(summary, views, environment_of(summary), checks_view(summary, ignore))


def _dataset_view(summary: Summary, info: DatasetSummary, number: int) -> DatasetView:
    records = [record for record in summary.rows if record.dataset == info.spec]
    condition = _main_condition(records)
    n_scored = sum(_accuracy(record) is not None for record in records)
    rows = [
        RowView(
            record,
            anchor=f"d{number}-r{i}",
            rank=i if i <= n_scored else None,
            latency=next((one for one in record.latency if condition_of(one) == condition), None),
        )
        for i, record in enumerate(best_first(records), start=1)
    ]
    # A baseline that never looks at the face would hold the fast end of every front and recommend itself.
    rivals = [row for row in rows if row.rank and row.p50 is not None and row.record.family != "baseline"]
    chosen = {rivals[i].anchor for i in pareto_front([(r.p50 or 0.0, r.accuracy.value) for r in rivals if r.accuracy])}
    return DatasetView(
        info,
        anchor=f"d{number}",
        rows=tuple(_with_front(row, row.anchor in chosen) for row in rows),
        condition=condition,
        comparisons=both_ways(summary.comparisons, info.spec),
    )


def _with_front(row: RowView, is_on_front: bool) -> RowView:
    return RowView(row.record, row.anchor, row.rank, row.latency, is_on_front)


def _accuracy(record: RowSummary) -> Estimate | None:
    return record.quality.end_to_end.get("accuracy") if record.quality else None


def best_first(records: Sequence[RowSummary]) -> list[RowSummary]:
    """Rows of one data set in the order of every table: scored ones by accuracy, then the others as they come."""
    scored = [record for record in records if _accuracy(record) is not None]
    return sorted(scored, key=_by_accuracy) + [record for record in records if _accuracy(record) is None]


def _by_accuracy(record: RowSummary) -> tuple[float, float, float, str]:
    """Most accurate first; of equals, such as one network on two runtimes, the fastest."""
    accuracy = _accuracy(record)
    macro_f1 = record.quality.end_to_end.get("macro_f1") if record.quality else None
    fastest = min((latency.stages["total"].p50 for latency in record.latency), default=float("inf"))
    return (-(accuracy.value if accuracy else 0.0), -(macro_f1.value if macro_f1 else 0.0), fastest, record.row)


def _main_condition(records: list[RowSummary]) -> Condition | None:
    """The condition that most rows share; among equals a single stream on one CPU thread."""
    counts = Counter(condition_of(latency) for record in records for latency in record.latency)
    if not counts:
        return None

    def preference(condition: Condition) -> tuple[int, bool, bool, int, str]:
        scenario, device, threads, frames = condition
        return (-counts[condition], scenario != "single-stream", device != "cpu", threads, frames)

    return min(counts, key=preference)


def _stage_bar(row: RowView, latency: LatencySummary) -> StageBar:
    stages = [(name, latency.stages[name].p50) for name in STAGES if name != "total" and name in latency.stages]
    total = latency.stages.get("total")
    rest = total.p50 - sum(ms for _, ms in stages) if total else 0.0
    if total and rest > 0.005 * total.p50:
        stages.append(("other", rest))
    return StageBar(row, latency, tuple(stages))
