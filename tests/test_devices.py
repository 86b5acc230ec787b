"""Which device a runtime gets: auto takes only a GPU that the runtime itself can use; asking for more is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferbench.contracts import GpuRuntime
from ferbench.devices import Device, choose_device
from ferbench.errors import DeviceError, ParameterError
from ferbench.pipelines import load_pipeline, make_pipeline
from ferbench.registry import create
from tests.pipelines.conftest import striped_crops


class Runtime:
    """A runtime on a machine with the GPUs that it is told of."""

    engine = "somelib"

    def __init__(self, *gpus: str) -> None:
        self.gpus = gpus

    def find_gpus(self) -> tuple[str, ...]:
        return self.gpus

    def prepare(self, fitted: Any, example: Any, *, threads: int = 1, device: str = "cpu") -> Any:
        return lambda crops: np.full((len(crops), 3), 1 / 3, np.float32)


@pytest.mark.parametrize(
    ("wanted", "gpus", "expected"),
    [
        ("auto", ["NVIDIA T4", "NVIDIA L4"], "gpu NVIDIA T4 (somelib)"),
        ("gpu", ["NVIDIA T4"], "gpu NVIDIA T4 (somelib)"),
        ("cpu", ["NVIDIA T4"], "cpu (somelib)"),
        ("auto", [], "cpu (somelib sees no GPU)"),
    ],
)
def test_auto_takes_a_gpu_that_is_really_there(wanted: str, gpus: list[str], expected: str) -> None:
    assert str(choose_device(wanted, Runtime(*gpus), "some")) == expected


def test_a_gpu_that_is_not_there_is_an_error_with_its_way_out() -> None:
    with pytest.raises(DeviceError) as caught:
        choose_device("gpu", Runtime(), "some")
    assert str(caught.value) == (
        "somelib sees no GPU: got device 'gpu', expected 'cpu' or 'auto'; choose one of these, or install a build of "
        "it for your GPU; ferbench doctor lists what each runtime sees"
    )


@pytest.mark.parametrize("name", ["sklearn", "litert"])
def test_a_runtime_of_the_cpu_says_so(name: str) -> None:
    runtime = create("runtimes", name)
    assert not isinstance(runtime, GpuRuntime)
    assert choose_device("auto", runtime, name) == Device("cpu", f"{name} runs on the CPU")
    with pytest.raises(DeviceError, match=f"the {name} runtime runs on the CPU only: got device 'gpu', expected 'cpu'"):
        choose_device("gpu", runtime, name)


@pytest.mark.parametrize("wanted", ["tpu", "cuda", "GPU", "", "gpu:1"])
def test_other_devices_are_unknown(wanted: str) -> None:
    with pytest.raises(ParameterError, match=r"unknown device: got .*, expected 'auto', 'cpu' or 'gpu'"):
        choose_device(wanted, Runtime(), "some")


def test_a_pipeline_knows_its_device_once_it_is_ready() -> None:
    pipeline = make_pipeline("hog", "linear-svm").fit(*striped_crops(30))
    assert pipeline.device is None
    assert str(pipeline.prepare(device="auto").device) == "cpu (sklearn runs on the CPU)"
    with pytest.raises(DeviceError):
        pipeline.prepare(device="gpu")
    with pytest.raises(ParameterError, match="unknown device"):
        pipeline.prepare(device="tpu")
    assert pipeline.fit(*striped_crops(30)).device is None, "of another fit than the session was"


def test_the_shipped_pipeline_loads_with_any_device_but_a_gpu() -> None:
    assert str(load_pipeline("tiny", device="auto").device) == "cpu (litert runs on the CPU)"
    with pytest.raises(DeviceError, match="the litert runtime runs on the CPU only"):
        load_pipeline("tiny", device="gpu")


def test_a_stream_takes_a_device() -> None:
    from ferbench.realtime import stream

    with stream("synthetic(seconds=1, fps=2, size=(200, 150))", device="cpu", max_frames=1) as results:
        assert len(list(results)) == 1
    with pytest.raises(DeviceError, match="litert"):
        stream("synthetic", device="gpu")


SUITE = """\
schema: 1
name: gpu
datasets:
  - {name: "synthetic(kind=crops, n_train=42, n_val=7, n_test=14)", tune: val}
pipelines:
  - {id: hog, features: hog, classifier: linear-svm}
scenarios: [offline(batch=1), offline(batch=8), offline(batch=32), offline(batch=256)]
devices: [cpu(threads=1), gpu]
profiles: {quick: {rounds: 1, warmup: 1, min_frames: 1, min_seconds: 0}}
"""


def test_a_suite_with_a_gpu_axis_loses_only_those_rows_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ferbench.benchmarks import latency
    from ferbench.benchmarks.runner import RunOptions, make_plan, open_run, run_plan
    from ferbench.benchmarks.suite_file import parse_suite

    monkeypatch.setattr(latency, "find_gpus", tuple)
    plan = make_plan(parse_suite(SUITE), None)
    timed = [(cell.device, cell.scenario) for cell in plan.cells if cell.kind == "latency"]
    assert timed == [(d, f"offline(batch={n})") for n in (1, 8, 32, 256) for d in ("cpu", "gpu")]
    options = RunOptions(runs=tmp_path)
    run = open_run(plan, options, SUITE)
    run_plan(plan, run, options, "test")
    parts = [part for part in run.parts().values() if part.cell.kind == "latency"]
    assert {(part.cell.device, part.status) for part in parts} == {("cpu", "ok"), ("gpu", "skipped")}
    for part in parts:
        if part.cell.device == "gpu":
            assert part.error is not None
            assert part.error.type == "DeviceError"
            assert "no GPU on this machine: got device 'gpu'" in part.error.message
