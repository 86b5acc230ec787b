"""ferbench: classical and deep facial-expression recognition, side by side, under one protocol.

>>> import ferbench as fb
>>> pipeline = fb.make_pipeline("haar", "lbp(grid=7)", "linear-svm")

Importing this package imports nothing heavier than the standard library; names below load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferbench.lazy import lazily

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ferbench.datasets import load_dataset
    from ferbench.errors import FerbenchError
    from ferbench.exporting import export_pipeline
    from ferbench.labels import LabelSpace
    from ferbench.pipelines import Pipeline, load_pipeline, make_pipeline
    from ferbench.realtime import stream
    from ferbench.reports import build_report

__all__ = [
    "FerbenchError",
    "LabelSpace",
    "Pipeline",
    "__version__",
    "build_report",
    "export_pipeline",
    "load_dataset",
    "load_pipeline",
    "make_pipeline",
    "stream",
]

_HOME = {
    "FerbenchError": "ferbench.errors",
    "LabelSpace": "ferbench.labels",
    "Pipeline": "ferbench.pipelines",
    "build_report": "ferbench.reports",
    "export_pipeline": "ferbench.exporting",
    "load_dataset": "ferbench.datasets",
    "load_pipeline": "ferbench.pipelines",
    "make_pipeline": "ferbench.pipelines",
    "stream": "ferbench.realtime",
}

__getattr__, __dir__ = lazily(__name__, _HOME)
