"""What holds for every registered feature extractor, and the plain ones' own behaviour."""

from __future__ import annotations

import numpy as np
import pytest
import skops.io
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from ferbench.classifiers.sklearn import TRUSTED_TYPES, majority
from ferbench.errors import FerbenchError, ParameterError, ShapeError
from ferbench.errors import NotFittedError as OurNotFittedError
from ferbench.features.pca import PCAFeatures
from ferbench.features.pixels import Pixels
from ferbench.features.union import Union
from ferbench.registry import create
from ferbench.testing import ConformanceError, check_features

SPECS = [
    "pixels",
    "pixels(standardise=True)",
    "lbp",
    "lbp(grid=5, radius=2, method=uniform, norm=l1)",
    "hog",
    "hog(cell=7, block=1, signed=True)",
    "pca(n_components=10)",
    "pca(n_components=5, of=['hog(cell=12)', 'lbp(grid=3)'], whiten=True, normalise=True, max_fit_samples=40)",
    "lbp(grid=4, radius=[1, 2], compound='s_m/c', method=uniform)",
    "gabor(scales=3, orientations=4, grid=4)",
    "wavelet(wavelet=db2)",
    "wavelet(level=1, bands=details, grid=5)",
    "fisherfaces(n_components=10)",
    "fisherfaces(n_components=6, of=['hog(cell=12)', 'lbp(grid=3)'])",
    "dense-sift(words=20, sizes=[8, 12], components=12, levels=[1, 2])",
    "dense-sift(words=4, components=None, sizes=12, encoding=soft, root=False)",
    "dense-sift(words=8, components=12, sizes=16, encoding=presence, levels=2)",
    "dense-sift(words=4, components=5, sizes=16, encoding=vlad, levels=1)",
    "dense-sift(words=4, components=5, sizes=16, encoding=fisher, levels=[1, 2])",
    "random-convolutions(n_filters=20, filters=random, sample=500)",
    "random-convolutions(n_filters=10, filters=patches, size=5, step=2, grid=2, sample=500)",
    "random-convolutions(n_filters=10, sample=2000)",
    "optical-flow(grid=4)",
    "optical-flow(method=farneback, bins=0, neutral=None)",
    "union(of=[pixels, 'fisherfaces(n_components=6)'], weights=[1, 0.5])",
]


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (80, 8, 8)).repeat(6, axis=1).repeat(6, axis=2)
    return np.clip(coarse + rng.integers(-15, 16, coarse.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("spec", SPECS)
def test_registered_features_keep_the_contract(spec: str) -> None:
    check_features(spec)


@pytest.mark.parametrize("spec", SPECS)
def test_features_take_crops_of_any_size(spec: str) -> None:
    check_features(spec, size=31)


def test_union_keeps_the_contract() -> None:
    check_features(Union(["pixels", "lbp(grid=3)"]))


@pytest.mark.parametrize("spec", SPECS)
def test_features_survive_saving_without_pickle(spec: str, crops: np.ndarray) -> None:
    fitted = make_pipeline(create("features", spec), majority()).fit(
        crops, np.array(["sad", "neutral"])[np.arange(80) % 2]
    )
    loaded = skops.io.loads(skops.io.dumps(fitted), trusted=list(TRUSTED_TYPES))
    np.testing.assert_allclose(loaded[0].transform(crops), fitted[0].transform(crops), rtol=1e-5, atol=1e-6)


def test_pixels_are_scaled_to_one() -> None:
    crop = np.array([[[0, 51], [102, 255]]], np.uint8)
    np.testing.assert_allclose(Pixels().transform(crop), [[0, 0.2, 0.4, 1]], atol=1e-6)


def test_standardised_pixels_ignore_brightness_and_contrast(crops: np.ndarray) -> None:
    dark = (crops // 4) * 2
    bright = dark + np.uint8(40)
    features = Pixels(standardise=True)
    np.testing.assert_allclose(features.transform(dark), features.transform(bright), atol=1e-4)
    np.testing.assert_array_equal(features.transform(np.full((1, 9, 9), 7, np.uint8)), np.zeros((1, 81)))


def test_pca_equals_scikit_learns_exact_solution() -> None:
    """Four patterns of different strength in noise: the components are well apart, as eigenfaces are."""
    rng = np.random.default_rng(0)
    patterns, strengths = rng.normal(size=(4, 24, 24)), rng.normal(size=(200, 4)) * [20, 12, 7, 4]
    gray = 128 + np.tensordot(strengths, patterns, 1) + rng.normal(size=(200, 24, 24))
    crops = np.clip(gray, 0, 255).astype(np.uint8)
    rows = Pixels().transform(crops).astype(np.float64)
    exact = PCA(4, svd_solver="full").fit(rows)
    ours = PCAFeatures(n_components=4).fit(crops)
    np.testing.assert_allclose(np.abs(ours.transform(crops)), np.abs(exact.transform(rows)), atol=5e-3)
    np.testing.assert_allclose(ours.explained_variance_ratio_, exact.explained_variance_ratio_, rtol=1e-3)


def test_whitened_components_have_unit_variance(crops: np.ndarray) -> None:
    rows = PCAFeatures(n_components=8, whiten=True).fit(crops).transform(crops)
    np.testing.assert_allclose(rows.std(axis=0, ddof=1), 1, rtol=1e-3)


def test_normalised_rows_have_unit_length(crops: np.ndarray) -> None:
    rows = PCAFeatures(n_components=8, normalise=True).fit(crops).transform(crops)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_whitening_crops_without_variance_stays_finite() -> None:
    flat = np.full((20, 12, 12), 90, np.uint8)
    flat[::2] = 30  # one direction of variance, four components asked for
    assert np.isfinite(PCAFeatures(n_components=4, whiten=True).fit(flat).transform(flat)).all()


def test_pca_limits_the_samples_it_fits_to(crops: np.ndarray) -> None:
    with pytest.raises(ParameterError, match="at most 12"):
        PCAFeatures(n_components=20, max_fit_samples=12).fit(crops)


def test_pca_names_crops_of_another_size(crops: np.ndarray) -> None:
    fitted = PCAFeatures(n_components=4).fit(crops)
    with pytest.raises(ShapeError, match="24×24"):
        fitted.transform(crops[:, ::2, ::2])


def test_unfitted_features_that_learn_say_so(crops: np.ndarray) -> None:
    learnt = ("fisherfaces", "dense-sift", "random-convolutions", "optical-flow", "landmarks")
    for features in (PCAFeatures(), Union(["pixels"]), *(create("features", name) for name in learnt)):
        with pytest.raises(OurNotFittedError):
            features.transform(crops)


def test_union_is_its_parts_side_by_side(crops: np.ndarray) -> None:
    joined = Union(["pixels", "hog(cell=12)"]).fit(crops).transform(crops)
    expected = [create("features", s).transform(crops) for s in ("pixels", "hog(cell=12)")]
    np.testing.assert_array_equal(joined, np.concatenate(expected, axis=1))


def test_union_is_stateless_when_all_its_parts_are() -> None:
    assert Union(["pixels", "lbp"]).is_stateless
    assert not Union(["pixels", "pca(n_components=3)"]).is_stateless


def test_hog_of_several_cell_sizes_is_joined_by_a_union(crops: np.ndarray) -> None:
    sizes = [f"hog(cell={cell})" for cell in (6, 8, 12)]
    expected = np.concatenate([create("features", size).transform(crops) for size in sizes], axis=1)
    np.testing.assert_array_equal(Union(sizes).fit_transform(crops), expected)


def test_a_union_weighs_its_parts(crops: np.ndarray) -> None:
    plain = Union(["pixels", "hog(cell=12)"]).fit(crops).transform(crops)
    weighed = Union(["pixels", "hog(cell=12)"], weights=[2, 0.5]).fit(crops).transform(crops)
    np.testing.assert_allclose(weighed[:, :2304], 2 * plain[:, :2304])
    np.testing.assert_allclose(weighed[:, 2304:], plain[:, 2304:] / 2)
    for weights in ([1], [1, -1], [1, "2"]):
        with pytest.raises(ParameterError, match="weights"):
            Union(["pixels", "lbp"], weights=weights).fit(crops)


def test_pca_hands_labels_on_to_features_that_need_them(crops: np.ndarray) -> None:
    labels = np.array(["sad", "happy"])[np.arange(80) % 2]
    spec = "fisherfaces(n_components=6)"
    both = PCAFeatures(n_components=1, of=["pixels", spec], max_fit_samples=40).fit(crops, labels)
    assert both.transform(crops).shape == (80, 1)


@pytest.mark.parametrize("of", [[], 3, [3]])
def test_union_of_nothing_is_refused(of: object, crops: np.ndarray) -> None:
    with pytest.raises(ParameterError, match="parameter of"):
        PCAFeatures(of=of).fit(crops)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pca(n_components=0)", "n_components"),
        ("pca(whiten=3)", "whiten"),
        ("lbp(grid=0)", "grid"),
        ("lbp(method=round)", "method"),
        ("lbp(norm=l7)", "norm"),
        ("lbp(points=3)", "points"),
        ("lbp(radius=0)", "radius"),
        ("lbp(points=16, method=default)", "too many features"),
        ("hog(cell=1)", "cell"),
        ("hog(block=0)", "block"),
        ("hog(bins=2.5)", "bins"),
        ("hog(signed=3)", "signed"),
        ("hog(cell=30)", "too small"),
        ("lbp(grid=60, method=uniform)", "too small"),
        ("lbp(radius=[])", "radius"),
        ("lbp(radius=[1, 0])", "radius"),
        ("lbp(compound='c')", "compound"),
        ("lbp(compound='s/m/c')", "too many features"),
        ("gabor(scales=0)", "scales"),
        ("gabor(shortest=1)", "shortest"),
        ("gabor(scales=12, shortest=100)", "too many scales"),
        ("gabor(grid=40)", "too small"),
        ("wavelet(wavelet=har)", "haar"),
        ("wavelet(level=6)", "at most 5"),
        ("wavelet(bands=half)", "bands"),
        ("wavelet(grid=20)", "smaller than the grid"),
        ("fisherfaces(n_components=0)", "n_components"),
        ("dense-sift(sizes=[])", "sizes"),
        ("dense-sift(sizes=[12, 60])", "smaller than the patches"),
        ("dense-sift(components=200)", "components"),
        ("dense-sift(encoding=bag)", "encoding"),
        ("dense-sift(levels=[1, 0])", "levels"),
        ("dense-sift(levels=[])", "levels"),
        ("dense-sift(words=2000, levels=16)", "too many features"),
        ("dense-sift(words=300, sample=200)", "sample"),
        ("dense-sift(sizes=40, words=900)", "too few crops"),
        ("random-convolutions(filters=learnt)", "filters"),
        ("random-convolutions(size=47)", "too small"),
        ("random-convolutions(whitening=0)", "whitening"),
        ("random-convolutions(n_filters=9000, grid=4)", "too many features"),
        ("random-convolutions(n_filters=900, sample=400)", "too few crops"),
        ("optical-flow(method=lucas)", "method"),
        ("optical-flow", "labelled 'neutral'"),
        ("optical-flow(bins=-1, neutral=None)", "bins"),
    ],
)
def test_bad_parameters_are_named_when_features_are_used(spec: str, message: str, crops: np.ndarray) -> None:
    with pytest.raises(FerbenchError, match=message):
        create("features", spec).fit(crops)


def test_the_conformance_check_catches_float64_features() -> None:
    class Wrong(Pixels):
        def transform(self, X: np.ndarray) -> np.ndarray:
            return super().transform(X).astype(np.float64)

    with pytest.raises(ConformanceError, match="float64"):
        check_features(Wrong())
