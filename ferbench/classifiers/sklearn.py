"""Classical classifiers by name: factories of scikit-learn estimators with ``predict_proba``.

All take (N, D) float32 features and label names, are seeded, and can be saved with skops.
"""

from __future__ import annotations

from typing import Any

from ferbench.classifiers.calibrated import Calibrated
from ferbench.classifiers.kernel_machine import Approximation
from ferbench.classifiers.kernel_svm import RBFSVM, Chi2SVM, IntersectionSVM
from ferbench.classifiers.local_svm import LocalSVM
from ferbench.classifiers.svm import LinearSVM
from ferbench.errors import ParameterError

__all__ = [
    "TRUSTED_TYPES",
    "chi2_svm",
    "gaussian_nb",
    "hist_gradient_boosting",
    "intersection_svm",
    "knn",
    "lda",
    "linear_svm",
    "local_svm",
    "logistic_regression",
    "majority",
    "random_forest",
    "rbf_svm",
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


def linear_svm(C: float = 0.01, balanced: bool = False, random_state: int = 0) -> LinearSVM:
    """Linear support vector machine; see :class:`ferbench.classifiers.svm.LinearSVM`."""
    return LinearSVM(C=C, balanced=balanced, random_state=random_state)


def rbf_svm(
    C: float = 10.0,
    gamma: float | str = "scale",
    balanced: bool = False,
    approximation: Approximation = None,
    n_components: int = 1000,
    memory_mb: int = 4000,
    cache_mb: int = 500,
    random_state: int = 0,
) -> RBFSVM:
    """Support vector machine with a Gaussian kernel; see :class:`ferbench.classifiers.kernel_svm.RBFSVM`."""
    return RBFSVM(C, gamma, balanced, approximation, n_components, memory_mb, cache_mb, random_state)


def chi2_svm(
    C: float = 10.0,
    gamma: float | str = "scale",
    balanced: bool = False,
    approximation: Approximation = None,
    n_components: int = 1000,
    memory_mb: int = 4000,
    cache_mb: int = 500,
    random_state: int = 0,
) -> Chi2SVM:
    """Support vector machine with the χ² kernel; see :class:`ferbench.classifiers.kernel_svm.Chi2SVM`."""
    return Chi2SVM(C, gamma, balanced, approximation, n_components, memory_mb, cache_mb, random_state)


def intersection_svm(
    C: float = 10.0,
    balanced: bool = False,
    approximation: Approximation = None,
    n_components: int = 1000,
    memory_mb: int = 4000,
    cache_mb: int = 500,
    random_state: int = 0,
) -> IntersectionSVM:
    """Histogram intersection machine; see :class:`ferbench.classifiers.kernel_svm.IntersectionSVM`."""
    return IntersectionSVM(C, balanced, approximation, n_components, memory_mb, cache_mb, random_state)


def local_svm(n_neighbors: int = 200, C: float = 1.0, n_iter: int = 100, random_state: int = 0) -> LocalSVM:
    """Linear machine of each face's neighbours; see :class:`ferbench.classifiers.local_svm.LocalSVM`."""
    return LocalSVM(n_neighbors=n_neighbors, C=C, n_iter=n_iter, random_state=random_state)


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


def knn(
    n_neighbors: int = 15,
    weights: str = "distance",
    metric: str = "euclidean",
    calibrate: bool = True,
    random_state: int = 0,
) -> Calibrated:
    """k nearest neighbours, by exhaustive search: no tree helps in hundreds of dimensions.

    ``calibrate``, here and below: see :class:`ferbench.classifiers.calibrated.Calibrated`.
    """
    from sklearn.neighbors import KNeighborsClassifier

    nearest = KNeighborsClassifier(n_neighbors=n_neighbors, weights=weights, metric=metric, algorithm="brute")
    return _calibrated("knn", nearest, calibrate, random_state)


def random_forest(
    n_estimators: int = 200,
    max_depth: int | None = None,
    min_samples_leaf: int = 2,
    balanced: bool = False,
    calibrate: bool = True,
    random_state: int = 0,
) -> Calibrated:
    """Random forest; the probability of a class is its mean share in the leaves reached."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        n_estimators=n_estimators,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        class_weight="balanced" if balanced else None,
        random_state=random_state,
    )
    return _calibrated("random-forest", forest, calibrate, random_state)


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
    """Gradient boosting of trees on features in 255 bins, ``max_iter`` rounds of a tree for each class.

    ``max_features`` is the share of the features that each split looks at: with thousands of them, a tenth learns ten
    times as fast.
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
    return _calibrated("hist-gradient-boosting", boosting, calibrate, random_state)


def lda(shrinkage: float | str | None = "auto", calibrate: bool = True, random_state: int = 0) -> Calibrated:
    """Linear discriminant analysis; ``shrinkage`` of the covariance is a share, or Ledoit and Wolf's (``auto``)."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    return _calibrated("lda", analysis, calibrate, random_state)


def gaussian_nb(var_smoothing: float = 1e-3, calibrate: bool = True, random_state: int = 0) -> Calibrated:
    """Naive Bayes with a normal distribution of each feature in each class.

    ``var_smoothing``, a share of the largest variance, is added to all: bins of histograms that are 0 in nearly every
    face would decide alone.
    """
    from sklearn.naive_bayes import GaussianNB

    return _calibrated("gaussian-nb", GaussianNB(var_smoothing=var_smoothing), calibrate, random_state)


def _calibrated(name: str, estimator: Any, calibrate: bool, random_state: int) -> Calibrated:
    try:
        # Inside, scikit-learn would look at the values hours later, when it is fitted.
        estimator._validate_params()
    except ValueError as error:
        raise ParameterError(f"{name} has a parameter that cannot be", got=str(error)) from error
    return Calibrated(estimator, calibrate=calibrate, random_state=random_state)
