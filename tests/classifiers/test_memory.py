"""Live recognition runs for days: no runtime's memory may grow with the number of calls."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferbench.pipelines import make_pipeline
from tests.pipelines.conftest import striped_crops

pytestmark = pytest.mark.alone

LIMIT_MIB = 5
CALLS = 20_000
RUNTIMES = ("sklearn", "litert", "onnx", "opencv", "keras")

_CODE = """
import sys
import numpy as np
from ferbench.pipelines import load_pipeline

def resident_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

pipeline = load_pipeline(sys.argv[1], runtime=sys.argv[2])
crops = np.random.default_rng(0).integers(0, 256, (64, 48, 48), np.uint8)
for i in range(500):
    pipeline.classify(crops[i % 64 : i % 64 + 1])
before, seen = resident_mib(), []
for i in range(int(sys.argv[3])):
    pipeline.classify(crops[i % 64 : i % 64 + 1])
    if i % 1000 == 999:
        seen.append(resident_mib() - before)
print(*(f"{mib:.2f}" for mib in seen))
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    pytest.importorskip("onnxruntime", reason="needs the onnx extra: pip install 'ferbench[onnx]'")
    small = "se-resnet(width=4, blocks=(1, 1), epochs=1, batch_size=16)"
    made = make_pipeline("whole-image", small, runtime="onnx").fit(*striped_crops(30))
    return made.save(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def classical(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return (
        make_pipeline("whole-image", "hog", "linear-svm").fit(*striped_crops(60)).save(tmp_path_factory.mktemp("hog"))
    )


@pytest.fixture(scope="module")
def measured(network: Path, classical: Path) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """A process for each runtime, all at work at once: memory does not depend on the load."""
    processes = {}
    for runtime in RUNTIMES:
        folder = classical if runtime == "sklearn" else network
        command = [sys.executable, "-c", _CODE, str(folder), runtime, str(CALLS)]
        processes[runtime] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield processes
    for process in processes.values():
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from /proc")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_resident_memory_stays_flat(runtime: str, measured: dict[str, subprocess.Popen[str]]) -> None:
    out, errors = measured[runtime].communicate()
    assert measured[runtime].returncode == 0, errors
    grown = [float(mib) for mib in out.split()]
    assert len(grown) == CALLS // 1000
    assert max(map(abs, grown)) < LIMIT_MIB, grown
