"""Thread knobs: what a fresh process gets, and what it has then."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ferbench.benchmarks.threads import (
    THREAD_VARIABLES,
    available_cores,
    resolve_threads,
    session_threads,
    thread_environment,
)
from ferbench.errors import ParameterError

_REPORT = """
import json, sys
from ferbench.benchmarks.threads import apply_threads, effective_threads
for name in sys.argv[2:]:
    __import__(name)
if sys.argv[1] != "-":
    apply_threads(int(sys.argv[1]))
print(json.dumps([effective_threads(), "cv2" in sys.modules, "numpy" in sys.modules]))
"""


def in_fresh_process(apply: str, *modules: str, **environment: str) -> tuple[dict[str, dict[str, int]], bool, bool]:
    clean = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    command = [sys.executable, "-c", _REPORT, apply, *modules]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True, timeout=60)
    report, has_cv2, has_numpy = json.loads(done.stdout)
    return report, has_cv2, has_numpy


def test_environment_holds_a_fresh_process_to_its_threads() -> None:
    report, *_ = in_fresh_process("-", "numpy", "cv2", **thread_environment(1))
    assert report["pools"]
    assert set(report["pools"].values()) == {1}
    assert report["environment"] == dict.fromkeys(THREAD_VARIABLES, "1")


def test_a_call_holds_what_is_loaded_already() -> None:
    report, *_ = in_fresh_process("1", "numpy", "cv2")
    assert report["environment"] == {}
    assert set(report["pools"].values()) == {1}


def test_nothing_is_imported_to_set_its_threads() -> None:
    _, has_cv2, has_numpy = in_fresh_process("1")
    assert not has_cv2
    assert not has_numpy


@pytest.mark.deep
def test_tensorflow_obeys_the_environment() -> None:
    report, *_ = in_fresh_process("-", "tensorflow", TF_CPP_MIN_LOG_LEVEL="3", **thread_environment(1))
    assert report["pools"]["tensorflow intra-op"] == 1


def test_every_variable_is_set_and_operations_run_one_at_a_time() -> None:
    environment = thread_environment(3)
    assert {environment[name] for name in THREAD_VARIABLES if name != "TF_NUM_INTEROP_THREADS"} == {"3"}
    assert environment["TF_NUM_INTEROP_THREADS"] == "1"
    assert session_threads(3)["litert"] == {"num_threads": 3}
    assert session_threads(3)["onnx"]["intra_op_num_threads"] == 3


def test_all_means_the_cores_this_process_may_use() -> None:
    assert resolve_threads("all") == available_cores() >= 1


@pytest.mark.parametrize("threads", [0, -1, True, "many", 1.5])
def test_other_counts_are_refused(threads: object) -> None:
    with pytest.raises(ParameterError, match="not a thread count"):
        resolve_threads(threads)  # type: ignore[arg-type]
