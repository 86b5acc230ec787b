"""What native code prints is held back, and what matters comes out."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from pathlib import Path

import pytest

from ferbench.errors import ParameterError
from ferbench.native_output import import_quietly, output_held_back


def is_info(line: bytes) -> bool:
    return line.startswith(b"INFO")


def test_noise_is_kept_and_the_rest_comes_out_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with output_held_back(1, 2, is_noise=is_info):
        os.write(1, b"INFO: made\nlow memory\n")
        os.write(2, b"INFO: more\n")
        assert capfd.readouterr() == ("", "")
    assert capfd.readouterr() == ("", "low memory\n")


def test_all_of_it_comes_out_where_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(error: Exception) -> None:
        with output_held_back(2, is_noise=is_info):
            os.write(2, b"INFO: why\n")
            raise error

    with pytest.raises(ValueError, match="unclear"):
        fail(ValueError("unclear"))
    assert capfd.readouterr().err == "INFO: why\n"
    with pytest.raises(ParameterError):
        fail(ParameterError("one line says it"))
    assert capfd.readouterr().err == ""


def test_two_threads_leave_stderr_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = os.fstat(2)
    entered, go = threading.Event(), threading.Event()

    def first() -> None:
        with output_held_back(2, is_noise=is_info):
            entered.set()
            go.wait(10)

    def second() -> None:
        with output_held_back(2, is_noise=is_info):
            pass

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()  # waits for the first, or would take its file for stderr
    go.set()
    for thread in threads:
        thread.join(10)
    assert os.path.samestat(os.fstat(2), before)


def test_a_closed_descriptor_holds_nothing_back() -> None:
    closed = os.dup(2)
    os.close(closed)
    with output_held_back(2, closed, is_noise=is_info):
        pass
    assert os.fstat(2)


def test_a_module_is_imported_without_its_noise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noisy_module.py").write_text("import os\nos.write(2, b'INFO: hello\\nlow memory\\n')\nANSWER = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "noisy_module", raising=False)
    before = list(sys.meta_path)
    for _ in range(2):
        import_quietly("noisy_module", is_noise=is_info)
    import_quietly("os", is_noise=is_info)
    assert len(sys.meta_path) == len(before) + 1
    assert importlib.util.find_spec("noisy_module") is not None, "looked for, and not imported"
    assert importlib.import_module("noisy_module").ANSWER == 42
    assert capfd.readouterr().err == "low memory\n"
    assert sys.meta_path == before
    import_quietly("no_such_module", is_noise=is_info)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module")
    sys.meta_path[:] = before
