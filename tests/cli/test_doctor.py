"""``ferbench doctor``: what it finds, how it prints it, and its exit code; on this machine and on broken ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest

from ferbench.benchmarks import installation
from ferbench.benchmarks.installation import Finding, inspect_installation
from ferbench.cli import main
from ferbench.cli.doctor import _runtimes
from ferbench.pipelines import shipped
from ferbench.registry import entries

_WHEEL = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "import sys; from ferbench.cli import main; sys.exit(main())",
        "doctor",
        *arguments,
    ]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


def find(name: str, section: str | None = None) -> list[Finding]:
    findings, _ = inspect_installation()
    return [f for f in findings if f.name == name and section in (None, f.section)]


@pytest.fixture
def other_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the front of the path in which a test installs (the metadata of) packages."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def install(folder: Path, name: str, version: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(_WHEEL.format(name=name, version=version))


def test_report_fits_eighty_columns_and_says_that_ferbench_is_ready() -> None:
    done = doctor()
    assert done.returncode == 0, done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.splitlines()[-1].startswith("✓ Ready")
    for title in ("Packages", "Extras", "OpenCV", "Runtimes", "Threads", "Machine", "Data"):
        assert f"\n{title}\n" in done.stdout
    assert done.stderr == ""


def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["usable"] is True
    assert {f["state"] for f in answer["findings"]} <= {"ok", "note", "missing", "warning", "broken"}
    assert answer["environment"]["fingerprint"]


def test_neither_tensorflow_nor_scikit_learn_nor_dlib_is_imported() -> None:
    code = (
        "import sys; from ferbench.cli import main; main(['doctor', '--json']);"
        "print(*{'tensorflow', 'keras', 'sklearn', 'dlib', 'pandas', 'skimage'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr.split() == []


@pytest.mark.slow
def test_it_answers_at_once() -> None:
    # Processor time, so that a busy machine does not count; the sample of the load alone takes 0.3 s of waiting.
    before, started = os.times(), time.monotonic()
    doctor()
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 3
    assert time.monotonic() - started < 60


def test_a_shipped_model_that_was_exchanged_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {f.name: f.state for f in inspect_installation()[0] if f.section == "models"} == {
        "accurate": "ok",
        "accurate-ferplus": "ok",
        "tiny": "ok",
        "tiny-ferplus": "ok",
        "yunet": "ok",
    }
    copy = Path(shutil.copytree(shipped()["tiny"], tmp_path / "tiny"))
    (copy / "model.dynamic.tflite").write_bytes(b"not it")
    monkeypatch.setattr("ferbench.pipelines.storage.shipped", lambda: {"tiny": copy})
    (finding,) = find("tiny", "models")
    assert (finding.state, finding.fix) == ("broken", installation._REINSTALL)
    assert "model.dynamic.tflite was exchanged or damaged" in finding.detail


def test_every_requirement_is_looked_at() -> None:
    names = {f.name for f in inspect_installation()[0] if f.section == "packages"}
    base = [line for line in requires("ferbench") or () if "extra ==" not in line]
    assert len(names) == len(base)
    assert {"numpy", "opencv-contrib-python", "threadpoolctl"} <= names


def test_a_required_package_of_the_wrong_version_breaks_it(
    other_packages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(other_packages, "joblib", "0.9")
    (finding,) = find("joblib")
    assert finding.state == "broken"
    assert "0.9, but >=1.4 is needed" in finding.detail
    assert finding.fix == "pip install 'joblib>=1.4'"
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "✗ joblib" in out
    assert "Not usable: joblib" in out


def test_a_required_package_that_is_not_there_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = installation.version

    def without_rich(name: str) -> str:
        if name == "rich":
            raise installation.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(installation, "version", without_rich)
    (finding,) = find("rich")
    assert (finding.state, finding.detail) == ("broken", "not installed")


def test_a_missing_extra_is_no_fault_and_comes_with_its_pip_line(other_packages: Path) -> None:
    install(other_packages, "keras", "2.1")
    (finding,) = find("deep", "extras")
    assert finding.state == "missing"
    assert "needs keras>=3.8" in finding.detail
    assert finding.fix == "pip install 'ferbench[deep]'"


def test_extras_made_of_extras_are_resolved() -> None:
    (finding,) = find("landmarks", "extras")
    assert "dlib" in finding.detail


def test_two_opencv_wheels_are_a_clash(other_packages: Path) -> None:
    install(other_packages, "opencv-python", "4.13.0.90")
    (finding,) = find("wheels", "opencv")
    assert finding.state == "warning"
    assert "opencv-python 4.13.0.90" in finding.detail
    assert finding.fix is not None
    assert finding.fix.startswith("pip uninstall -y opencv-contrib-python opencv-python && pip install")
    assert "'opencv-contrib-python<5,>=4.10'" in finding.fix


def test_files_of_another_wheel_are_seen(other_packages: Path) -> None:
    install(other_packages, "opencv-contrib-python", "4.10.0.84")  # the record says 4.10, the files are newer
    (finding,) = find("cv2", "opencv")
    assert finding.state == "broken"
    assert finding.detail.endswith("overwritten")


def test_a_wheel_without_cascades_is_broken(tmp_path: Path) -> None:
    # As the 5.0 wheel has it: the folder is there, and empty.
    assert installation._haar(tmp_path, "fix").state == "broken"
    (tmp_path / "haarcascade_frontalface_default.xml").write_text("<x/>")
    assert installation._haar(tmp_path, "fix").state == "ok"


@pytest.mark.parametrize(("build", "state"), [("  GUI:      QT5\n", "ok"), ("  GUI:     NONE\n", "note"), ("", "note")])
def test_opencv_without_windows_is_noted(build: str, state: str) -> None:
    assert installation._window(build).state == state


def test_datasets_are_found_by_name_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fer2013.csv").write_text("this is never read")
    monkeypatch.setenv("FERBENCH_DATA", str(tmp_path))
    (found,) = find("fer2013", "data")
    assert (found.state, found.detail) == ("ok", "fer2013.csv")
    (missing,) = find("ckplus", "data")
    assert missing.state == "missing"
    assert missing.detail.startswith("looked for ")
    (synthetic,) = find("synthetic", "data")
    assert (synthetic.state, synthetic.detail) == ("ok", "built in")


@pytest.mark.parametrize("folder", ["", "/no/such/folder"])
def test_no_data_is_no_fault(folder: str) -> None:
    done = doctor("--json", FERBENCH_DATA=folder)
    assert done.returncode == 0, done.stdout
    (finding,) = [f for f in json.loads(done.stdout)["findings"] if f["name"] == "FERBENCH_DATA"]
    assert finding["state"] == "missing"
    assert "FERBENCH_DATA" in finding["detail"]


def test_thread_settings_of_the_user_are_shown() -> None:
    done = doctor("--json", OMP_NUM_THREADS="1")
    findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    (variables,) = [f for f in findings if f["name"] == "variables"]
    assert "OMP_NUM_THREADS=1" in variables["detail"]


def test_every_runtime_is_listed_with_its_device() -> None:
    found = {f.name: f for f in _runtimes(has_gpu=False)}
    assert set(found) == set(entries("runtimes"))
    assert (found["litert"].state, found["litert"].detail) == ("ok", "cpu")


def test_a_runtime_whose_package_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from ferbench.cli import doctor as verb

    monkeypatch.setattr(verb, "find_spec", lambda name: None)
    (finding,) = [f for f in verb._runtimes(has_gpu=True) if f.name == "keras"]
    assert (finding.state, finding.detail) == ("missing", "needs keras, see extra deep")


def test_where_the_driver_lists_a_gpu_each_runtime_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from ferbench.cli import doctor as verb

    assert verb._ask("litert").detail == "cpu (litert runs on the CPU)"
    monkeypatch.setenv("KERAS_BACKEND", "no-such-backend")
    finding = verb._ask("keras")  # which does not import with this, or is not there
    assert finding.state == "warning"
    assert finding.detail.startswith("does not load: ")


@pytest.mark.deep
@pytest.mark.slow
def test_the_keras_runtime_says_what_its_backend_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    from ferbench.cli import doctor as verb

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert verb._ask("keras").detail.startswith("cpu (keras on ")
