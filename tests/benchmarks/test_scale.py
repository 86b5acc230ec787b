"""What the harness costs: over a bare script, and a cell of thousands against one of a hundred."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ferbench.benchmarks.runner import RunOptions, make_plan, open_run, run_plan
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.datasets import load_dataset
from ferbench.pipelines import make_pipeline

pytestmark = pytest.mark.slow

SIMULATE = Path(__file__).with_name("simulate.py")
SUITE = """\
schema: 1
name: scale
seed: 3
datasets:
  - {{name: "{data}"}}
pipelines:
  - {{id: forest, features: pixels, classifier: random-forest}}
  - {{id: texture, features: lbp(grid=7), classifier: rbf-svm}}
scenarios: []
"""


@pytest.mark.alone
def test_the_harness_costs_at_most_a_tenth_more_than_a_bare_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cpu_seconds(number: int, n_train: int) -> tuple[float, float]:
        """Of a bare script, and of the harness."""
        # A cache of its own: features are computed, not found. The faces lie in it before either clock runs.
        cache, drawn = tmp_path / f"cache-{number}", tmp_path / f"drawn-{n_train}"
        data = f"synthetic(kind=crops, n_train={n_train}, n_val=0, n_test=70)"
        if not drawn.exists():
            monkeypatch.setenv("FERBENCH_CACHE", str(drawn))
            load_dataset(data, "train"), load_dataset(data, "test")
        shutil.copytree(drawn, cache)
        monkeypatch.setenv("FERBENCH_CACHE", str(cache))
        text = SUITE.format(data=data)
        plan = make_plan(parse_suite(text), None)
        train, test = load_dataset(data, "train"), load_dataset(data, "test")
        started = time.process_time()
        for name in ("whole-image/pixels/random-forest", "whole-image/lbp(grid=7)/rbf-svm"):
            pipeline = make_pipeline(name).fit(train)
            (np.array(pipeline.labels)[pipeline.classify(test.images).argmax(axis=1)] == test.labels).mean()
            pipeline.save(tmp_path / f"bare-{time.monotonic_ns()}")
        bare = time.process_time() - started
        options = RunOptions(runs=tmp_path / f"runs-{number}")
        started = time.process_time()
        outcome = run_plan(plan, open_run(plan, options, text), options, "ferbench run scale")
        assert outcome.n_done == 4
        return bare, time.process_time() - started

    cpu_seconds(0, n_train=14)  # imports
    pairs = [cpu_seconds(number, n_train=420) for number in range(1, 9)]
    ratio = min(harness for _, harness in pairs) / min(bare for bare, _ in pairs)
    # A tenth is the aim; the rest is for a busy machine. Intervals and tests are part of what the harness adds.
    print(f"harness / bare script: {ratio:.3f}")
    assert min(bare for bare, _ in pairs) > 1, f"too little work to tell: {pairs}"
    assert ratio < 1.10 + 0.05, pairs


def test_a_cell_costs_no_more_in_a_run_of_a_thousand() -> None:
    """CPU seconds to plan, to find that nothing is to do, and to report; ten thousand: tests/benchmarks/simulate.py."""
    # In a process of its own, for its peak memory; the first hundred cells import what all of them need.
    command = [sys.executable, SIMULATE, "--cells", "100", "100", "1000"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    _, hundred, thousand = map(json.loads, lines)
    for step in ("plan_s", "resume_s", "report_s"):
        ratio = thousand[step] / (10 * hundred[step])
        print(f"{step}: {hundred[step]:.3f} s, {thousand[step]:.3f} s, a cell {ratio:.2f} times as long")
        assert thousand[step] < 1.25 * 10 * hundred[step] + 0.2, (hundred, thousand)
    assert thousand["peak_mib"] < 1024
