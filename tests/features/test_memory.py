"""Features of all of FER2013's training faces must fit into 1.5 GiB, everything included."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIMIT_MIB = 1536

_CODE = """
import sys
import numpy as np
from pathlib import Path
from ferbench.registry import create
crops = np.random.default_rng(0).integers(0, 256, (28_709, 48, 48), np.uint8)
rows = create("features", sys.argv[1]).fit_transform(crops)
assert rows.shape[0] == 28_709 and rows.dtype == np.float32
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
@pytest.mark.parametrize("spec", ["lbp", "hog(cell=6)", "pixels"])
def test_features_of_fer2013_fit_into_memory(spec: str) -> None:
    done = subprocess.run([sys.executable, "-c", _CODE, spec], capture_output=True, text=True, check=True)
    assert float(done.stdout) < LIMIT_MIB
