"""What streams do unless told otherwise. Imports nothing, so that ``--help`` says it at once."""

from __future__ import annotations

__all__ = ["DEFAULT_PIPELINE", "DEFAULT_SMOOTHING", "DETECT_EVERY", "PAGE_PIPELINES"]

DEFAULT_PIPELINE = "tiny-ferplus"
"""What recognises expressions on photographs and streams: the smaller of the two that do so best in the wild."""

PAGE_PIPELINES = (DEFAULT_PIPELINE, "accurate-ferplus", "tiny", "accurate")
"""What people choose from on the page of ``ferbench serve``; the first is its default."""

DEFAULT_SMOOTHING = "ema:150ms+hysteresis:0.1"
"""What streams are smoothed with; docs/temporal.md says how it was chosen."""

DETECT_EVERY = 10
"""Frames from one search of the whole picture to the next: three times a second of most cameras."""
