"""What a saved model holds inside, and whether the trees in it are sound.

scikit-learn's compiled code follows the indices of a tree unchecked: in a file from a stranger they could lead
anywhere in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import ModelFileError

__all__ = ["check_trees", "fitted_parts"]

_LEAF = -1


def fitted_parts(fitted: Any) -> Iterator[Any]:
    """A fitted estimator and all fitted ones inside: steps of a chain, members of an ensemble, what is calibrated."""
    yield fitted
    inner = [step for _, step in getattr(fitted, "steps", ())]
    for name in ("estimators_", "parts_"):
        inner += _members(fitted, name)
    inner += [getattr(fitted, name) for name in ("estimator_", "final_estimator_") if hasattr(fitted, name)]
    for one in inner:
        yield from fitted_parts(one)


def _members(fitted: Any, name: str) -> list[Any]:
    """Fitted estimators of a list, or of an array of any shape; an ensemble in a list stays one member."""
    members = getattr(fitted, name, ())
    return members.ravel().tolist() if isinstance(members, np.ndarray) else list(members)


def check_trees(fitted: Any) -> None:
    """Check that every index in the trees of a loaded model is within bounds; models without trees pass.

    Raises
    ------
    ModelFileError
        If a tree points outside its nodes, features or classes: prediction would read foreign memory or never end.
    """
    for part in fitted_parts(fitted):
        # A forest looks at the width of what it is given, its trees do not: the forest's width is what counts.
        for tree in (one.tree_ for one in (part, *_members(part, "estimators_")) if hasattr(one, "tree_")):
            _check_forest_tree(tree, int(part.n_features_in_))
        for round_of_trees in getattr(part, "_predictors", ()):
            for tree in round_of_trees:
                _check_boosted_tree(tree.nodes, int(part.n_features_in_))


def _check_forest_tree(tree: Any, n_features: int) -> None:
    left, right, n = tree.children_left, tree.children_right, tree.node_count
    is_known = _are_within(tree.feature, n_features) & _lie_ahead(left, n) & _lie_ahead(right, n)
    if not is_known[left != _LEAF].all() or len(tree.value) != n:
        raise _damaged()


def _check_boosted_tree(nodes: Any, n_features: int) -> None:
    # Categorical splits look into bit sets of their own. None is ever learnt here: every feature is a number.
    left, right, n = nodes["left"], nodes["right"], len(nodes)
    is_known = _are_within(nodes["feature_idx"], n_features) & _lie_ahead(left, n) & _lie_ahead(right, n)
    is_leaf = nodes["is_leaf"].astype(bool)
    if not n or not is_known[~is_leaf].all() or nodes["is_categorical"].any():
        raise _damaged()


def _lie_ahead(children: npt.NDArray[Any], n: int) -> npt.NDArray[np.bool_]:
    """Where a child is a node after its parent, as scikit-learn numbers them: no path comes back to where it was."""
    return (np.arange(n) < children) & (children < n)


def _are_within(features: npt.NDArray[Any], n: int) -> npt.NDArray[np.bool_]:
    return (features >= 0) & (features < n)


def _damaged() -> ModelFileError:
    return ModelFileError("a decision tree in the saved model is damaged", fix="train and save it again")
