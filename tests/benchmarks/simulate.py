"""A run of thousands of simulated cells: seconds to plan it, to find that nothing is to do, and to report it.

``python tests/benchmarks/simulate.py --cells 10000`` prints a JSON object for each number of cells, and in it how much
longer one cell takes to be reported than with the first number (the first run pays for the imports: give it twice).
Times are CPU seconds of the process, which other programs stretch less than those of a clock. Cells and files are what
a real run writes, with made-up faces and times in them: a row is ten folds (a fit and a quality cell of 50 faces each)
and five latency rounds of 100 frames.
"""

import argparse
import gc
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from ferbench.benchmarks.cells import Cell, Part
from ferbench.benchmarks.facts import DatasetFacts, SplitFacts
from ferbench.benchmarks.plan import Plan, expand
from ferbench.benchmarks.runner import RunOptions, open_run, run_plan
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.suite import Suite
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.benchmarks.worker import peak_rss_mib
from ferbench.reports import build_report

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
N_FOLDS, N_FACES, N_FRAMES, ROUNDS = 10, 50, 100, 5
CELLS_PER_ROW = 2 * N_FOLDS + ROUNDS
SIZES = {100: (1, 4), 1_000: (2, 20), 10_000: (10, 40)}
"""Datasets and pipelines of each number of cells."""


def a_suite(n_cells: int) -> str:
    """Text of a suite; JSON is YAML."""
    n_datasets, n_pipelines = SIZES[n_cells]
    return json.dumps(
        {
            "schema": 1,
            "name": "simulated",
            "datasets": [
                {"name": f"synthetic(kind=crops, n_train=7, n_val=0, n_test=0, seed={i})"}
                | {"protocol": "subject-kfold", "folds": N_FOLDS}
                for i in range(n_datasets)
            ],
            "pipelines": [{"id": "majority", "classifier": "majority"}]
            + [
                {"id": f"knn-{k}", "features": "pixels", "classifier": f"knn(n_neighbors={k})"}
                for k in range(1, n_pipelines)
            ],
            "profiles": {"only": {"rounds": ROUNDS}},
        }
    )


def facts_of(suite: Suite) -> dict[str, DatasetFacts]:
    n = N_FACES * N_FOLDS
    splits = {"all": SplitFacts(n=n, n_subjects=n, class_counts=dict.fromkeys(LABELS, n // len(LABELS)))}
    return {
        entry.name: DatasetFacts(
            spec=entry.name,
            title="Simulated faces",
            kind="crops",
            is_synthetic=True,
            revision=f"{number:016x}",
            licence="none",
            labels=list(LABELS),
            splits=splits,
        )
        for number, entry in enumerate(suite.datasets)
    }


def plan_of(text: str) -> Plan:
    suite = parse_suite(text)
    return expand(suite, None, facts_of(suite), machine="simulated")


def items_of(cell: Cell, generator: np.random.Generator) -> pd.DataFrame:
    truth = np.arange(N_FACES) % len(LABELS)
    skill = np.arange(len(LABELS)) == truth[:, None]
    scores = generator.random((N_FACES, len(LABELS))) + 0.5 * skill * (cell.row != "majority")
    p = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    names = np.array(LABELS, dtype=object)
    return pd.DataFrame(
        {
            "id": [f"face-{cell.fold}-{i}" for i in range(N_FACES)],
            "subject": [f"person-{cell.fold}-{i}" for i in range(N_FACES)],
            "truth": names[truth],
            "predicted": names[p.argmax(axis=1)],
            "detected": True,
            **{f"p_{label}": p[:, i] for i, label in enumerate(LABELS)},
        }
    )


def times_of(generator: np.random.Generator) -> pd.DataFrame:
    total = (1e6 * generator.lognormal(0, 0.1, N_FRAMES)).astype(np.int64)
    return pd.DataFrame(
        {"frame": np.arange(N_FRAMES), "n_faces": 1, "classify_ns": total - 1000, "total_ns": total, "n_frames": 1}
    )


TIMED = {
    "import_s": 1.0,
    "load_s": 0.1,
    "first_call_ms": 3.0,
    "peak_rss_mib": 200.0,
    "n_distinct_frames": N_FRAMES,
    "frames": "48x48 crops, detector bypassed",
    "effective_threads": {},
    "scenario": "single-stream",
    "device": "cpu",
    "threads": 1,
    "n_calls": N_FRAMES,
    "n_frames": N_FRAMES,
    "artefact_bytes": 1000,
    "warmup": 20,
}


def fill(plan: Plan, run: Run) -> None:
    """Do every cell, with the store's own writer but without waiting for the disk: that is not what is measured."""
    generator, wait = np.random.default_rng(0), os.fsync
    os.fsync = lambda descriptor: None
    try:
        for cell in plan.cells:
            metrics, table = {}, None
            if cell.kind == "fit":
                run.save_artefact(cell, lambda folder: folder.mkdir())
                metrics = {"n_train": N_FACES, "n_missed": 0, "fit_seconds": 0.1, "family": "classical"}
            elif cell.kind == "quality":
                table = items_of(cell, generator)
                metrics = {"n": N_FACES, "n_detected": N_FACES, "detector_bypassed": True, "classify_seconds": 0.1}
            else:
                table = times_of(generator)
                metrics = TIMED
            run.write_part(
                Part(cell=cell, status="ok", started="2026-11-20T00:00:00Z", seconds=0.1, metrics=metrics), table
            )
    finally:
        os.fsync = wait


def measure(n_cells: int, folder: Path) -> dict[str, float]:
    """CPU seconds of each step, and the peak resident set in MiB."""
    options, text = RunOptions(runs=folder / "runs"), a_suite(n_cells)
    clock = time.process_time()
    plan = plan_of(text)
    assert len(plan.only()) == len(plan.cells) == n_cells
    planned = time.process_time() - clock
    run = open_run(plan, options, text)
    fill(plan, run)
    clock = time.process_time()
    run_plan(plan, run, options, "simulated")  # nothing to fit or score: it builds the summary
    build_report(run.folder)
    reported = time.process_time() - clock
    gc.collect()
    gc.freeze()  # a command that resumes begins without the objects that the report has left to be looked through
    clock = time.process_time()
    plan = plan_of(text)
    outcome = run_plan(plan, open_run(plan, options, text), options, "simulated")
    resumed = time.process_time() - clock
    gc.unfreeze()
    assert outcome.n_done == 0
    return {"cells": n_cells, "plan_s": planned, "resume_s": resumed, "report_s": reported, "peak_mib": peak_rss_mib()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[10_000], choices=SIZES)
    cost: dict[int, float] = {}
    for n_cells in parser.parse_args().cells:
        with tempfile.TemporaryDirectory() as name:
            measured = measure(n_cells, Path(name))
            cost[n_cells] = measured["report_s"] / n_cells
            measured["a_cell_to_the_first"] = cost[n_cells] / next(iter(cost.values()))
            print(json.dumps({key: round(value, 3) for key, value in measured.items()}), flush=True)
