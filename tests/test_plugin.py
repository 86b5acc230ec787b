"""The example package of components: it installs, is listed, trains, is saved and loaded, and passes its own tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package in it, installed by pip, apart from this environment."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(EXAMPLE, folder / "source")
    arguments = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(folder / "site")]
    subprocess.run([sys.executable, "-m", "pip", *arguments, str(source)], check=True, timeout=300)
    return folder


def call(installed: Path, *arguments: str, with_package: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | ({"PYTHONPATH": str(installed / "site")} if with_package else {}),
        cwd=installed,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_it_is_listed_with_its_package(installed: Path) -> None:
    listed = call(installed, "-m", "ferbench", "list", "features").stdout
    assert "gradient-means" in listed
    assert "ferbench-gradients" in listed


def test_its_components_train_are_saved_and_loaded(installed: Path) -> None:
    pipeline, data = "centre/gradient-means/nearest-mean", ["--dataset", "stripes"]
    done = call(installed, "-m", "ferbench", "train", pipeline, *data, "--out", "mine")
    assert done.returncode == 0, done.stderr
    done = call(installed, "-m", "ferbench", "evaluate", "mine", *data)
    assert done.returncode == 0, done.stderr
    assert "90 faces" in done.stdout
    evaluate = ["-m", "ferbench", "evaluate", "mine", "--dataset", "synthetic"]
    alone = call(installed, *evaluate, with_package=False)
    assert alone.returncode == 2
    assert "centre" in alone.stderr
    assert "Traceback" not in alone.stderr


def test_its_own_tests_pass(installed: Path) -> None:
    done = call(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(installed / "source" / "tests"))
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
