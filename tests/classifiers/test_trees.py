"""Trees in a loaded model: what would read foreign memory is refused, wherever it is hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from ferbench.classifiers.trees import check_trees, fitted_parts
from ferbench.errors import ModelFileError
from ferbench.registry import create

ROWS = np.random.default_rng(0).normal(size=(90, 6)).astype(np.float32)
LABELS = np.array(["angry", "happy", "sad"])[ROWS[:, :3].argmax(axis=1)]


def fitted(spec: str) -> Any:
    return create("classifiers", spec).fit(ROWS, LABELS)


def damage_forest(forest: Any, field: str, value: int) -> None:
    state = forest.estimators_[1].tree_.__getstate__()
    nodes = state["nodes"].copy()
    nodes[field][0] = value
    forest.estimators_[1].tree_.__setstate__(state | {"nodes": nodes})


@pytest.mark.parametrize("field_and_value", [("left_child", 10**6), ("right_child", 0), ("feature", 6)])
def test_a_forest_with_foreign_indices_is_refused(field_and_value: tuple[str, int]) -> None:
    model = fitted("random-forest(n_estimators=2)")
    check_trees(make_pipeline(model))
    damage_forest(model.estimator_, *field_and_value)
    with pytest.raises(ModelFileError, match="damaged"):
        check_trees(make_pipeline(model))


def test_a_tree_that_is_wider_than_its_forest_is_refused() -> None:
    """The forest looks at the width of its input, then trees read where they like."""
    model = fitted("random-forest(n_estimators=2)")
    model.estimator_.n_features_in_ = int(max(tree.tree_.feature.max() for tree in model.estimator_.estimators_))
    with pytest.raises(ModelFileError, match="damaged"):
        check_trees(model)


@pytest.mark.parametrize(
    "field_and_value", [("left", 10**6), ("right", 0), ("feature_idx", 6), ("feature_idx", -1), ("is_categorical", 1)]
)
def test_boosted_trees_with_foreign_indices_are_refused(field_and_value: tuple[str, int]) -> None:
    model = fitted("hist-gradient-boosting(max_iter=2)")
    check_trees(model)
    field, value = field_and_value
    nodes = model.estimator_._predictors[1][0].nodes
    assert not nodes["is_leaf"][0]
    nodes[field][0] = value
    with pytest.raises(ModelFileError, match="damaged"):
        check_trees(model)


def test_an_empty_boosted_tree_is_refused() -> None:
    model = fitted("hist-gradient-boosting(max_iter=1)")
    tree = model.estimator_._predictors[0][2]
    tree.nodes = tree.nodes[:0]
    with pytest.raises(ModelFileError, match="damaged"):
        check_trees(model)


@pytest.mark.parametrize(
    "spec",
    [
        "voting(of=[lda, 'random-forest(n_estimators=2)'])",
        "stacking(of=[lda, 'random-forest(n_estimators=2)'], folds=2)",
        "stacking(of=[lda, gaussian-nb], final='random-forest(n_estimators=2)', folds=2)",
    ],
)
def test_trees_inside_other_classifiers_are_found(spec: str) -> None:
    model = fitted(spec)
    check_trees(model)
    (forest,) = [part for part in fitted_parts(model) if type(part).__name__ == "RandomForestClassifier"]
    damage_forest(forest, "right_child", 0)
    with pytest.raises(ModelFileError, match="damaged"):
        check_trees(make_pipeline(model))
