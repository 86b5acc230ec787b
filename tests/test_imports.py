"""The import budget: what starts fast stays fast, and listing loads no framework."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.alone

HEAVY = {"tensorflow", "keras", "sklearn", "dlib", "torch", "jax", "matplotlib", "cv2"}


def modules_after(code: str) -> set[str]:
    """Names of the top-level modules that a fresh interpreter has loaded after running some code."""
    program = f"import sys, io\nout, sys.stdout = sys.stdout, io.StringIO()\n{code}\nprint(*sys.modules, file=out)"
    text = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return {name.partition(".")[0] for name in text.split()}


def test_importing_ferbench_takes_less_than_three_tenths_of_a_second():
    program = "import time; start = time.perf_counter(); import ferbench; print(time.perf_counter() - start)"
    seconds = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(seconds) < 0.3


def test_importing_ferbench_loads_nothing_heavier_than_numpy():
    assert not modules_after("import ferbench") & (HEAVY | {"pandas", "scipy", "pydantic"})


@pytest.mark.parametrize(
    "what", ["detectors", "features", "classifiers", "runtimes", "datasets", "pipelines", "suites"]
)
def test_listing_loads_no_framework(what):
    loaded = modules_after(f"from ferbench.cli import main\nassert main(['list', {what!r}]) == 0")
    assert not loaded & HEAVY


@pytest.mark.parametrize("package", ["ferbench", "ferbench.realtime"])
def test_every_public_name_resolves(package):
    from importlib import import_module

    module = import_module(package)
    assert set(dir(module)) >= set(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name
