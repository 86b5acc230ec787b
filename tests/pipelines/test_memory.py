"""Live recognition runs for days: memory must not grow with the number of faces."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.alone

LIMIT_MIB = 5

_CODE = """
import numpy as np
from ferbench.pipelines import load_pipeline

def resident_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

pipeline = load_pipeline("tiny")
crops = np.random.default_rng(0).integers(0, 256, (64, 48, 48), np.uint8)
call = {call}
for i in range(500):
    call(i % 64)
before, seen = resident_mib(), []
for i in range(20_000):
    call(i % 64)
    if i % 1000 == 999:
        seen.append(resident_mib() - before)
print(*(f"{{mib:.2f}}" for mib in seen))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from /proc")
@pytest.mark.parametrize(
    "call",
    ["lambda i: pipeline.classify(crops[i : i + 1])", "lambda i: pipeline.process([crops[i]], detector_bypassed=True)"],
    ids=["classify", "process"],
)
def test_twenty_thousand_faces_leave_memory_as_it_was(call: str) -> None:
    code = _CODE.format(call=call)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    grown = [float(mib) for mib in done.stdout.split()]
    assert len(grown) == 20
    assert max(map(abs, grown)) < LIMIT_MIB, grown
