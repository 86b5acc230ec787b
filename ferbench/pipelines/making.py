"""An unfitted pipeline from the names of its parts."""

from __future__ import annotations

from ferbench.errors import ParameterError, UnknownNameError, suggestion
from ferbench.labels import LabelSpace
from ferbench.pipelines.crops import CROP_SIDE
from ferbench.pipelines.pipeline import OnNoFace, Pipeline
from ferbench.pipelines.preset import find_preset, presets
from ferbench.pipelines.spec import assemble, complete, parse_pipeline_id
from ferbench.pipelines.storage import shipped
from ferbench.registry import entries
from ferbench.specs import parse_spec

__all__ = ["make_pipeline"]


def make_pipeline(
    *names: str,
    detector: str | None = None,
    features: str | None = None,
    classifier: str | None = None,
    runtime: str | None = None,
    label_space: LabelSpace | None = None,
    input_size: int = CROP_SIDE,
    on_no_face: OnNoFace = "skip",
) -> Pipeline:
    """Make an unfitted pipeline.

    Parameters
    ----------
    *names : str
        Either one id (``"haar/lbp(grid=7)/linear-svm"``), preset (``"haar-lbp-svm"``) or preset file
        (``"mine.yaml"``), or the parts in order: detector, features, classifier; detector and features may be left out.
    detector, features, classifier, runtime : str, optional
        The parts by keyword instead, or in place of those named.
    label_space : LabelSpace, optional
        Expressions to tell apart; taken from the data otherwise.
    input_size : int
        Side of the crops, pixels.
    on_no_face : "skip", "whole" or "raise"

    Examples
    --------
    >>> make_pipeline("haar", "lbp(grid=7)", "linear-svm").id
    'haar/lbp(grid=7)/linear-svm@sklearn'
    """
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise ParameterError("a part of a pipeline is named", got=repr(wrong[0]), expected="text such as 'hog'")
    if len(names) == 1:
        known = find_preset(names[0])
        is_word = not set("/@(") & set(names[0])
        if known is None and is_word and names[0] in shipped():
            raise ParameterError(
                f"{names[0]} is trained already",
                expected="a preset, or the parts of a pipeline",
                fix=f"load_pipeline({names[0]!r}); to train it on: ferbench train PIPELINE --from {names[0]}",
            )
        if known is None and is_word and names[0] not in entries("classifiers") and suggestion(names[0], presets()):
            raise UnknownNameError("preset or classifier", names[0], [*presets(), *entries("classifiers")])
        parts = parse_pipeline_id(known.pipeline if known else names[0])
    elif names:
        parts = assemble(list(names))
    elif classifier is None:
        raise ParameterError(
            "a pipeline needs a classifier", fix="name one: make_pipeline('haar', 'hog', 'linear-svm')"
        )
    else:
        parts = assemble([classifier])
    if detector or features or classifier or runtime:
        given = {k: parse_spec(v) for k, v in (("detector", detector), ("features", features)) if v}
        chosen = parse_spec(classifier) if classifier else parts.classifier
        same_kind = complete(None, None, chosen, None).features is None if classifier else parts.features is None
        parts = complete(
            given.get("detector", parts.detector),
            given.get("features", None if same_kind else parts.features),
            chosen,
            parse_spec(runtime) if runtime else (None if classifier else parts.runtime),
        )
    return Pipeline(parts, label_space=label_space, input_size=input_size, on_no_face=on_no_face)
