"""Every registered component keeps its contract: the table below has a line for each, or the test fails."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from ferbench.registry import entries
from ferbench.testing import check_classifier, check_dataset, check_detector, check_features, check_network

# Parameters that make a check quick; how well a component works is tested elsewhere.
QUICK = {
    "dense-sift": "words=4, sample=2000",
    "random-convolutions": "n_filters=8",
    "pca": "n_components=5",
    "fisherfaces": "n_components=5",
    "random-forest": "n_estimators=10",
    "hist-gradient-boosting": "max_iter=5",
    "voting": "of=[gaussian-nb, lda]",
    "stacking": "of=[gaussian-nb, lda]",
    "union": "of=[hog, pixels]",
    "vgg": "width=4, blocks=(1, 1), dense=8",
    "resnet": "width=4, blocks=(1, 1)",
    "wavelet-cnn": "width=4",
    "plain-cnn": "width=4",
    "ensemble": "of=[lenet, 'se-resnet(width=4, blocks=[1])']",
    "transfer": "base=vgg16, weights=none, size=32",  # the base of fewest layers, and nothing to fetch
}
NETWORK = "epochs=1, batch_size=24"
# Datasets from files are checked where the files are; detectors with a file of the user's, in their own tests.
FROM_FILES = {"fer2013", "ferplus", "ckplus", "rafdb", "affectnet", "images", "lfw-emotions"}


def spec(name: str) -> str:
    return f"{name}({QUICK[name]})" if name in QUICK else name


def own(group: str) -> list[str]:
    return [name for name, entry in entries(group).items() if entry.package == "ferbench"]


def networks() -> list[str]:
    return [name for name in own("classifiers") if "keras" in entries("classifiers")[name].target]


def skip_without_extra(group: str, name: str) -> None:
    entry = entries(group)[name]
    if entry.needs and find_spec(entry.needs) is None:
        pytest.skip(f"needs the {entry.extra} extra")


@pytest.mark.parametrize("name", own("detectors"))
def test_detectors(name: str) -> None:
    skip_without_extra("detectors", name)
    check_detector(spec(name))


@pytest.mark.parametrize("name", own("features"))
def test_features(name: str) -> None:
    skip_without_extra("features", name)
    check_features(spec(name))


@pytest.mark.parametrize("name", [name for name in own("classifiers") if name not in networks()])
def test_classifiers(name: str) -> None:
    check_classifier(spec(name))


@pytest.mark.deep
@pytest.mark.parametrize("name", networks())
def test_networks(name: str) -> None:
    skip_without_extra("classifiers", name)
    check_network(f"{name}({', '.join([NETWORK, *filter(None, [QUICK.get(name)])])})")


@pytest.mark.parametrize("name", [name for name in own("datasets") if name not in FROM_FILES])
def test_built_in_datasets(name: str) -> None:
    check_dataset(f"{name}(kind=crops, n_train=7, n_val=7, n_test=7)")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "splits"),
    [("fer2013", ("train", "val")), ("ferplus", ("train", "val")), ("ckplus", None), ("lfw-emotions", None)],
)
def test_real_datasets(name: str, splits: tuple[str, ...] | None, real_data: object) -> None:
    check_dataset(name, splits=splits)
