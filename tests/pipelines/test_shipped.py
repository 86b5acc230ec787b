"""The pipelines that come along: their size, their record, and what they say."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from ferbench.datasets import load_dataset
from ferbench.pipelines import load_pipeline, shipped
from ferbench.pipelines.lineage import compared_on

MEGABYTES = {"tiny": 1.0, "tiny-ferplus": 1.0, "accurate": 10.0, "accurate-ferplus": 10.0}
"""Most that the file which runs may take."""

FOLDERS = {"tiny": 3.0, "tiny-ferplus": 3.0, "accurate": 18.0, "accurate-ferplus": 14.0}
"""Most that all files together may take, the network that others are made of among them."""

_VOTES = "ferplus(mode=plurality)"
LABELS = {"tiny": "fer2013", "tiny-ferplus": _VOTES, "accurate": "fer2013", "accurate-ferplus": _VOTES}
"""Whose labels of PublicTest a card is about."""

FLOORS = {"tiny": 0.685, "tiny-ferplus": 0.8, "accurate": 0.705, "accurate-ferplus": 0.81}
"""Least accuracy by them."""

CALIBRATION = 0.03
"""Largest expected calibration error by them."""

each = pytest.mark.parametrize("name", MEGABYTES)


def test_these_come_along() -> None:
    assert set(shipped()) == set(MEGABYTES)


@each
def test_the_file_that_runs_is_small_and_its_agreement_is_on_record(name: str) -> None:
    folder = shipped()[name]
    assert (folder / "model.dynamic.tflite").stat().st_size <= MEGABYTES[name] * 1e6
    assert sum(file.stat().st_size for file in folder.iterdir()) <= FOLDERS[name] * 1e6
    record = json.loads((folder / "pipeline.json").read_text())
    assert record["pipeline"].endswith("@litert(quantize=dynamic)")
    (agreement,) = record["agreement"].values()
    assert agreement["n"] == (3579 if LABELS[name] == "fer2013" else 3554)
    assert agreement["flips"] / agreement["n"] < 0.03
    assert abs(agreement["accuracy_difference"]) < 0.005
    assert record["trained_on"]["split"] == "train"
    assert record["trained_on"]["calibrated_on"]["split"] == "val"
    compared = [(one["dataset"], one["split"]) for one in compared_on(record["trained_on"])]
    assert ("fer2013", "val") in compared, "its card says so"


@each
def test_its_card_says_what_it_must_not_be_used_for(name: str) -> None:
    card = (shipped()[name] / "CARD.md").read_text(encoding="utf-8")
    for words in ("An expression is not an emotion", "must not be", "rights in the data", "temperature", "low-light"):
        assert words in card


@each
def test_its_card_leads_to_what_the_corruptions_are(name: str) -> None:
    card = (shipped()[name] / "CARD.md").read_text(encoding="utf-8")
    assert re.findall(r"\[what they\s+are\]\(([^)]*)\)", card) == ["../../../../docs/robustness.md"]


@pytest.mark.deep
@each
def test_the_network_beside_it_says_the_same(name: str) -> None:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    crops = np.asarray(load_dataset("synthetic(kind=crops, n_train=7, n_val=7, n_test=70)", split="test").images)
    runs = load_pipeline(name)
    network = runs.with_runtime("keras")
    agreement = runs.agreement(crops, network)
    assert agreement["max_abs_difference"] < 0.15
    assert agreement["flips"] <= 3


@pytest.mark.deep
@pytest.mark.parametrize("runtime", ["onnx", "opencv"])
def test_its_network_is_converted_for_other_runtimes_as_it_is_loaded(runtime: str) -> None:
    pytest.importorskip("tf2onnx", reason="needs the onnx extra: pip install 'ferbench[onnx]'")
    crops = np.asarray(load_dataset("synthetic(kind=crops, n_train=7, n_val=7, n_test=35)", split="test").images)
    agreement = load_pipeline("tiny", runtime=runtime).agreement(crops, load_pipeline("tiny", runtime="keras"))
    assert agreement["max_abs_difference"] < 1e-4


@pytest.mark.realdata
@pytest.mark.usefixtures("real_data")
@each
def test_it_is_as_good_and_as_calibrated_as_its_card_says(name: str) -> None:
    from ferbench.benchmarks.evaluation import evaluate

    quality = evaluate(load_pipeline(name), load_dataset(LABELS[name], split="val"), contempt="drop").quality
    assert quality.end_to_end["accuracy"].value >= FLOORS[name]
    assert quality.detected["ece"].value <= CALIBRATION
