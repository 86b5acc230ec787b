"""Pipelines: what is measured. Detector, crop, features, classifier and runtime under one id."""

from ferbench.pipelines.combined import average_networks, combine_networks
from ferbench.pipelines.crops import crop_faces
from ferbench.pipelines.making import make_pipeline
from ferbench.pipelines.pipeline import OnNoFace, Pipeline, Processed
from ferbench.pipelines.preset import PresetInfo, presets
from ferbench.pipelines.spec import PipelineParts, parse_pipeline_id
from ferbench.pipelines.storage import load_pipeline, save_pipeline, shipped

__all__ = [
    "OnNoFace",
    "Pipeline",
    "PipelineParts",
    "PresetInfo",
    "Processed",
    "average_networks",
    "combine_networks",
    "crop_faces",
    "load_pipeline",
    "make_pipeline",
    "parse_pipeline_id",
    "presets",
    "save_pipeline",
    "shipped",
]
