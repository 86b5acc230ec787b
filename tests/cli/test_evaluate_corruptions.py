"""`ferbench evaluate --corruptions`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ferbench.benchmarks.corruptions import CORRUPTIONS
from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.robustness import Robustness
from ferbench.cli import main
from ferbench.cli.evaluate import _robustness_lines, _robustness_record
from ferbench.datasets import load_dataset
from ferbench.pipelines import make_pipeline

SYNTHETIC = "synthetic(kind=crops, n_train=70, n_val=0, n_test=35)"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    pipeline = make_pipeline("whole-image", "pixels", "knn").fit(load_dataset(SYNTHETIC, split="train"))
    return str(pipeline.save(tmp_path_factory.mktemp("models") / "knn"))


def test_a_table_of_80_columns_with_a_row_for_each_corruption(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", trained, "--dataset", SYNTHETIC, "--corruptions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for name in CORRUPTIONS:
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert len(line.split()) == 7
    order = [next(i for i, line in enumerate(lines) if line.startswith(word)) for word in ("clean", "noise", "mean c")]
    assert order == sorted(order)
    assert any(line.startswith("relative to clean") and "[" in line for line in lines)


def test_json_holds_the_same(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", trained, "--dataset", SYNTHETIC, "--corruptions", "noise,jpeg", "--json"]
    assert main(command) == 0
    record = json.loads(capsys.readouterr().out)
    found = record["robustness"]
    assert list(found["corruptions"]) == ["noise", "jpeg"]
    assert found["clean"] == pytest.approx(record["accuracy"])
    means = [one["mean"] for one in found["corruptions"].values()]
    assert found["mean"] == pytest.approx(sum(means) / 2)
    assert found["mean_ci"][0] <= found["mean"] <= found["mean_ci"][1]
    assert found["corruptions"]["jpeg"]["values"] == [40, 25, 15, 9, 5]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == record, "the same again"


def test_a_share_of_nothing_is_not_defined() -> None:
    zero = Estimate(value=0.0, low=0.0, high=0.3)
    spoilt = Robustness(
        clean=zero, accuracy={"jpeg": (0.0, 0.1, 0.2, 0.1, 0.1)}, mean=zero, relative=Estimate(value=float("nan")),
        n=12, seed=0, interval_over="faces",
    )  # fmt: skip
    record = _robustness_record(spoilt)
    assert record["relative"] is None
    json.dumps(record, allow_nan=False)
    (line,) = [line for line in _robustness_lines(record) if line.startswith("relative to clean")]
    assert line.endswith(" –")


@pytest.mark.parametrize(
    ("dataset", "names", "says"),
    [
        (SYNTHETIC, "noice", "did you mean 'noise'"),
        ("synthetic(n_train=0, n_val=0, n_test=7)", "all", "face crops"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    trained: str, dataset: str, names: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["evaluate", trained, "--dataset", dataset, "--corruptions", names]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error.splitlines()[-1]
