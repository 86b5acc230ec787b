"""The window with the overlay, where there is a display."""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType
from typing import Self

from ferbench.faces import Image

__all__ = ["Window", "why_no_window"]

_PROBE = "import cv2; cv2.namedWindow('ferbench'); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S = 30.0
_STOP_KEYS = frozenset({ord("q"), ord("Q"), 27})


def why_no_window() -> str | None:
    """Why no window can be opened here, or None where one can.

    The window toolkit inside OpenCV ends the whole process when it cannot reach the display, so another process
    tries first.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "no display"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, check=False, timeout=_PROBE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return "the display does not answer"
    return None if tried.returncode == 0 else "OpenCV cannot open a window on this display"


class Window:
    """A window that shows frames; closed by q, Escape or its own button.

    Parameters
    ----------
    title : str
        Shown in its frame.
    """

    def __init__(self, title: str) -> None:
        import cv2

        self._title = title
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._sized = False

    def show(self, image: Image, wait_ms: float = 0) -> bool:
        """Show an (H, W, 3) RGB frame for at least ``wait_ms``; False once the user closed it or pressed q."""
        import cv2

        if not self._sized:
            cv2.resizeWindow(self._title, image.shape[1], image.shape[0])
            self._sized = True
        cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(max(1, round(wait_ms))) & 0xFF
        return key not in _STOP_KEYS and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Remove the window."""
        import cv2

        cv2.destroyAllWindows()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
