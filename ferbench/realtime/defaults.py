"""What streams do unless told otherwise. Imports nothing, so that ``--help`` says it at once."""

from __future__ import annotations

__all__ = ["DEFAULT_SMOOTHING", "DETECT_EVERY"]

DEFAULT_SMOOTHING = "ema:150ms+hysteresis:0.1"
"""What streams are smoothed with; docs/temporal.md says how it was chosen."""

DETECT_EVERY = 10
"""Frames from one search of the whole picture to the next: three times a second of most cameras."""
