"""What is installed here and does it fit together? Found out without importing TensorFlow, scikit-learn or dlib.

The requirements are read from ferbench's own package metadata, so there is no second list of them to keep in step.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ferbench.benchmarks.environment import capture_environment, package_versions
from ferbench.benchmarks.threads import THREAD_VARIABLES
from ferbench.errors import DatasetNotFoundError, FerbenchError, ModelFileError
from ferbench.registry import Entry, create, entries

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from ferbench.samples import DatasetInfo

__all__ = ["Finding", "State", "inspect_installation"]

State = Literal["ok", "note", "missing", "warning", "broken"]
"""``missing`` is optional and not there; ``broken`` is essential and keeps ferbench from working."""

_PURPOSE = {
    "deep": "train networks, run them in Keras",
    "dlib": "dlib's face detector",
    "landmarks": "68 landmarks, dlib's CNN detector (non-commercial training data)",
    "onnx": "export and run ONNX models",
    "dask": "quality cells on many machines",
    "serve": "the web page and its JSON API",
}

# Other distributions of the same import package; whichever is installed will do.
_EQUIVALENT = {
    "dlib-bin": ("dlib",),
    "tensorflow": ("tensorflow-cpu", "tensorflow-macos"),
    "onnxruntime": ("onnxruntime-gpu",),
    "opencv-contrib-python": ("opencv-contrib-python-headless",),
}
_OPENCV_WHEELS = (
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
)
_OPENCV_FIX = "pip uninstall -y {wheels} && pip install --no-deps '{wanted}'"
_REINSTALL = "install ferbench again, from where it came: a file was changed, or did not arrive"
_HAAR_XML = "haarcascade_frontalface_default.xml"


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis: what was looked at, how it is, and what to do about it."""

    section: str
    name: str
    state: State
    detail: str
    fix: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """As plain JSON data."""
        return asdict(self)


def inspect_installation() -> tuple[list[Finding], dict[str, Any]]:
    """Look at everything; returns the findings, section by section, and the captured environment."""
    findings = [*_python(), *_packages(), *_extras(), *_opencv(), *_models()]
    environment = capture_environment()  # after OpenCV is loaded: its threads are part of it
    return [*findings, *_threads(environment["threads"]), *_machine(environment), *_data()], environment


def _python() -> Iterator[Finding]:
    implementation = f"{platform.python_implementation()} {platform.python_version()}"
    try:
        yield Finding("ferbench", "ferbench", "ok", version("ferbench"))
        wanted = metadata("ferbench")["Requires-Python"]
    except PackageNotFoundError:
        fix = "pip install -e . in the folder with pyproject.toml"
        yield Finding("ferbench", "ferbench", "broken", "runs from source, not installed", fix)
        return
    from packaging.specifiers import SpecifierSet

    if platform.python_version() in SpecifierSet(wanted, prereleases=True):
        yield Finding("ferbench", "Python", "ok", implementation)
    else:
        yield Finding("ferbench", "Python", "broken", f"{implementation}, but {wanted} is needed")


def _requirements(extra: str = "") -> list[Requirement]:
    """What ferbench, or one of its extras, asks for on this platform; extras made of extras are resolved."""
    from packaging.requirements import Requirement

    try:
        declared = [Requirement(line) for line in requires("ferbench") or ()]
    except PackageNotFoundError:
        return []
    found = []
    for requirement in declared:
        marker = requirement.marker
        if extra and (marker is None or marker.evaluate({"extra": ""})):
            continue  # wanted without the extra already
        if marker is not None and not marker.evaluate({"extra": extra}):
            continue
        if requirement.name == "ferbench":
            found += [one for inner in sorted(requirement.extras) for one in _requirements(inner)]
        else:
            found.append(requirement)
    return found


def _installed(requirement: Requirement) -> tuple[str, str] | None:
    """Name and version of the distribution that meets a requirement by name, or None."""
    for name in (requirement.name, *_EQUIVALENT.get(requirement.name, ())):
        try:
            return name, version(name)
        except PackageNotFoundError:
            continue
    return None


def _fits(requirement: Requirement) -> bool:
    found = _installed(requirement)
    return found is not None and requirement.specifier.contains(found[1], prereleases=True)


def _plain(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"


def _packages() -> Iterator[Finding]:
    for requirement in _requirements():
        found = _installed(requirement)
        fix = f"pip install '{_plain(requirement)}'"
        if found is None:
            yield Finding("packages", requirement.name, "broken", "not installed", fix)
        elif not _fits(requirement):
            detail = f"{found[1]}, but {requirement.specifier} is needed"
            yield Finding("packages", requirement.name, "broken", detail, fix)
        else:
            yield Finding("packages", found[0], "ok", found[1])


def _extras() -> Iterator[Finding]:
    try:
        names = metadata("ferbench").get_all("Provides-Extra") or []
    except PackageNotFoundError:
        return
    for extra in sorted(set(names) - {"all", "dev"}):
        wanted = _requirements(extra)
        lacking = [requirement for requirement in wanted if not _fits(requirement)]
        purpose = _PURPOSE.get(extra, "")
        if lacking:
            without = ", ".join(map(_plain, lacking))
            detail = f"{purpose}: needs {without}" if purpose else f"needs {without}"
            yield Finding("extras", extra, "missing", detail, f"pip install 'ferbench[{extra}]'")
        else:
            having = ", ".join(" ".join(found) for requirement in wanted if (found := _installed(requirement)))
            yield Finding("extras", extra, "ok", f"{purpose}: {having}" if purpose else having)


def _opencv() -> Iterator[Finding]:
    wheels = package_versions(_OPENCV_WHEELS)
    wanted = next((_plain(r) for r in _requirements() if r.name in _OPENCV_WHEELS), _OPENCV_WHEELS[0])
    fix = _OPENCV_FIX.format(wheels=" ".join(wheels) or _OPENCV_WHEELS[0], wanted=wanted)
    if len(wheels) > 1:
        clash = " and ".join(f"{name} {number}" for name, number in wheels.items())
        yield Finding("opencv", "wheels", "warning", f"{clash} write into the same cv2 folder", fix)
    spec = find_spec("cv2")
    if spec is None or spec.origin is None:
        yield Finding("opencv", "cv2", "broken", "not installed, or its folder is empty", fix)
        return
    try:
        import cv2
    except ImportError as error:  # a system library that is not there (libGL), or half a wheel
        yield Finding("opencv", "cv2", "broken", f"does not import: {error}", fix)
        return
    # Wheels may add a fourth number to OpenCV's own version: 4.14.0.94 holds 4.14.0.
    if wheels and not any(number.startswith(cv2.__version__) for number in wheels.values()):
        detail = f"files of {cv2.__version__}, but the wheel is {', '.join(wheels.values())}: overwritten"
        yield Finding("opencv", "cv2", "broken", detail, fix)
    else:
        yield Finding("opencv", "cv2", "ok", f"{cv2.__version__} from {', '.join(wheels) or 'outside pip'}")
    yield _haar(Path(spec.origin).parent / "data", fix)
    yield _window(cv2.getBuildInformation())


def _haar(folder: Path, fix: str) -> Finding:
    count = len(list(folder.glob("haarcascade_*.xml"))) if folder.is_dir() else 0
    if not (folder / _HAAR_XML).is_file():
        # The 5.0 wheel ships an empty folder.
        return Finding("opencv", "Haar cascades", "broken", f"cv2/data lacks {_HAAR_XML}", fix)
    return Finding("opencv", "Haar cascades", "ok", f"{count} files")


def _models() -> Iterator[Finding]:
    """What comes along, file by file against what was released."""
    from ferbench.pipelines.storage import check_files, read_record, shipped

    for name, folder in shipped().items():
        try:
            record = read_record(folder)
            check_files(folder, record)
        except (ModelFileError, OSError) as error:
            yield Finding("models", name, "broken", str(error), _REINSTALL)
        else:
            size = sum((folder / file).stat().st_size for file in record["files"])
            yield Finding("models", name, "ok", f"{size / 1e6:.1f} MB in {len(record['files'])} files")
    try:
        create("detectors", "yunet").detect([])
    except (ModelFileError, ImportError) as error:  # without OpenCV, which is said above
        yield Finding("models", "yunet", "broken", str(error), _REINSTALL)
    else:
        yield Finding("models", "yunet", "ok", "loads")


def _window(build: str) -> Finding:
    kind = next((line.split(":")[1].strip() for line in build.splitlines() if line.strip().startswith("GUI:")), "")
    if not kind or kind == "NONE":
        return Finding("opencv", "windows", "note", "built without: use ferbench live --headless")
    return Finding("opencv", "windows", "ok", kind)


def _threads(threads: dict[str, Any]) -> Iterator[Finding]:
    yield Finding("threads", "cores", "ok", f"{threads['cores']} available to this process")
    # NumPy and OpenCV each bring an OpenBLAS of their own; as long as they agree, one mention is enough.
    pools = ", ".join(sorted({f"{name.split()[0]} {count}" for name, count in threads["pools"].items()}))
    yield Finding("threads", "pools", "note", pools or "none loaded")
    chosen = ", ".join(
        f"{name}={threads['environment'][name]}" for name in THREAD_VARIABLES if name in threads["environment"]
    )
    yield Finding("threads", "variables", "note", chosen or "none set; each latency cell sets its own")


def _machine(environment: dict[str, Any]) -> Iterator[Finding]:
    cpu, system = environment["cpu"], environment["os"]
    vectors = ", ".join(cpu["vector_instructions"])
    yield Finding(
        "machine", "CPU", "ok", f"{cpu['model']}, {cpu['cores_available']} cores" + f" ({vectors})" * bool(vectors)
    )
    gpus = ", ".join(f"{gpu['name']} ({gpu['memory']})" for gpu in environment["gpus"])
    yield Finding("machine", "GPU", "ok" if gpus else "note", gpus or "none that nvidia-smi lists")
    yield Finding("machine", "memory", "ok", f"{environment['ram_gib']} GiB")
    name = system["distribution"] or system["system"]
    yield Finding(
        "machine", "system", "ok", f"{name}, {system['system']} {system['release']}, {system['architecture']}"
    )
    if environment["virtualised"]:
        yield Finding("machine", "virtualised", "note", environment["virtualised"])
    state = environment["state"]
    governor = state["governor"] or "not shown by the kernel"
    yield Finding("machine", "governor", "ok" if state["governor"] else "note", governor)
    for problem in state["problems"]:
        yield Finding(
            "machine", "timing now", "warning", problem, "wait, or close other programs, before latency cells"
        )
    if not state["problems"]:
        yield Finding("machine", "timing now", "ok", f"quiet: load per core {state['load_per_core']:.2f}")
    yield Finding("machine", "fingerprint", "note", environment["fingerprint"])


def _data() -> Iterator[Finding]:
    from ferbench.datasets.paths import data_root

    try:
        root = data_root()
        yield Finding("data", "FERBENCH_DATA", "ok", str(root))
    except DatasetNotFoundError as error:
        root = None
        fix = "ferbench data list tells where to get each dataset"
        yield Finding("data", "FERBENCH_DATA", "missing", str(error), fix)
    for name, entry in entries("datasets").items():
        try:
            info = _info(entry)
        except (ImportError, AttributeError, FerbenchError) as error:
            yield Finding(
                "data", name, "broken" if entry.package == "ferbench" else "warning", f"does not load: {error}"
            )
            continue
        if info is None or not info.files:
            is_built_in = info is not None and info.is_synthetic
            yield Finding("data", name, "ok" if is_built_in else "note", "built in" if is_built_in else entry.summary)
        elif root and (found := next((file for file in info.files if (root / file).exists()), None)):
            yield Finding("data", name, "ok", found)
        else:
            first, others = info.files[:2], len(info.files) - 2
            looked_for = " or ".join(first) + f" (or {others} other forms)" * (others > 0)
            yield Finding("data", name, "missing", f"looked for {looked_for}")


def _info(entry: Entry) -> DatasetInfo | None:
    """What a dataset says of itself without reading a file; None where it takes parameters to say anything."""
    from ferbench.samples import DatasetInfo

    factory = entry.load()
    # Datasets on disk may have to look at their files for ``info``; what is known beforehand is in their class.
    if isinstance(known := getattr(factory, "known", None), DatasetInfo):
        return known
    try:
        info = factory().info
    except TypeError:
        return None
    return info if isinstance(info, DatasetInfo) else None
