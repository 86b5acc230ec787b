"""Trained networks made one: the mean of their scores, whatever runs it, and what its record says."""

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.deep
keras = pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")

from ferbench.cli import main  # noqa: E402
from ferbench.errors import ParameterError  # noqa: E402
from ferbench.pipelines import Pipeline, average_networks, combine_networks, load_pipeline, make_pipeline  # noqa: E402
from ferbench.registry import create  # noqa: E402

SMALL = "se-resnet(width=2, blocks=[1], epochs=1, seed={})"
SYNTHETIC = "synthetic(kind=crops, n_train=21, n_val=14, n_test=7)"


@pytest.fixture(scope="module")
def networks(crops, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pipeline]:
    return {name: make_pipeline(SMALL.format(seed)).fit(*crops) for seed, name in enumerate(("a", "b"))}


def mean_of(networks: dict[str, Pipeline], faces: np.ndarray, shares: list[float]) -> np.ndarray:
    """The normalised geometric mean, as its definition says."""
    logs = [np.log(network.estimator_.predict_proba(faces).astype(np.float64)) for network in networks.values()]
    p = np.exp(np.average(logs, axis=0, weights=shares))
    return p / p.sum(axis=1, keepdims=True)


def test_it_answers_by_the_weighted_geometric_mean(networks: dict[str, Pipeline], crops) -> None:
    faces = crops[0][:9]
    both = combine_networks(networks, shares=[3, 1])
    np.testing.assert_allclose(both.estimator_.predict_proba(faces), mean_of(networks, faces, [3, 1]), atol=1e-6)
    assert not np.allclose(mean_of(networks, faces, [3, 1]), mean_of(networks, faces, [1, 1]), atol=1e-4)


def test_with_mirrors_a_face_and_its_mirror_image_are_the_same(networks: dict[str, Pipeline], crops) -> None:
    faces = crops[0][:9]
    mirrored = np.ascontiguousarray(faces[:, :, ::-1])
    both = combine_networks(networks, mirror=True).estimator_
    np.testing.assert_allclose(both.predict_proba(faces), both.predict_proba(mirrored), atol=1e-6)
    alone = combine_networks({"a": networks["a"]}, mirror=True).estimator_.predict_proba(faces)
    views = [networks["a"].estimator_.predict_proba(view).astype(float) for view in (faces, mirrored)]
    p = np.sqrt(views[0] * views[1])
    np.testing.assert_allclose(alone, p / p.sum(axis=1, keepdims=True), atol=1e-6)
    assert not np.allclose(mean_of(networks, faces, [1, 1]), mean_of(networks, mirrored, [1, 1]), atol=1e-4)


def test_saved_calibrated_and_converted_it_is_one_network(networks: dict[str, Pipeline], crops, tmp_path: Path) -> None:
    faces, labels = crops
    both = combine_networks(networks, mirror=True)
    before = both.estimator_.predict_proba(faces)
    temperature = both.estimator_.calibrate(faces, labels)
    scaled = before ** (1 / temperature)
    both.save(tmp_path)
    for runtime in ("litert", "keras"):
        again = load_pipeline(tmp_path, runtime=runtime)
        np.testing.assert_allclose(
            again.classify(faces)[:, 3:6], scaled / scaled.sum(axis=1, keepdims=True), atol=1e-5, err_msg=runtime
        )
    assert create("classifiers", again.parts.classifier).network_params["mirror"] is True


def test_the_record_names_members_and_teachers(networks: dict[str, Pipeline]) -> None:
    a, b = networks.values()
    faces = {"dataset": "fer2013", "split": "train", "revision": "1", "n": 90}
    a.trained_on, b.trained_on = faces | {"teachers": ["t", "u"], "seed": 1}, faces | {"teachers": ["u", "v"]}
    try:
        record = combine_networks(networks).trained_on
    finally:
        a.trained_on, b.trained_on = {}, {}
    assert record["teachers"] == ["t", "u", "v"]
    assert {key: record[key] for key in faces} == faces
    assert record["members"][0] == {"pipeline": "a", "share": 1.0, "n": 90, "teachers": ["t", "u"], "seed": 1}


def test_a_mean_of_weights_is_one_network_of_the_same_layers(networks: dict[str, Pipeline], crops) -> None:
    first = networks["a"]
    on = make_pipeline(SMALL.format(2)).fit(*crops, initial=first.estimator_.model_)
    mean = average_networks({"a": first, "b": on}, shares=[3, 1])
    a, b = (network.estimator_.model_.get_weights() for network in (first, on))
    for one, other, of_both in zip(a, b, mean.estimator_.model_.get_weights(), strict=True):
        np.testing.assert_allclose(of_both, 0.75 * one + 0.25 * other, atol=1e-6)
    assert mean.id == "whole-image/se-resnet(blocks=[1], width=2)@litert"
    assert mean.trained_on["mean_of"] == "weights"
    assert [(one["pipeline"], one["share"]) for one in mean.trained_on["members"]] == [("a", 3), ("b", 1)]
    assert mean.estimator_.predict_proba(crops[0]).shape == (len(crops[0]), len(mean.classes_))


def test_weights_of_other_layers_or_of_another_origin_have_no_mean(networks: dict[str, Pipeline], crops) -> None:
    with pytest.raises(
        ParameterError, match=r"b and a are not of one origin.*expected 0\.5 or more.*combine their scores"
    ):
        average_networks(networks)
    other = make_pipeline("se-resnet(width=4, blocks=[1], epochs=1)").fit(*crops)
    with pytest.raises(ParameterError, match="c has other layers than a: got se-resnet"):
        average_networks(networks | {"c": other})
    with pytest.raises(ParameterError, match="nothing to average"):
        average_networks({"a": networks["a"]})


def test_what_does_not_belong_together_is_refused(networks: dict[str, Pipeline], crops) -> None:
    a, b = networks.values()
    with pytest.raises(ParameterError, match="nothing to combine"):
        combine_networks({"a": a})
    for shares in ([1.0], [1.0, 0.0], [1.0, float("nan")]):
        with pytest.raises(ParameterError, match="2 numbers above 0"):
            combine_networks(networks, shares=shares)
    with pytest.raises(ParameterError, match="c has no network to combine"):
        combine_networks({"a": a, "c": make_pipeline("pixels/knn").fit(*crops)})
    b.trained_on = {"dataset": "ckplus"}
    try:
        with pytest.raises(ParameterError, match="b and a differ in their dataset"):
            combine_networks(networks)
    finally:
        b.trained_on = {}


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(tmp_path / name) for name in ("a", "b")]
    for seed, name in enumerate(names):
        assert main(["train", SMALL.format(seed), "--dataset", SYNTHETIC, "--out", name]) == 0
    out = tmp_path / "both"
    data, out_to = ["--dataset", SYNTHETIC], ["--out", str(out)]
    good = [*names, "--shares", "2", "1", *data, "--val-split", "val", "--calibrate", "--half", *out_to]
    assert main(["combine", *good]) == 0
    assert "on synthetic val" in capsys.readouterr().err
    assert [m["share"] for m in load_pipeline(out).trained_on["members"]] == [2.0, 1.0]
    assert main(["combine", *good]) == 0
    capsys.readouterr()
    for bad, message in (
        ([names[0], names[0]], "is named twice"),
        ([*names, "--shares", "2", "1", *data, "--val-split", "train"], "learnt from --val-split"),
        (
            names,
            "holds a pipeline that learnt otherwise: got members a (2.0), b (1.0), expected members a (1.0), b (1.0)",
        ),
        ([*names, "--calibrate"], "--calibrate needs --val-split"),
        ([*names, "--weights", "--mirror"], "--mirror is of scores"),
    ):
        assert main(["combine", *bad, *out_to]) == 2
        assert message in capsys.readouterr().err
