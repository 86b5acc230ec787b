"""How much sooner two workers have done the quality cells of a suite than one, on this machine.

``python tests/benchmarks/two_workers.py`` prints one JSON object: wall seconds of the cells (workers' start included)
with one worker and with two, the median of each, and their ratio; the same of the whole command. One and two take
turns, each time in fresh processes, with a cache of their own and one thread a worker. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ferbench.benchmarks.threads import thread_environment

SUITE = """\
schema: 1
name: two-workers
seed: 3
datasets:
  - {{name: "synthetic(kind=crops, n_train={faces}, n_val=0, n_test=0)", protocol: subject-kfold, folds: 6}}
pipelines:
  - {{id: majority, classifier: majority}}
  - {{id: hog-rbf-svm, features: hog, classifier: rbf-svm}}
  - {{id: lbp-rbf-svm, features: lbp(grid=7), classifier: rbf-svm}}
  - {{id: pixels-rbf-svm, features: pixels, classifier: rbf-svm}}
  - {{id: pixels-forest, features: pixels, classifier: random-forest}}
scenarios: []
profiles: {{only: {{rounds: 1}}}}
"""


def work(folder: Path, faces: int, n_workers: int) -> None:
    """One run, in this process and ``n_workers``; prints the seconds of its cells."""
    from ferbench.benchmarks.estimate import estimate_cell
    from ferbench.benchmarks.jobs import Workers, run_jobs
    from ferbench.benchmarks.runner import RunOptions, make_plan, open_run, run_plan
    from ferbench.benchmarks.suite_file import parse_suite

    text = SUITE.format(faces=faces)
    plan = make_plan(parse_suite(text), None)  # draws the faces
    options = RunOptions(runs=folder, jobs=n_workers)
    run = open_run(plan, options, text)
    clock = time.perf_counter()
    parts = list(run_jobs(run, plan.cells, Workers(n_workers), lambda cell: estimate_cell(cell, plan)))
    seconds = time.perf_counter() - clock
    assert [part.status for part in parts] == ["ok"] * len(plan.cells), "a cell failed"
    run_plan(plan, run, options, "two workers")  # the tables
    print(json.dumps({"cells_s": seconds, "work_s": sum(part.seconds for part in parts)}))


def measure(faces: int, turns: int) -> dict[str, object]:
    """Seconds of one worker and of two, in turn."""
    seconds: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for turn in range(turns):
        for n_workers in (1, 2) if turn % 2 == 0 else (2, 1):
            with tempfile.TemporaryDirectory() as name:
                clock = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, __file__, "--faces", str(faces), "--work", name, str(n_workers)],
                    env=os.environ | thread_environment(1) | {"FERBENCH_CACHE": f"{name}/cache"},
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                whole = time.perf_counter() - clock
            seconds[n_workers].append(json.loads(done.stdout.splitlines()[-1]) | {"whole_s": whole})
    result: dict[str, object] = {}
    for what in ("cells_s", "whole_s"):
        medians = [statistics.median(one[what] for one in seconds[n]) for n in (1, 2)]
        result[what] = {
            "one": round(medians[0], 2),
            "two": round(medians[1], 2),
            "ratio": round(medians[0] / medians[1], 3),
            "all": {n: [round(one[what], 2) for one in seconds[n]] for n in (1, 2)},
        }
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=2_100)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--work", nargs=2, metavar=("FOLDER", "WORKERS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(Path(arguments.work[0]), arguments.faces, int(arguments.work[1]))
    else:
        print(json.dumps(measure(arguments.faces, arguments.turns)))
