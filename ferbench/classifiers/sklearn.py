"""Classical classifiers by name: factories of scikit-learn estimators with ``predict_proba``.

All take (N, D) float32 features and label names, are seeded, and can be saved with skops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ferbench.classifiers.svm import RBFSVM, LinearSVM
from ferbench.errors import ModelFileError

__all__ = [
    "TRUSTED_TYPES",
    "check_trees",
    "knn",
    "linear_svm",
    "logistic_regression",
    "majority",
    "random_forest",
    "rbf_svm",
]

TRUSTED_TYPES = (
    "ferbench.classifiers.svm.LinearSVM",
    "ferbench.classifiers.svm.RBFSVM",
    "ferbench.features.hog.HOG",
    "ferbench.features.lbp.LBP",
    "ferbench.features.pca.PCAFeatures",
    "ferbench.features.pixels.Pixels",
    "ferbench.features.union.Union",
    "sklearn.tree._tree.Tree",
)
"""The types that a saved pipeline may hold, for ``skops.io.load(..., trusted=...)``, beside those of scikit-learn and
numpy that skops trusts itself. skops leaves out ``Tree`` because scikit-learn follows its indices unchecked: call
:func:`check_trees` on what was loaded. A plugin's types must be named by whoever loads the file."""


def check_trees(fitted: Any) -> None:
    """Check that every index in the trees of a loaded forest is within bounds; other estimators pass.

    Raises
    ------
    ModelFileError
        If a tree points outside its nodes, features or classes: prediction would read foreign memory or never end.
    """
    steps = [step for _, step in fitted.steps] if hasattr(fitted, "steps") else [fitted]
    for tree in (member.tree_ for step in steps for member in getattr(step, "estimators_", ())):
        node, n = np.arange(tree.node_count), tree.node_count
        left, right = tree.children_left, tree.children_right
        is_split = left != _LEAF
        # scikit-learn numbers children after their parent, so that no path can come back to where it was.
        ahead = [(node < child) & (child < n) for child in (left, right)]
        feature_known = (tree.feature >= 0) & (tree.feature < tree.n_features)
        if not (ahead[0] & ahead[1] & feature_known)[is_split].all() or len(tree.value) != n:
            raise ModelFileError("a decision tree in the saved model is damaged", fix="train and save it again")


_LEAF = -1


def majority() -> Any:
    """The baseline that looks at nothing: always the most frequent class, with probabilities of the class shares."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


def linear_svm(C: float = 0.01, balanced: bool = False, random_state: int = 0) -> LinearSVM:
    """Linear support vector machine; see :class:`ferbench.classifiers.svm.LinearSVM`."""
    return LinearSVM(C=C, balanced=balanced, random_state=random_state)


def rbf_svm(
    C: float = 10.0, gamma: float | str = "scale", balanced: bool = False, cache_mb: int = 500, random_state: int = 0
) -> RBFSVM:
    """Support vector machine with a Gaussian kernel; see :class:`ferbench.classifiers.svm.RBFSVM`."""
    return RBFSVM(C=C, gamma=gamma, balanced=balanced, cache_mb=cache_mb, random_state=random_state)


def logistic_regression(C: float = 1.0, balanced: bool = False, max_iter: int = 1000, random_state: int = 0) -> Any:
    """Multinomial logistic regression (L-BFGS); ``C`` is the inverse strength of the L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=C,
        class_weight="balanced" if balanced else None,
        max_iter=max_iter,
        tol=1e-3,
        random_state=random_state,
    )


def knn(n_neighbors: int = 15, weights: str = "distance", metric: str = "euclidean") -> Any:
    """k nearest neighbours, by exhaustive search: no tree helps in hundreds of dimensions."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=n_neighbors, weights=weights, metric=metric, algorithm="brute")


def random_forest(
    n_estimators: int = 200,
    max_depth: int | None = None,
    min_samples_leaf: int = 2,
    balanced: bool = False,
    random_state: int = 0,
) -> Any:
    """Random forest; the probability of a class is its mean share in the leaves reached."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=n_estimators,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        class_weight="balanced" if balanced else None,
        random_state=random_state,
    )
