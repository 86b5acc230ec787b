"""``ferbench detectors``: one table for people, one object for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ferbench.cli import main

SMALL = ["--dataset", "synthetic(n_test=7, cache=False)"]


def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detectors", "whole-image", "haar", *SMALL, "--iou", "0.1", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["dataset"], record["split"], record["n_images"], record["n_faces"]) == ("synthetic", "test", 7, 7)
    assert record["found_if"] == "IoU >= 0.1"
    whole, haar = record["detectors"]
    assert (whole["detector"], haar["detector"]) == ("whole-image", "haar")
    assert whole["recall"]["value"] == 1
    assert whole["mean_iou"]["value"] < 0.5 < haar["mean_iou"]["value"]
    assert sum(part["n"] for part in haar["per_class"].values()) == 7


def test_the_tables_fit_eighty_columns_and_name_every_detector(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = tmp_path / "detectors.csv"
    specs = ["whole-image", "haar(cascade=alt2, max_side=200, min_size=20)"]
    assert main(["detectors", *specs, *SMALL, "--csv", str(table)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "whole-image" in "\n".join(lines)
    assert any(line.startswith("happy") for line in lines)
    rows = pd.read_csv(table, keep_default_na=False)
    assert len(rows) == 2 * (1 + 7)
    whole = rows[(rows["detector"] == "whole-image") & (rows["label"] == "")].iloc[0]
    assert float(whole["recall"]) == 0  # the picture's border overlaps no face by half
    assert float(whole["false_alarms"]) == 1
    assert whole["mean_iou"] == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hara"], "did you mean 'haar'"),
        (["haar", "--dataset", "synthetic(kind=crops, n_test=7, cache=False)"], "nothing to detect faces in"),
        (["haar", "--split", "train"], "scenes have no splits"),
        (["haar", "--limit", "0"], "--limit"),
        (["haar", "--limit", "1", "--iou", "2"], "--iou"),
        (["haar", "--csv", "no/such/folder/x.csv"], "no such folder"),
        (["yunet(model=absent.onnx)", "--limit", "2"], "absent.onnx is no file"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detectors", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err


@pytest.mark.realdata
def test_photographs_without_true_boxes_have_no_overlap(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["detectors", "haar(max_side=160, min_size=60)", "--dataset", "lfw-emotions", "--limit", "30", "--json"])
        == 0
    )
    record = json.loads(capsys.readouterr().out)
    assert record["found_if"] == "a box holds the middle"
    (haar,) = record["detectors"]
    assert haar["mean_iou"] is None
    assert haar["recall"]["value"] > 0.8
