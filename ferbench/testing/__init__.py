"""Conformance checks for components, ours and those of plugins: what the contracts promise, tried within seconds.

Each raises :class:`ConformanceError` with what was got and what was expected, and returns nothing where all is well.
Call them from a test::

    from ferbench.testing import check_features

    def test_my_features():
        check_features("my-features(size=3)")
"""

from __future__ import annotations

from ferbench.testing.components import check_classifier, check_detector, check_features
from ferbench.testing.datasets import check_dataset
from ferbench.testing.pipelines import check_network, check_pipeline, check_runtime
from ferbench.testing.requirements import ConformanceError

__all__ = [
    "ConformanceError",
    "check_classifier",
    "check_dataset",
    "check_detector",
    "check_features",
    "check_network",
    "check_pipeline",
    "check_runtime",
]
