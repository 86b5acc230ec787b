"""The networks of the literature: exact sizes, known wavelet coefficients, learning, and exports that agree."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.deep
keras = pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")

from ferbench.classifiers.keras.transfer import BASES, transfer  # noqa: E402
from ferbench.classifiers.keras.wavelet import FILTERS, wavelet_layer  # noqa: E402
from ferbench.classifiers.keras.zoo import NETWORKS  # noqa: E402
from ferbench.classifiers.runtimes.litert import LiteRTSession, export_litert  # noqa: E402
from ferbench.errors import ModelFileError, ParameterError, UnknownNameError  # noqa: E402
from ferbench.registry import entries  # noqa: E402

PUBLISHED = {"emosense-8l": 4_232_199, "krishna-cnn": 4_478_727, "report-cnn": 4_496_903, "mini-xception": 58_423}
"""Parameters for seven classes on 48×48, as their authors give them."""

# By hand from the layers: 5·5·6+6, 5·5·6·16+16, 9·9·16·120+120, 120·84+84, 84·7+7; and He et al.'s 0.27 M.
BY_HAND = {"lenet": 156 + 2_416 + 155_640 + 10_164 + 595, "resnet": 273_559}

# One of each way to build, as small as it comes: dense head, unpadded convolutions, the transform, a base of fewest
# layers. That every network learns and gives probabilities is a matter of tests/test_conformance.py.
EXPORTED = {
    "krishna-cnn": {},
    "lenet": {},
    "wavelet-cnn": {"width": 4, "wavelet": "db2"},
    "transfer": {"base": "vgg16", "weights": "none", "size": 32},
}


@pytest.mark.parametrize(("name", "count"), [*PUBLISHED.items(), *BY_HAND.items()])
def test_a_network_has_its_published_size(name: str, count: int) -> None:
    assert NETWORKS[name]((48, 48), 7).count_params() == count


def test_the_twins_differ_by_the_transform_alone() -> None:
    wavelet, plain = NETWORKS["wavelet-cnn"]((48, 48), 7), NETWORKS["plain-cnn"]((48, 48), 7)
    # The first kernel sees four sub-bands instead of one gray channel, and the transform has 16 fixed numbers.
    assert wavelet.count_params() - plain.count_params() == 3 * 3 * 3 * 32 + 16
    assert abs(wavelet.count_params() / plain.count_params() - 1) < 0.01
    shapes = [[w.shape for w in network.trainable_variables] for network in (wavelet, plain)]
    assert shapes[0][1:] == shapes[1][1:]


@pytest.mark.parametrize("name", EXPORTED)
def test_an_export_agrees_with_its_network_and_so_does_its_file(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]((48, 48), 7, **EXPORTED[name])
    crops = np.random.default_rng(0).integers(0, 256, (8, 48, 48), dtype=np.uint8)
    x = crops[..., None].astype(np.float32)
    expected = keras.ops.convert_to_numpy(network(x, training=False))
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-5)
    assert network.layers[-1].name == "probabilities"
    if keras.backend.backend() == "tensorflow":  # the only one that exports to LiteRT
        exported = LiteRTSession(export_litert(SimpleNamespace(model_=network)), threads=1)(crops)
        np.testing.assert_allclose(exported, expected, atol=1e-5)
    network.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_allclose(again(x), expected, atol=1e-6)
    assert json.loads(network.to_json())["config"]["layers"][0]["config"]["batch_shape"] == [None, 48, 48, 1]


def test_every_network_has_a_name_in_the_registry() -> None:
    assert set(NETWORKS) == {name for name, entry in entries("classifiers").items() if entry.extra == "deep"}


def _subbands(image: np.ndarray, wavelet: str) -> np.ndarray:
    entry = keras.Input((*image.shape, 1))
    network = keras.Model(entry, wavelet_layer(entry, wavelet))
    return keras.ops.convert_to_numpy(network(image[None, ..., None].astype(np.float32)))[0]


def test_haar_coefficients_are_those_by_hand() -> None:
    image = np.array([[1, 2, 3, 4], [5, 7, 9, 11], [0, 4, 8, 12], [1, 1, 2, 2]], dtype=float)
    a, b, c, d = image[::2, ::2], image[::2, 1::2], image[1::2, ::2], image[1::2, 1::2]
    by_hand = np.stack([a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d], -1) / 2
    np.testing.assert_allclose(_subbands(image, "haar"), by_hand, atol=1e-5)


@pytest.mark.parametrize("wavelet", FILTERS)
def test_the_transform_is_that_of_pywavelets(wavelet: str) -> None:
    import pywt

    image = np.random.default_rng(2).integers(0, 256, (48, 48)).astype(float)
    approximation, details = pywt.dwt2(image, wavelet, mode="periodization")
    np.testing.assert_allclose(_subbands(image, wavelet), np.stack([approximation, *details], -1), atol=1e-3)


@pytest.mark.parametrize("wavelet", FILTERS)
def test_the_transform_keeps_the_energy(wavelet: str) -> None:
    image = np.random.default_rng(3).integers(0, 256, (48, 48)).astype(float)
    subbands = _subbands(image, wavelet)
    assert subbands.shape == (24, 24, 4)
    assert (subbands.astype(float) ** 2).sum() == pytest.approx((image**2).sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters", "shape", "error", "message"),
    [
        ("krishna-cnn", {"dropout": 1.0}, (48, 48), ParameterError, "dropout of krishna-cnn is a share: got 1.0"),
        ("krishna-cnn", {}, (None, None), ParameterError, "one size"),
        ("emosense-8l", {}, (45, 45), ParameterError, "too small for emosense-8l: got 45×45, expected 46"),
        ("wavelet-cnn", {"wavelet": "harr"}, (48, 48), UnknownNameError, "did you mean 'haar'"),
        ("wavelet-cnn", {}, (47, 48), ParameterError, "even"),
        ("vgg", {"blocks": 3}, (48, 48), ParameterError, "one number for each stage"),
        ("resnet", {"width": 0}, (48, 48), ParameterError, "width of resnet"),
        ("transfer", {"base": "mobilnet"}, (48, 48), UnknownNameError, "did you mean 'mobilenet' or 'mobilenet-v2'"),
        (
            "transfer",
            {"base": "vgg16", "weights": "none", "freeze": "some"},
            (48, 48),
            ParameterError,
            "freeze of transfer",
        ),
        ("transfer", {"size": 16}, (48, 48), ParameterError, "32 pixels or more"),
        ("transfer", {"enlarge": -1}, (48, 48), ParameterError, "enlarge of transfer"),
        ("transfer", {"enlarge": 2}, (12, 12), ParameterError, "16 or more"),
        ("transfer", {"weights": "no/such.h5"}, (48, 48), ModelFileError, r"not there: got no/such\.h5"),
    ],
)
def test_what_cannot_be_built_is_named(name, parameters, shape, error, message) -> None:
    with pytest.raises(error, match=message):
        NETWORKS[name](shape, 7, **parameters)


def test_weights_that_cannot_be_fetched_or_are_not_the_bases_own_are_named(monkeypatch, tmp_path: Path) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise Exception("URL fetch failure on https://example.org/x.h5: None -- [Errno -2] Name or service not known")

    monkeypatch.setitem(BASES, "mobilenet-v2", type(BASES["vgg16"])(refuse))
    with pytest.raises(ModelFileError, match=r"cannot be fetched from here: got .*Name or service not known; give"):
        transfer((48, 48), 7)
    monkeypatch.undo()
    (tmp_path / "bad.h5").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="has no weights for vgg16"):
        transfer((48, 48), 7, base="vgg16", weights=str(tmp_path / "bad.h5"), size=32)


def test_a_base_takes_weights_from_a_file_and_keeps_what_is_frozen(tmp_path: Path) -> None:
    made = BASES["vgg16"].build(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg")
    made.save_weights(tmp_path / "base.weights.h5")
    network = transfer((48, 48), 7, base="vgg16", weights=str(tmp_path / "base.weights.h5"), size=32, freeze=5)
    (inner,) = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    for ours, theirs in zip(inner.get_weights(), made.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # An input, two convolutions, a pooling and a third convolution stay; ten with a kernel and a bias each learn.
    assert len(network.trainable_variables) == 2 * (13 - 3) + 2


def test_an_enlarging_base_takes_crops_of_any_size_and_trains_with_fused_batch_norms() -> None:
    from ferbench.classifiers.keras.batch_norm import fuse_batch_norms

    network = transfer((None, None), 3, base="mobilenet", weights="none", enlarge=2, freeze="none")
    rng = np.random.default_rng(0)
    ramp = np.broadcast_to(np.arange(0, 160, 10, dtype="float32")[:, None, None], (16, 16, 1))[None]
    larger = keras.Model(network.input, network.get_layer("interpolate").output)(ramp)
    np.testing.assert_allclose(np.asarray(larger)[0, :-1, 0, 0], np.arange(0, 155, 5))  # between two values, their mean
    assert network(rng.random((2, 24, 24, 1), "float32")).shape == (2, 3)
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow has fused batch norms")
    fused = fuse_batch_norms(network)
    kinds = [type(layer).__name__ for layer in fused._flatten_layers()]
    assert kinds.count("FusedBatchNormalization") == 27
    assert "BatchNormalization" not in kinds
    crops = rng.integers(0, 256, (2, 24, 24, 1)).astype("float32")
    np.testing.assert_allclose(np.asarray(fused(crops)), np.asarray(network(crops)), atol=1e-6)
