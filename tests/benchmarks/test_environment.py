"""The captured environment: complete, plain data, light, and with a fingerprint that stays."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from ferbench.benchmarks import environment
from ferbench.benchmarks.environment import capture_environment, find_gpus, machine_fingerprint, package_versions


def test_environment_is_plain_data_with_all_that_moves_a_timing() -> None:
    captured = json.loads(json.dumps(capture_environment()))
    assert captured["cpu"]["model"]
    assert captured["cpu"]["cores_available"] >= 1
    assert captured["ram_gib"] > 0
    assert captured["os"]["system"] == platform.system()
    assert captured["python"]["version"] == platform.python_version()
    assert captured["packages"]["numpy"]
    assert captured["fingerprint"] == machine_fingerprint()
    assert {"load_per_core", "governor", "free_mib", "problems"} <= set(captured["state"])
    assert {"cores", "pools", "environment"} == set(captured["threads"])


def test_versions_of_packages_that_are_not_installed_are_left_out() -> None:
    assert list(package_versions(("numpy", "no-such-package-anywhere"))) == ["numpy"]


def test_capturing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ferbench.benchmarks.environment import capture_environment; capture_environment();"
        "print(*{'numpy', 'cv2', 'tensorflow', 'keras', 'sklearn', 'dlib', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_fingerprint_stays_the_same_in_another_process_and_under_another_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = machine_fingerprint()
    assert len(mine) == 12
    assert int(mine, 16) >= 0
    code = "from ferbench.benchmarks.environment import machine_fingerprint; print(machine_fingerprint())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == mine
    monkeypatch.setattr(platform, "release", lambda: "99.9")
    assert machine_fingerprint() == mine
    monkeypatch.setattr(platform, "machine", lambda: "another-architecture")
    assert machine_fingerprint() != mine


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for nvidia-smi")
def test_gpus_are_those_that_the_driver_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB, 570.1'\n")
    tool.chmod(0o755)
    without = machine_fingerprint()
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin")
    find_gpus.cache_clear()
    try:
        assert find_gpus() == ({"name": "NVIDIA H200", "memory": "143771 MiB", "driver": "570.1"},)
        assert machine_fingerprint() != without
        # The tool without a working driver is a machine without a GPU.
        tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
        find_gpus.cache_clear()
        assert find_gpus() == ()
    finally:
        find_gpus.cache_clear()


def test_revision_is_that_of_the_checkout_and_says_whether_it_was_changed(tmp_path: Path) -> None:
    package = tmp_path / "ferbench" / "benchmarks"
    package.mkdir(parents=True)
    (package / "x.py").write_text("1")
    assert environment._git_state(package) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    clean = environment._git_state(package)
    assert clean is not None
    assert len(clean["revision"]) == 40
    assert not clean["is_dirty"]
    (package / "x.py").write_text("2")
    changed = environment._git_state(package)
    assert changed == clean | {"is_dirty": True}
    # Installed into a virtual environment inside somebody's repository: that is not our revision.
    inside = tmp_path / "venv" / "ferbench" / "benchmarks"
    inside.mkdir(parents=True)
    assert environment._git_state(inside) is None
