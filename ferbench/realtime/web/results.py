"""Results as JSON data."""

from __future__ import annotations

from typing import Any

from ferbench.realtime import FaceResult, FrameResult

__all__ = ["face_json", "frame_json"]


def face_json(face: FaceResult) -> dict[str, Any]:
    """A face: track, box in pixels (left, top, right, bottom), label, and every expression's probability."""
    return {
        "track": face.track,
        "box": [round(float(v), 1) for v in face.box],
        "detection_score": round(float(face.detection_score), 4),
        "label": face.label,
        "probability": round(face.probability, 4),
        "probabilities": {label: round(p, 4) for label, p in face.probabilities.items()},
    }


def frame_json(result: FrameResult) -> dict[str, Any]:
    """A photograph or a camera's frame: its size in pixels, its faces, and the milliseconds of each stage."""
    height, width = result.image.shape[:2]
    return {
        "width": width,
        "height": height,
        "frame": result.frame,
        "faces": [face_json(face) for face in result.faces],
        "times_ms": {stage: round(ms, 2) for stage, ms in result.times_ms.items()},
    }
