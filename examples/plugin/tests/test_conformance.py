"""What ferbench relies on, tried on every component of this package."""

from ferbench.testing import check_classifier, check_dataset, check_detector, check_features, check_pipeline


def test_detector():
    check_detector("centre")


def test_features():
    check_features("gradient-means(grid=4)")


def test_classifier():
    check_classifier("nearest-mean")


def test_dataset():
    check_dataset("stripes(n=12)")


def test_together():
    check_pipeline("centre/gradient-means/nearest-mean")
