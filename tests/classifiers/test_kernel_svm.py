"""χ² and intersection machines: kernel values, margins and maps known from scikit-learn and from their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.kernel_approximation import AdditiveChi2Sampler, Nystroem
from sklearn.metrics.pairwise import additive_chi2_kernel, chi2_kernel
from sklearn.svm import SVC

from ferbench.classifiers.kernel_svm import RBFSVM, Chi2SVM, IntersectionSVM
from ferbench.classifiers.kernels import additive_map, chi2_distance, gaussian, intersection, nystroem_projection
from ferbench.classifiers.sklearn import TRUSTED_TYPES
from ferbench.errors import DataError, ParameterError
from ferbench.registry import create
from ferbench.testing import check_classifier

SPECS = [
    f"{name}(approximation={approximation}, n_components=40)"
    for name in ("rbf-svm", "chi2-svm", "intersection-svm")
    for approximation in ("None", "nystroem", "additive")
    if (name, approximation) != ("rbf-svm", "additive")
]
NAMES = np.array(["angry", "happy", "sad"])


def histograms(n: int, seed: int = 0, bins: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Histograms with empty bins, and their classes: each prefers some bins."""
    rng = np.random.default_rng(seed)
    index = rng.integers(0, 3, n)
    weight = np.where(np.arange(bins) % 3 == index[:, None], 2.0, 1.0)
    counts = np.stack([rng.multinomial(25, row / row.sum()) for row in weight])
    return (counts / 25).astype(np.float32), NAMES[index]


def smallest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.minimum(rows[:, None], others[None]).sum(axis=2)


@pytest.mark.parametrize("bins", [1, 30, 3000])
def test_chi2_distance_equals_scikit_learns(bins: int) -> None:
    rows, others = histograms(20, 1, bins)[0], histograms(90, 2, bins)[0]
    got = chi2_distance(rows, others, others.sum(axis=1))
    np.testing.assert_allclose(got, -additive_chi2_kernel(rows.astype(float), others.astype(float)), atol=2e-6)
    assert got.dtype == np.float32


@pytest.mark.parametrize("bins", [1, 30, 3000])
def test_intersection_equals_its_formula(bins: int) -> None:
    rows, others = histograms(20, 1, bins)[0], histograms(90, 2, bins)[0]
    np.testing.assert_allclose(intersection(rows, others), smallest(rows, others), atol=1e-6)


@pytest.mark.parametrize("spec", SPECS)
def test_kernel_machines_keep_the_contract(spec: str) -> None:
    check_classifier(spec)


@pytest.mark.parametrize("spec", SPECS)
def test_kernel_machines_learn_and_are_saved(spec: str) -> None:
    rows, labels = histograms(300)
    fitted = create("classifiers", spec).fit(rows[:200], labels[:200])
    assert (fitted.predict(rows[200:]) == labels[200:]).mean() > 0.7  # chance: 0.33
    loaded = skops.io.loads(skops.io.dumps(fitted), trusted=list(TRUSTED_TYPES))
    np.testing.assert_allclose(loaded.predict_proba(rows), fitted.predict_proba(rows), rtol=1e-6)


@pytest.mark.parametrize("name", ["chi2", "intersection"])
def test_exact_machines_have_the_margins_of_libsvm(name: str) -> None:
    rows, labels = histograms(200)
    wide = rows.astype(np.float64)
    if name == "chi2":
        ours, kernel = Chi2SVM(C=2, gamma=0.7), chi2_kernel(wide, gamma=0.7)
    else:
        ours, kernel = IntersectionSVM(C=2), smallest(wide, wide)  # rows sum to 1: the scale is 1
    known = SVC(C=2, kernel="precomputed", decision_function_shape="ovo").fit(kernel, labels)
    margins = np.clip(known.decision_function(kernel), -1, 1)
    expected = np.stack(
        [margins[:, 0] + margins[:, 1], margins[:, 2] - margins[:, 0], -margins[:, 1] - margins[:, 2]], axis=1
    )
    np.testing.assert_allclose(ours.fit(rows, labels).decision_function(rows), expected, atol=5e-3)


def test_gamma_is_by_default_the_inverse_of_the_mean_distance() -> None:
    rows, labels = histograms(100)
    distance = -additive_chi2_kernel(rows.astype(np.float64))
    expected = 1 / distance[~np.eye(100, dtype=bool)].mean()
    assert Chi2SVM().fit(rows, labels).gamma_ == pytest.approx(expected, rel=1e-4)


def test_the_scale_of_features_does_not_matter_to_histogram_kernels() -> None:
    rows, labels = histograms(150)
    for model in (Chi2SVM(), IntersectionSVM(), IntersectionSVM(approximation="additive")):
        once = model.fit(rows, labels).predict_proba(rows)
        np.testing.assert_allclose(model.fit(50 * rows, labels).predict_proba(50 * rows), once, atol=0.02)


def test_the_additive_map_of_chi2_is_scikit_learns() -> None:
    rows = histograms(50)[0]
    known = AdditiveChi2Sampler(sample_steps=2).fit_transform(rows.astype(np.float64))
    got = additive_map(rows, "chi2")
    assert got.shape == (50, 90)
    np.testing.assert_allclose(got, known, atol=1e-5)


@pytest.mark.parametrize("kernel", ["chi2", "intersection"])
def test_additive_maps_approximate_their_kernels(kernel: str) -> None:
    rows = histograms(60)[0]
    mapped = additive_map(rows, kernel)
    wide = rows.astype(np.float64)
    exact = smallest(wide, wide) if kernel == "intersection" else 1 + additive_chi2_kernel(wide) / 2
    error = np.abs(mapped @ mapped.T - exact)  # of 1, the value of a histogram with itself
    assert error[~np.eye(60, dtype=bool)].max() < 0.15
    assert np.diag(error).max() < (0.3 if kernel == "intersection" else 0.12)  # one harmonic cannot follow its peak


def test_nystroem_features_have_the_inner_products_of_scikit_learns() -> None:
    rows = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    known = Nystroem("rbf", gamma=0.1, n_components=25, random_state=0).fit(rows)
    length = np.einsum("ij,ij->i", known.components_, known.components_)
    basis = gaussian(known.components_, known.components_, length, 0.1)
    got = gaussian(rows, known.components_, length, 0.1) @ nystroem_projection(basis)
    expected = known.transform(rows.astype(np.float64))
    np.testing.assert_allclose(got @ got.T, expected @ expected.T, atol=1e-3)


def test_nystroem_with_every_row_is_nearly_the_exact_machine() -> None:
    rows, labels = histograms(200)
    exact = Chi2SVM(C=1).fit(rows[:150], labels[:150]).predict(rows[150:])
    near = Chi2SVM(C=1, approximation="nystroem", n_components=150).fit(rows[:150], labels[:150]).predict(rows[150:])
    assert (exact == near).mean() > 0.9


@pytest.mark.parametrize("name", ["chi2-svm", "intersection-svm"])
def test_negative_features_are_one_clear_error_when_fitted_and_when_asked(name: str) -> None:
    rows, labels = histograms(60)
    with pytest.raises(DataError, match=r"a feature of -1.*0 or more.*rbf-svm"):
        create("classifiers", name).fit(rows - 1, labels)
    with pytest.raises(DataError, match="histograms"):
        create("classifiers", name).fit(rows, labels).predict_proba(rows - 1)


def test_a_training_set_that_memory_cannot_hold_is_refused_before_work() -> None:
    rows = np.zeros((3000, 1), np.float32)
    labels = np.array(["happy", "sad"])[np.arange(3000) % 2]
    with pytest.raises(DataError, match=r"3,000 rows, 90 MB.*memory_mb=50.*nystroem"):
        whole_fit(RBFSVM(memory_mb=50), rows, labels)


def whole_fit(model: RBFSVM, rows: np.ndarray, labels: np.ndarray) -> None:
    """Without the calibration fit before it, to half of the rows, which would be told of first."""
    model.classes_ = np.unique(labels)
    model._fit_scores(rows, labels)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rbf-svm(approximation=additive)", "approximation.*None or nystroem"),
        ("chi2-svm(approximation=fast)", "approximation.*nystroem or additive"),
        ("chi2-svm(approximation=additive, gamma=2)", "no gamma"),
        ("chi2-svm(gamma=-1)", "gamma"),
        ("intersection-svm(n_components=0.5)", "n_components"),
        ("intersection-svm(C=0)", "parameter C"),
    ],
)
def test_bad_parameters_are_named(spec: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        create("classifiers", spec).fit(*histograms(50))


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("chi2-svm", 10),
        ("chi2-svm(approximation=nystroem)", 10),
        ("chi2-svm(approximation=additive)", 0.1),
        ("intersection-svm(approximation=additive)", 0.3),
        ("intersection-svm(approximation=additive, C=2)", 2),
        ("rbf-svm", 10),
    ],
)
def test_an_approximation_has_a_regularisation_of_its_own(spec: str, value: float) -> None:
    rows, labels = np.random.default_rng(0).random((60, 8), np.float32), np.array(["happy", "sad"] * 30)
    model = create("classifiers", spec)
    alike = clone(model).set_params(C=value)
    other = clone(model).set_params(C=value * 30)
    scores = [one.fit(rows, labels).decision_function(rows) for one in (model, alike, other)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_a_gaussian_kernel_sees_as_well_far_from_the_origin() -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["angry", "happy", "sad"])[np.arange(240) % 3]
    rows = (rng.normal(size=(240, 136)) + 0.8 * np.eye(3, 136)[np.arange(240) % 3]).astype(np.float32)
    for approximation in (None, "nystroem"):
        near, far = (
            RBFSVM(C=1, approximation=approximation).fit(rows + offset, labels).decision_function(rows + offset)
            for offset in (np.float32(0), np.float32(3000))
        )
        np.testing.assert_allclose(far, near, atol=0.02)
