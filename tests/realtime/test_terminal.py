"""The terminal view: pace, age, losses and labels within 80 columns; silence where there is no terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ferbench.realtime import FaceResult, FrameResult, LiveSummary
from ferbench.realtime.terminal import LiveView, live_view


def result_of(n_faces: int) -> FrameResult:
    p = {"happy": 0.9, "surprise": 0.1}
    faces = tuple(FaceResult(i + 1, (0.0, 0.0, 9.0, 9.0), 1.0, "happy", 0.9, p, p) for i in range(n_faces))
    stages = {"detect": 12.0, "align": 0.1, "features": 0.0, "classify": 1.2, "track": 1.0, "total": 14.3}
    return FrameResult("camera 0", 123456, 40.0, np.zeros((4, 4, 3), np.uint8), faces, stages, captured_s=0.0)


def text_of(renderable: Any) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    console.print(renderable)
    out: str = console.file.getvalue()  # type: ignore[attr-defined]
    return out


@pytest.fixture
def summary() -> LiveSummary:
    state = LiveSummary(dropped=1234, unreadable=56)
    state.ages_ms.append(21.0)
    state._ends.extend([0.0, 0.04, 0.08])
    return state


def test_a_frame_is_told_in_lines_of_80_columns(summary: LiveSummary):
    text = text_of(live_view(result_of(2), summary, "lost: attempt 1 of 4 to open it again in 0.5 s"))
    assert max(map(len, text.splitlines())) <= 80
    for said in ("25.0 fps", "shown after 21 ms", "1234 dropped", "56 unreadable", "detect 12.0", "classify 1.2",
                 "total 14.3", f"1  happy      90 %  {'━' * 18}──", "2  happy", "attempt 1 of 4"):  # fmt: skip
        assert said in text


def test_nobody_and_a_crowd_are_told_in_few_lines(summary: LiveSummary):
    assert "no face" in text_of(live_view(result_of(0), summary))
    crowd = text_of(live_view(result_of(50), summary))
    assert "and 46 more faces" in crowd
    assert len(crowd.splitlines()) <= 7


def test_a_file_instead_of_a_terminal_gets_the_introduction_only(summary: LiveSummary):
    file = io.StringIO()
    source: Any = SimpleNamespace(name="camera 0", trouble="")
    with LiveView(Console(file=file), source, ("device: cpu",)) as view:
        view.show(result_of(1), summary)
        view.show(result_of(1), summary)
    assert file.getvalue() == "device: cpu\n"


def test_a_terminal_waits_for_the_first_frame_and_is_left_clean(summary: LiveSummary):
    file = io.StringIO()
    source: Any = SimpleNamespace(name="camera 0", trouble="")
    with LiveView(Console(file=file, force_terminal=True, width=80), source) as view:
        view._live.refresh()  # type: ignore[union-attr]
        assert "waiting for camera 0" in file.getvalue()
        view.show(result_of(1), summary)
        view._live.refresh()  # type: ignore[union-attr]
    assert "happy" in file.getvalue()
    assert file.getvalue().endswith("\x1b[2K"), "transient: the lines are erased"
