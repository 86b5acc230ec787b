"""Classical classifiers by name: factories of scikit-learn estimators with ``predict_proba``.

All take (N, D) float32 features and label names, are seeded, and can be saved with skops.
"""

from __future__ import annotations

from typing import Any

from ferbench.classifiers.calibrated import Calibrated
from ferbench.registry import check_values

__all__ = [
    "TRUSTED_TYPES",
    "gaussian_nb",
    "hist_gradient_boosting",
    "knn",
    "lda",
    "logistic_regression",
    "majority",
    "random_forest",
]

TRUSTED_TYPES = (
    "ferbench.classifiers.calibrated.Calibrated",
    "ferbench.classifiers.kernel_ridge.KernelRidge",
    "ferbench.classifiers.kernel_svm.Chi2SVM",
    "ferbench.classifiers.kernel_svm.IntersectionSVM",
    "ferbench.classifiers.kernel_svm.RBFSVM",
    "ferbench.classifiers.local_svm.LocalSVM",
    "ferbench.classifiers.svm.LinearSVM",
    "ferbench.features.dense_sift.DenseSIFT",
    "ferbench.features.fisherfaces.Fisherfaces",
    "ferbench.features.gabor.Gabor",
    "ferbench.features.hog.HOG",
    "ferbench.features.landmarks.Landmarks",
    "ferbench.features.lbp.LBP",
    "ferbench.features.mirrored.Mirrored",
    "ferbench.features.optical_flow.OpticalFlow",
    "ferbench.features.pca.PCAFeatures",
    "ferbench.features.pixels.Pixels",
    "ferbench.features.random_convolutions.RandomConvolutions",
    "ferbench.features.union.Union",
    "ferbench.features.wavelet.Wavelet",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""The types that a saved pipeline may hold, for ``skops.io.load(..., trusted=...)``, beside those of scikit-learn and
numpy that skops trusts itself. ``Tree`` and ``TreePredictor`` hold arrays whose indices scikit-learn follows unchecked:
call :func:`ferbench.classifiers.trees.check_trees` on what was loaded. ``Bunch`` is a dictionary that does nothing when
it is loaded. A plugin's types must be named by whoever loads the file."""


def majority() -> Any:
    """The baseline that looks at nothing: always the most frequent class, with probabilities of the class shares."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


def logistic_regression(C: float = 1.0, balanced: bool = False, max_iter: int = 1000, random_state: int = 0) -> Any:
    """Multinomial logistic regression (L-BFGS).

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty: larger fits the training faces more closely.
    balanced : bool
        Weigh classes by the inverse of their frequency.
    max_iter : int
        Most steps of the solver.
    random_state : int
        Kept for uniformity: L-BFGS draws nothing.
    """
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=C,
        class_weight="balanced" if balanced else None,
        max_iter=max_iter,
        tol=1e-3,
        random_state=random_state,
    )


def knn(
    n_neighbors: int = 15,
    weights: str = "distance",
    metric: str = "euclidean",
    calibrate: bool = True,
    random_state: int = 0,
) -> Calibrated:
    """k nearest neighbours, by exhaustive search: no tree helps in hundreds of dimensions.

    Parameters
    ----------
    n_neighbors : int
        Training faces that are asked; each prediction looks at all N training faces to find them.
    weights : {"distance", "uniform"}
        ``distance``: nearer neighbours count more, by the inverse of their distance; ``uniform``: all the same.
    metric : str
        Distance between rows, a name of scikit-learn's: ``euclidean``, ``manhattan``, ``cosine``.
    calibrate : bool
        Find the temperature of the probabilities on a tenth of the training faces, which takes a second fit.
    random_state : int
        Seed of the faces held out for ``calibrate``.
    """
    from sklearn.neighbors import KNeighborsClassifier

    nearest = KNeighborsClassifier(n_neighbors=n_neighbors, weights=weights, metric=metric, algorithm="brute")
    return _calibrated(nearest, calibrate, random_state)


def random_forest(
    n_estimators: int = 200,
    max_depth: int | None = None,
    min_samples_leaf: int = 2,
    balanced: bool = False,
    calibrate: bool = True,
    random_state: int = 0,
) -> Calibrated:
    """Random forest; the probability of a class is its mean share in the leaves reached.

    Parameters
    ----------
    n_estimators : int
        Trees; fit, prediction and the saved file grow in proportion.
    max_depth : int or None
        Most questions from the root to a leaf; None: until ``min_samples_leaf`` ends it.
    min_samples_leaf : int
        Fewest training faces in a leaf: more smooths the probabilities and makes smaller trees.
    balanced : bool
        Weigh classes by the inverse of their frequency.
    calibrate : bool
        Find the temperature of the probabilities on a tenth of the training faces, which takes a second fit.
    random_state : int
        Seed of the trees and of the faces held out.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        n_estimators=n_estimators,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        class_weight="balanced" if balanced else None,
        random_state=random_state,
    )
    return _calibrated(forest, calibrate, random_state)


def hist_gradient_boosting(
    learning_rate: float = 0.1,
    max_iter: int = 100,
    max_leaf_nodes: int = 31,
    min_samples_leaf: int = 20,
    l2_regularization: float = 0.0,
    max_features: float = 1.0,
    balanced: bool = False,
    calibrate: bool = True,
    random_state: int = 0,
) -> Calibrated:
    """Gradient boosting of trees on features in 255 bins, a tree for each class in every round.

    Parameters
    ----------
    learning_rate : float
        Share of each tree's answer that is added: less needs more rounds.
    max_iter : int
        Rounds; fit and prediction grow in proportion.
    max_leaf_nodes : int
        Most leaves of a tree.
    min_samples_leaf : int
        Fewest training faces in a leaf.
    l2_regularization : float
        Penalty on the answers of leaves; 0: none.
    max_features : float
        Share of the features that each split looks at: with thousands of them, 0.1 learns ten times as fast.
    balanced : bool
        Weigh classes by the inverse of their frequency.
    calibrate : bool
        Find the temperature of the probabilities on a tenth of the training faces, which takes a second fit.
    random_state : int
        Seed of the features drawn and of the faces held out.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    boosting = HistGradientBoostingClassifier(
        learning_rate=learning_rate,
        max_iter=max_iter,
        max_leaf_nodes=max_leaf_nodes,
        min_samples_leaf=min_samples_leaf,
        l2_regularization=l2_regularization,
        max_features=max_features,
        class_weight="balanced" if balanced else None,
        early_stopping=False,  # its held-out rows would be drawn without regard to who is shown
        random_state=random_state,
    )
    return _calibrated(boosting, calibrate, random_state)


def lda(shrinkage: float | str | None = "auto", calibrate: bool = True, random_state: int = 0) -> Calibrated:
    """Linear discriminant analysis.

    Parameters
    ----------
    shrinkage : float, "auto" or None
        How far the covariance is drawn towards a multiple of the identity: a share in [0, 1], Ledoit and Wolf's
        estimate of the best one (``auto``), or not at all.
    calibrate : bool
        Find the temperature of the probabilities on a tenth of the training faces, which takes a second fit.
    random_state : int
        Seed of the faces held out for ``calibrate``.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    return _calibrated(analysis, calibrate, random_state)


def gaussian_nb(var_smoothing: float = 1e-3, calibrate: bool = True, random_state: int = 0) -> Calibrated:
    """Naive Bayes with a normal distribution of each feature in each class.

    Parameters
    ----------
    var_smoothing : float
        Share of the largest variance that is added to all: bins of histograms that are 0 in nearly every face would
        decide alone.
    calibrate : bool
        Find the temperature of the probabilities on a tenth of the training faces, which takes a second fit.
    random_state : int
        Seed of the faces held out for ``calibrate``.
    """
    from sklearn.naive_bayes import GaussianNB

    return _calibrated(GaussianNB(var_smoothing=var_smoothing), calibrate, random_state)


def _calibrated(estimator: Any, calibrate: bool, random_state: int) -> Calibrated:
    check_values(estimator)  # inside, scikit-learn would look at them hours later, when it is fitted
    return Calibrated(estimator, calibrate=calibrate, random_state=random_state)
