"""On what was this measured? Machine, operating system, Python, package versions, threads, load, code revision.

Nothing heavy is imported: versions come from package metadata, the GPU from ``nvidia-smi``.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ferbench.benchmarks.guard import machine_state
from ferbench.benchmarks.threads import available_cores, effective_threads

__all__ = ["KEY_PACKAGES", "capture_environment", "find_gpus", "machine_fingerprint", "package_versions"]

KEY_PACKAGES = (
    "ferbench",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "scikit-image",
    "opencv-contrib-python",
    "dlib-bin",
    "dlib",
    "tensorflow",
    "keras",
    "jax",
    "torch",
    "ai-edge-litert",
    "onnxruntime",
    "onnx",
    "skops",
    "joblib",
    "dask",
    "matplotlib",
    "pyarrow",
    "pydantic",
)
"""Distributions whose versions can move a result; those installed are recorded."""

# Instruction sets that vector code is chosen by; the other hundred CPU flags move no timing here.
_FLAGS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_tile", "neon", "asimd", "sve")


def package_versions(names: tuple[str, ...] = KEY_PACKAGES) -> dict[str, str]:
    """Installed versions of distributions, read from their metadata; those not installed are left out."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def find_gpus() -> tuple[dict[str, str], ...]:
    """NVIDIA GPUs that the driver lists: name, memory, driver version. Empty where there are none."""
    if shutil.which("nvidia-smi") is None:
        return ()
    fields = ("name", "memory.total", "driver_version")
    query = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=15, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()  # The tool without a working driver is a machine without a usable GPU.
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.splitlines() if line.strip()]
    names = ("name", "memory", "driver")
    return tuple(dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names))


@cache
def _cpu() -> dict[str, Any]:
    import cpuinfo
    import psutil

    info = cpuinfo.get_cpu_info()
    flags = set(info.get("flags", ()))
    return {
        "model": info.get("brand_raw") or platform.processor() or "unknown",
        "vendor": info.get("vendor_id_raw"),
        "family_model_stepping": [info.get(key) for key in ("family", "model", "stepping")],
        "cores_logical": psutil.cpu_count(logical=True),
        "cores_physical": psutil.cpu_count(logical=False),
        "vector_instructions": [flag for flag in _FLAGS if flag in flags],
        "advertised_hz": info.get("hz_advertised_friendly"),
        "has_hypervisor_flag": "hypervisor" in flags,
    }


def machine_fingerprint() -> str:
    """12 hex digits that name this kind of machine: CPU model, cores, operating system, architecture, GPU.

    Stable over reboots and over kernel and driver updates: timings under one fingerprint may stand in one table.
    """
    cpu = _cpu()
    facts = (
        cpu["model"],
        *cpu["family_model_stepping"],
        cpu["cores_logical"],
        available_cores(),
        platform.system(),
        platform.machine(),
        *(gpu["name"] for gpu in find_gpus()),
    )
    return hashlib.sha256("|".join(map(str, facts)).encode()).hexdigest()[:12]


def capture_environment() -> dict[str, Any]:
    """Everything about this machine and installation that a reader needs to judge a result, as plain JSON data.

    Returns
    -------
    dict
        ``fingerprint``, ``cpu``, ``gpus``, ``ram_gib``, ``os``, ``virtualised`` (None, or by what it shows),
        ``python``, ``packages``, ``threads``, ``state`` (load, governor, battery, free memory) and ``git`` (revision
        and whether files were changed; None outside a repository).
    """
    import psutil

    cpu = _cpu()
    return {
        "fingerprint": machine_fingerprint(),
        "cpu": cpu | {"cores_available": available_cores()},
        "gpus": list(find_gpus()),
        "ram_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "os": {
            "system": platform.system(),
            "release": platform.release(),
            "architecture": platform.machine(),
            "distribution": _distribution(),
        },
        "virtualised": _virtualised(cpu["has_hypervisor_flag"]),
        "python": {"version": platform.python_version(), "implementation": platform.python_implementation()},
        "packages": package_versions(),
        "threads": effective_threads(),
        "state": machine_state().to_dict(),
        "git": _git_state(Path(__file__).resolve().parent),
    }


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:  # not Linux, or a Linux without /etc/os-release
        return None


def _virtualised(has_hypervisor_flag: bool) -> str | None:
    """By what this machine shows that it is not bare metal; None if nothing shows it."""
    signs = []
    if has_hypervisor_flag:
        signs.append("hypervisor CPU flag")
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or "container" in os.environ:
        signs.append("container")
    product = Path("/sys/class/dmi/id/product_name")
    try:
        name = product.read_text().strip()
    except OSError:
        name = ""
    if any(word in name.lower() for word in ("virtual", "kvm", "vmware", "qemu", "hvm", "compute engine")):
        signs.append(name)
    return ", ".join(signs) or None


def _git_state(folder: Path) -> dict[str, Any] | None:
    """Revision of the checkout that ``ferbench`` runs from; None for an installed package or without git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        # A package in somebody else's repository (a virtual environment inside it) is not that revision.
        if Path(git("rev-parse", "--show-toplevel")).resolve() != folder.parents[1]:
            return None
        return {"revision": git("rev-parse", "HEAD"), "is_dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
