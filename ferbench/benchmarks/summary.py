"""From parts and tables to the :class:`~ferbench.benchmarks.records.Summary` that reports are built from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from ferbench.benchmarks.annotators import agreement_estimate
from ferbench.benchmarks.cells import Cell, CellError, Part, Status
from ferbench.benchmarks.checks.gather import checked
from ferbench.benchmarks.evidence import DatasetEvidence
from ferbench.benchmarks.facts import DatasetFacts
from ferbench.benchmarks.metrics import class_scores
from ferbench.benchmarks.pairs import Scored, compare_rows, omnibus, tie_numbers
from ferbench.benchmarks.plan import Plan
from ferbench.benchmarks.records import (
    ClassScores,
    DatasetSummary,
    Estimate,
    LatencySummary,
    Pretrained,
    PublishedFigures,
    QualitySummary,
    RowSummary,
    Summary,
)
from ferbench.benchmarks.robustness_summary import summarise_robustness
from ferbench.benchmarks.searches import SearchSummary
from ferbench.benchmarks.significance import friedman_nemenyi
from ferbench.benchmarks.statistics import bootstrap
from ferbench.benchmarks.store import Run, utc_now, write_atomically
from ferbench.benchmarks.suite_entries import DatasetEntry
from ferbench.benchmarks.summary_file import summary_bytes
from ferbench.benchmarks.timing_summary import summarise_latency
from ferbench.benchmarks.transfer_summary import generalisation, summarise_transfers
from ferbench.labels import find_permuted_labels
from ferbench.specs import parse_spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["build_summary", "summarise_quality", "write_summary"]


def write_summary(run: Run, plan: Plan, command: str) -> Summary:
    """Build the summary and store it, with ``results.parquet`` beside it."""
    summary = build_summary(run, plan, command)
    content = summary_bytes(summary)
    write_atomically(run.folder / "results.parquet", results_table(summary).to_parquet(index=False))
    write_atomically(run.folder / "summary.json", content)
    return summary


def build_summary(run: Run, plan: Plan, command: str) -> Summary:
    """Pool folds and rounds, score each row with intervals, compare rows on the same faces.

    Parameters
    ----------
    run : Run
        Its parts may be incomplete: rows of which nothing was done are left out.
    plan : Plan
    command : str
        What a user types to do it again.
    """
    parts = run.parts()
    mine = [cell for cell in plan.cells if cell.id in parts]
    datasets, rows, comparisons = [], [], []
    for entry in plan.suite.datasets:
        cells = [cell for cell in mine if cell.dataset == entry.name]
        here = _rows_of(run, plan, parts, cells)
        scored = [row.scored for row in here if row.scored is not None]
        pairs, ranks = compare_rows(entry.name, scored, plan.suite.seed)
        groups = tie_numbers(scored, pairs)
        rows += [row.summary(groups.get(row.name, 1)) for row in here]
        comparisons += pairs
        evidence = DatasetEvidence(
            omnibus=omnibus(scored), ranks=ranks, annotators=_annotators(scored, plan.suite.seed)
        )
        datasets.append(_dataset_summary(plan, entry, plan.facts[entry.name], here, evidence))
    statuses = Counter(parts[cell.id].status for cell in mine)
    transfers = summarise_transfers(run, plan, parts)
    summary = Summary(
        run_id=run.id,
        suite=plan.suite.name,
        profile=plan.profile_name,
        description=plan.suite.description,
        created=utc_now(),
        command=command,
        ferbench_version=version("ferbench"),
        seed=plan.suite.seed,
        environment=run.read_json("environment.json"),
        environments=run.environments(),
        datasets=datasets,
        rows=rows,
        comparisons=comparisons,
        n_cells=len(plan.cells),
        n_failed=statuses["failed"],
        n_skipped=statuses["skipped"],
        n_missing=len(plan.cells) - len(mine),
        across=friedman_nemenyi(_accuracies(rows)),
        robustness=summarise_robustness(run, plan, parts),
        transfers=transfers,
        generalisation=generalisation(transfers),
    )
    return checked(summary, plan, parts)


def _accuracies(rows: Sequence[RowSummary]) -> dict[str, dict[str, float]]:
    """End-to-end accuracy of each scored row, by data set."""
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row.quality is not None:
            table[row.dataset][row.row] = row.quality.end_to_end["accuracy"].value
    return table


def _annotators(rows: Sequence[Scored], seed: int) -> Estimate | None:
    """How often one annotator agrees with the others on the faces of the first row, where their votes are known."""
    if not rows or "annotators" not in rows[0].items:
        return None
    return agreement_estimate(rows[0].items["annotators"].to_numpy(dtype=np.float64), seed)


@dataclass
class _Row:
    """A row while it is being put together."""

    name: str
    cell: Cell
    family: Any
    status: Status
    error: CellError | None
    scored: Scored | None
    bypassed: bool
    latency: list[LatencySummary]
    fit: list[Part]
    agreement: dict[str, Any] | None
    pretrained: Pretrained | None
    published: PublishedFigures | None
    seed: int

    def summary(self, tie_group: int) -> RowSummary:
        fitted = [part.metrics for part in self.fit if part.status == "ok"]
        return RowSummary(
            row=self.name,
            pipeline=self.cell.pipeline,
            family=self.family,
            dataset=self.cell.dataset,
            status=self.status,
            error=self.error,
            quality=None
            if self.scored is None
            else _quality(self.scored, detector_bypassed=self.bypassed, seed=self.seed, tie_group=tie_group),
            latency=self.latency,
            confidence=None if self.scored is None else self.scored.confidence(self.seed),
            fit_seconds=float(np.mean([m["fit_seconds"] for m in fitted])) if fitted else None,
            n_train=round(float(np.mean([m["n_train"] for m in fitted])))
            if fitted
            else self.pretrained.n
            if self.pretrained
            else None,
            searches=[SearchSummary.model_validate(m["search"]) for m in fitted if "search" in m],
            pretrained=self.pretrained,
            published=self.published,
            agreement=self.agreement,
        )


def _rows_of(run: Run, plan: Plan, parts: Mapping[str, Part], cells: Sequence[Cell]) -> list[_Row]:
    quality: dict[str, list[Cell]] = defaultdict(list)
    timed: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.kind in ("quality", "latency"):
            (quality if cell.kind == "quality" else timed)[cell.row].append(cell)
    dataset = cells[0].dataset if cells else None
    planned = Counter(cell.row for cell in plan.cells if cell.kind == "quality" and cell.dataset == dataset)
    return [_row(run, plan, parts, scored, timed[name], planned[name]) for name, scored in quality.items()]


def _row(
    run: Run, plan: Plan, parts: Mapping[str, Part], scored: Sequence[Cell], timed: Sequence[Cell], n_planned: int
) -> _Row:
    first = scored[0]
    published = plan.published.get(first.row)
    outcomes = [parts[cell.id] for cell in scored]
    bad = [part for part in outcomes if part.status != "ok"]
    status: Status = "ok"
    error = None
    if bad:
        status, error = bad[0].status, bad[0].error
    elif missing := n_planned - len(outcomes):
        status = "skipped"
        error = CellError(type="Incomplete", message=f"{missing} of {n_planned} folds are not done yet")
    faces = Scored.of_folds(first.row, *run.pooled_items([c.id for c in scored])) if status == "ok" else None
    agreements = [part.metrics["agreement"] for part in outcomes if "agreement" in part.metrics]
    failed_rounds = [parts[cell.id] for cell in timed if parts[cell.id].status != "ok"]
    if status == "ok" and failed_rounds:
        # Its quality stands; the row says what timing it could not give.
        error = failed_rounds[0].error
    return _Row(
        name=first.row,
        cell=first,
        family=plan.families[first.row],
        status=status,
        error=error,
        scored=faces,
        bypassed=all(part.metrics.get("detector_bypassed", False) for part in outcomes),
        latency=_latency(run, parts, timed, names_machine=len(plan.machines) > 1),
        fit=[parts[fit] for cell in scored if (fit := str(cell.options.get("fit"))) in parts],
        agreement=_pool_agreement(agreements),
        pretrained=plan.saved[first.row].record() if first.row in plan.saved else None,
        published=published if published and published.figures.dataset == parse_spec(first.dataset).name else None,
        seed=plan.suite.seed,
    )


def _pool_agreement(folds: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """One statement for all folds: the worst difference, all flips."""
    if not folds:
        return None
    return {
        **folds[0],
        "max_abs_difference": max(fold["max_abs_difference"] for fold in folds),
        "flips": sum(fold["flips"] for fold in folds),
        "n": sum(fold["n"] for fold in folds),
    }


def _latency(
    run: Run, parts: Mapping[str, Part], timed: Sequence[Cell], *, names_machine: bool
) -> list[LatencySummary]:
    settings: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in timed:
        if parts[cell.id].status == "ok":
            settings[cell.scenario, cell.device, cell.threads, cell.machine].append(cell)
    timings = []
    for rounds in settings.values():
        ordered = sorted(rounds, key=lambda c: c.round or 0)
        timing = summarise_latency([(parts[c.id].metrics, run.times(c.id)) for c in ordered])
        timings.append(timing.model_copy(update={"machine": rounds[0].machine}) if names_machine else timing)
    return timings


def summarise_quality(
    items: pd.DataFrame, labels: list[str], *, detector_bypassed: bool, seed: int, tie_group: int
) -> QualitySummary:
    """Every metric of a table of faces, with intervals.

    Parameters
    ----------
    items : DataFrame
        One row per face: ``id``, ``subject``, ``truth``, ``predicted`` (empty where missed), ``detected``,
        ``p_<label>``.
    labels : list of str
        Expressions in the order of the confusion matrix.
    detector_bypassed : bool
        The images were crops.
    seed : int
        Seed of the bootstrap.
    tie_group : int
        Number of the group of rows that cannot be told apart.
    """
    return _quality(Scored("", items, labels), detector_bypassed=detector_bypassed, seed=seed, tie_group=tie_group)


def _quality(scored: Scored, *, detector_bypassed: bool, seed: int, tie_group: int) -> QualitySummary:
    items, labels, sums = scored.items, scored.labels, scored.sums
    estimates = bootstrap(sums, seed=seed)
    confusion = sums.confusion.sum(axis=0).astype(np.int64)
    scores = class_scores(confusion)
    permuted = find_permuted_labels(confusion[:, :-1], labels)
    return QualitySummary(
        n=len(items),
        n_detected=int(items["detected"].sum()),
        detector_bypassed=detector_bypassed,
        detected=estimates["detected"],
        end_to_end=estimates["end_to_end"],
        per_class={
            label: ClassScores(precision=p, recall=r, f1=f1, support=support)
            for label, (p, r, f1, support) in zip(labels, scores, strict=True)
        },
        labels=labels,
        confusion=confusion.tolist(),
        tie_group=tie_group,
        interval_over="faces" if items["subject"].isna().any() else "subjects",
        permuted_labels=None if permuted is None else str(permuted),
    )


def _dataset_summary(
    plan: Plan, entry: DatasetEntry, facts: DatasetFacts, rows: Sequence[_Row], evidence: DatasetEvidence
) -> DatasetSummary:
    scored = next((row.scored.items for row in rows if row.scored is not None), None)
    split = facts.splits["all" if entry.protocol == "subject-kfold" else entry.test]
    counts = split.class_counts if scored is None else Counter(scored["truth"].tolist())
    subjects = split.n_subjects
    if scored is not None and not scored["subject"].isna().any():
        subjects = int(scored["subject"].nunique())
    is_fitting = any(pipeline.saved is None for pipeline in plan.suite.pipelines)
    is_fitting = is_fitting and entry.protocol != "subject-kfold"
    n_train = facts.splits[entry.train].n if is_fitting and entry.train is not None else None
    if n_train is not None:
        n_train = min([n_train, *(n for n in (plan.profile.limit, plan.profile.train_limit) if n is not None)])
    return DatasetSummary(
        spec=facts.spec,
        title=facts.title,
        kind=facts.kind,
        is_synthetic=facts.is_synthetic,
        revision=facts.revision,
        licence=facts.licence,
        protocol=_protocol(plan, entry, facts),
        n_train=n_train,
        n_eval=split.n if scored is None else len(scored),
        n_subjects=subjects,
        labels=facts.labels,
        class_counts={label: int(counts.get(label, 0)) for label in facts.labels},
        evidence=evidence,
    )


def _protocol(plan: Plan, entry: DatasetEntry, facts: DatasetFacts) -> str:
    budget = plan.profile
    limits: tuple[str, ...] = ("limit", "train_limit", "test_limit")
    if entry.protocol == "subject-kfold":
        limits = ("limit",)  # folds are made of one cut: the others do not apply
        n_folds = budget.folds or entry.folds
        sentences = [
            f"{n_folds} subject-independent folds: no person is in training and test, and every face is scored once."
        ]
    elif all(pipeline.saved is not None for pipeline in plan.suite.pipelines):
        limits = ("limit", "test_limit")
        sentences = [f"Scored on the split {entry.test!r}; nothing was trained here, every pipeline came trained."]
    elif entry.train is None:
        sentences = [f"Nothing learns from it; pipelines that learnt elsewhere are scored on {entry.test!r}."]
    else:
        sentences = [f"Trained on the split {entry.train!r}, scored on {entry.test!r}."]
        if plan.saved:
            sentences.append("Pretrained rows say what they were trained on.")
        if entry.tune is not None:
            sentences.append(f"Settings may be chosen on {entry.tune!r} only.")
    cut = {k: v for k, v in budget.model_dump().items() if k in limits and v}
    if cut:
        said = ", ".join(f"{k.replace('_', ' ')} {v:,}" for k, v in cut.items())
        sentences.append(f"Subsets with each class in its proportion ({said} faces).")
    if facts.kind == "crops":
        sentences.append("The images are face crops: the detector is bypassed.")
    else:
        sentences.append(
            "Photographs: training takes the largest face that the detector finds, a missed face is counted wrong."
        )
    return " ".join(sentences)


def results_table(summary: Summary) -> pd.DataFrame:
    """One line per row of the leaderboard, flat: what spreadsheets want."""
    import pandas as pd

    lines = []
    for row in summary.rows:
        line: dict[str, Any] = {
            "row": row.row,
            "pipeline": row.pipeline.id,
            "family": row.family,
            "dataset": row.dataset,
            "status": row.status,
            "error": None if row.error is None else f"{row.error.type}: {row.error.message}",
            "n_train": row.n_train,
            "fit_seconds": row.fit_seconds,
            "tuned": "; ".join(search.text for search in row.searches) or None,
            "pretrained": None if row.pretrained is None else row.pretrained.text,
        }
        if row.quality is not None:
            line |= {"n": row.quality.n, "n_detected": row.quality.n_detected, "tie_group": row.quality.tie_group}
            for part, metrics in (("detected", row.quality.detected), ("end_to_end", row.quality.end_to_end)):
                for name, estimate in metrics.items():
                    line |= {f"{part}_{name}": estimate.value}
                    line |= {f"{part}_{name}_low": estimate.low, f"{part}_{name}_high": estimate.high}
        for timing in row.latency:
            total = timing.stages["total"]
            prefix = "_".join(filter(None, [timing.scenario, timing.device, f"{timing.threads}t", timing.machine]))
            line |= {f"{prefix}_p50_ms": total.p50, f"{prefix}_p90_ms": total.p90, f"{prefix}_n": total.n}
            if timing.together is not None:
                line[f"{prefix}_together_p50_ms"] = timing.together.p50
            if timing.fixed_rate is not None:
                names = ("hz", "drop_share", "age_p50", "age_p99", "highest_low", "highest_high")
                line |= {f"{prefix}_{name}": getattr(timing.fixed_rate, name) for name in names}
        lines.append(line)
    return pd.DataFrame(lines)
