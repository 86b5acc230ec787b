"""What the live loop needs of a pipeline, and nothing more: a camera does not care how a model was made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError
from ferbench.faces import Faces, Image

if TYPE_CHECKING:
    from ferbench.pipelines import OnNoFace

__all__ = ["LivePipeline", "PipelineSpec", "Processed", "load_live_pipeline"]

Matrix = npt.NDArray[np.float32]


class Processed(Protocol):
    """What a pipeline gives for a batch of images: faces, (N, C) float32 probabilities, nanoseconds by stage."""

    @property
    def faces(self) -> Faces:
        """The faces found."""
        ...

    @property
    def probabilities(self) -> Matrix:
        """(N, C) float32, a row a face."""
        ...

    @property
    def times_ns(self) -> Any:
        """Nanoseconds by name of the stage."""
        ...


class LivePipeline(Protocol):
    """What the loop needs of a :class:`ferbench.pipelines.Pipeline`.

    If it has an ``on_no_face`` other than ``"skip"``, a frame without a face is given to it whole.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """Expressions, in the order of the columns of probabilities."""
        ...

    def process(self, images: Sequence[Image]) -> Processed:
        """Detect and classify."""
        ...

    def detect(self, images: Sequence[Image]) -> Faces:
        """Detect alone; not used where every frame is searched."""
        ...

    def crop(self, images: Sequence[Image], faces: Faces) -> npt.NDArray[np.uint8]:
        """(N, s, s) gray crops of known faces."""
        ...

    def classify(self, crops: npt.NDArray[np.uint8]) -> Matrix:
        """(N, C) probabilities of crops."""
        ...


PipelineSpec = str | os.PathLike[str] | LivePipeline
"""Name of a shipped model, folder of a saved pipeline, ``best`` of the newest run, or a fitted pipeline itself."""


def load_live_pipeline(
    pipeline: PipelineSpec, *, detector: str | None = None, on_no_face: OnNoFace = "skip", device: str = "auto"
) -> LivePipeline:
    """The pipeline itself, or the shipped or saved one of that name or folder, made ready to run.

    Raises
    ------
    ParameterError
        If it is none of these, or another ``detector`` is named than that of ``best``, which was measured with it, or
        of a pipeline object.
    """
    from ferbench.pipelines import load_pipeline
    from ferbench.realtime.choice import BEST, check_unnamed, choose_pipeline

    if not isinstance(pipeline, str | os.PathLike):
        if not hasattr(pipeline, "process"):
            raise ParameterError(
                "not a pipeline",
                got=f"a value of type {type(pipeline).__name__}",
                expected="a name, a folder or a fitted pipeline",
            )
        check_unnamed(detector=detector)
        return pipeline
    if pipeline == BEST:
        check_unnamed(detector=detector)
        return choose_pipeline().load(on_no_face=on_no_face, device=device)
    return load_pipeline(os.fspath(pipeline), detector=detector, on_no_face=on_no_face, device=device)
