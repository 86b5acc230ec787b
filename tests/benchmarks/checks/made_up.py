"""Made-up runs, small and sound: each test spoils one thing."""

from __future__ import annotations

from typing import Any

from ferbench.benchmarks.cells import Cell, Part, PipelineSpec
from ferbench.benchmarks.checks.evidence import Evidence
from ferbench.benchmarks.checks.results import CheckResult
from ferbench.benchmarks.checks.table import CHECKS
from ferbench.benchmarks.records import (
    ClassScores,
    Comparison,
    DatasetSummary,
    Estimate,
    LatencySummary,
    QualitySummary,
    RowSummary,
    StageTimes,
    Summary,
)

LABELS = ["happy", "sad"]
COUNTS = {"happy": 60, "sad": 40}


def times(p50: float, n: int = 700, **more: Any) -> StageTimes:
    given: dict[str, Any] = {"n": n, "p50": p50, "mean": p50, "mad": 0.0, "min": p50, "iqr": 0.0}
    return StageTimes(**(given | more))


def latency(p50: float = 1.0, n: int = 700, **more: Any) -> LatencySummary:
    given: dict[str, Any] = {
        "scenario": "single-stream", "device": "cpu", "threads": 1, "frames": "48×48 crops",
        "stages": {"classify": times(p50, n), "total": times(p50, n)}, "throughput_fps": 1000 / p50,
        "faces_per_frame": 1.0, "round_p50": [p50, p50], "is_unstable": False, "import_s": 1.0, "load_s": 0.1,
        "first_call_ms": p50, "peak_rss_mib": 100.0, "artefact_bytes": 1000,
    }  # fmt: skip
    return LatencySummary(**(given | more))


def quality(accuracy: float, **more: Any) -> QualitySummary:
    scores = Estimate(value=accuracy, low=accuracy - 0.05, high=accuracy + 0.05)
    given: dict[str, Any] = {
        "n": 100, "n_detected": 100, "detector_bypassed": False, "detected": {"accuracy": scores},
        "end_to_end": {"accuracy": scores}, "labels": LABELS, "confusion": [[50, 10, 0], [10, 30, 0]], "tie_group": 1,
        "per_class": {x: ClassScores(precision=0.5, recall=0.5, f1=0.5, support=n) for x, n in COUNTS.items()},
        "interval_over": "faces",
    }  # fmt: skip
    return QualitySummary(**(given | more))


def row(
    name: str,
    accuracy: float = 0.8,
    family: str = "classical",
    runtime: str = "sklearn",
    classifier: str = "",
    scored: dict[str, Any] | None = None,
    **more: Any,
) -> RowSummary:
    pipeline = PipelineSpec(detector="haar", classifier=classifier or name, runtime=runtime)
    given: dict[str, Any] = {
        "row": name, "pipeline": pipeline, "family": family, "dataset": "faces", "status": "ok",
        "quality": quality(accuracy, **(scored or {})), "latency": [latency()],
    }  # fmt: skip
    return RowSummary(**(given | more))


def majority() -> RowSummary:
    return row("majority", 0.6, "baseline", latency=[latency(0.01)])


def pair(a: str, b: str, verdict: str, difference: float = 0.1) -> Comparison:
    p = 0.5 if verdict == "tie" else 0.001
    return Comparison.model_validate(
        {"dataset": "faces", "a": a, "b": b, "difference": difference, "p": p, "p_holm": p, "verdict": verdict}
    )


def dataset(**more: Any) -> DatasetSummary:
    given: dict[str, Any] = {
        "spec": "faces", "title": "Faces", "kind": "photos", "is_synthetic": False, "revision": "abc", "licence": "",
        "protocol": "", "n_train": 500, "n_eval": 100, "n_subjects": None, "labels": LABELS, "class_counts": COUNTS,
    }  # fmt: skip
    return DatasetSummary(**(given | more))


def summary(*rows: RowSummary, **more: Any) -> Summary:
    given: dict[str, Any] = {
        "run_id": "r", "suite": "s", "profile": None, "created": "", "command": "", "ferbench_version": "0", "seed": 0,
        "environment": {}, "datasets": [dataset()], "rows": list(rows), "comparisons": [], "n_cells": 1, "n_failed": 0,
        "n_skipped": 0,
    }  # fmt: skip
    return Summary(**(given | more))


def plan(**entry: Any) -> dict[str, Any]:
    """``plan.json`` of a run that learnt from ``train`` and scored ``test``."""
    given = {"name": "faces", "protocol": "splits", "train": "train", "tune": None, "test": "test"}
    return {"suite": {"datasets": [given | entry]}}


def timed_part(name: str, *, pools: dict[str, int] | None = None, machine: str = "m1", threads: int = 1) -> Part:
    cell = Cell(
        kind="latency", row=name, pipeline=PipelineSpec(classifier=name), dataset="faces", revision="abc",
        train_split="train", eval_split="test", scenario="single-stream", threads=threads, machine=machine,
    )  # fmt: skip
    metrics = {"effective_threads": {"pools": pools or {"openblas": 1}}}
    return Part(cell=cell, status="ok", started="", seconds=1.0, metrics=metrics)


def look(code: str, made: Summary, **more: Any) -> CheckResult:
    """Run one check on a summary: ``look("FB001", summary, plan=..., parts=[...], leaks={...})``."""
    parts = {str(i): part for i, part in enumerate(more.pop("parts", []))}
    return CHECKS[code].run(Evidence(made, parts=parts, **more))
