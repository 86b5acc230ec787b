"""What native code prints is held back, and what matters comes out."""

from __future__ import annotations

import os
import threading

import pytest

from ferbench.errors import ParameterError
from ferbench.native_output import output_held_back


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
