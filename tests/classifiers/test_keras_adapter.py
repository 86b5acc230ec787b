"""Networks: exact sizes, scikit-learn behaviour, augmentation, resuming after a kill, runtimes that agree."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.deep
pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")

from ferbench.classifiers.keras.adapter import _told  # noqa: E402
from ferbench.classifiers.keras.augmentation import AUGMENTATIONS, augment  # noqa: E402
from ferbench.errors import ModelFileError, NotFittedError, ParameterError, ShapeError, UnknownNameError  # noqa: E402
from ferbench.pipelines import load_pipeline, make_pipeline  # noqa: E402
from ferbench.registry import create  # noqa: E402
from tests.pipelines.conftest import striped_crops  # noqa: E402

SMALL = "se-resnet(width=8, blocks=(1, 1), epochs=4, batch_size=16, learning_rate=0.01)"


def test_mini_xception_has_its_published_size() -> None:
    from ferbench.classifiers.keras.networks import mini_xception

    assert mini_xception((64, 64), 7).count_params() == 58_423
    assert mini_xception((48, 48), 7).count_params() == 58_423


def test_clone_keeps_every_parameter() -> None:
    from sklearn.base import clone

    made = create("classifiers", "se-resnet(width=8, epochs=3, mixup=0.2)")
    assert clone(made).get_params() == made.get_params()
    assert made.network_params == {"width": 8}
    assert made.recipe.epochs == 3


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("mini-xception(epoch=3)", UnknownNameError, "did you mean 'epochs'"),
        ("mini-xception(width=3)", UnknownNameError, "unknown parameter"),
    ],
)
def test_wrong_parameters_are_named(spec: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        create("classifiers", spec)


def test_misuse_is_named() -> None:
    crops, labels = striped_crops(12)
    classifier = create("classifiers", SMALL)
    with pytest.raises(NotFittedError):
        classifier.predict_proba(crops)
    with pytest.raises(ShapeError, match=r"\(N, h, w\) uint8"):
        classifier.fit(crops.astype(float), labels)
    with pytest.raises(ParameterError, match="two classes"):
        classifier.fit(crops, np.full(12, "happy"))
    with pytest.raises(ParameterError, match="epochs must be positive"):
        create("classifiers", "mini-xception(epochs=0)").fit(crops, labels)
    with pytest.raises(ParameterError, match="side must be a whole number"):
        create("classifiers", "mini-xception(side=40.5)").fit(crops, labels)
    with pytest.raises(ParameterError, match="epochs must be a number"):
        create("classifiers", "mini-xception(epochs=many)").fit(crops, labels)
    with pytest.raises(UnknownNameError, match="did you mean 'strong'"):
        create("classifiers", "mini-xception(augmentation=stron)").fit(crops, labels)


@pytest.mark.parametrize("strength", AUGMENTATIONS)
def test_augmentation_is_seeded_and_does_what_it_says(strength: str) -> None:
    crops, _ = striped_crops(40)
    original = crops.copy()
    first = augment(crops, strength, np.random.default_rng(3))
    np.testing.assert_array_equal(crops, original)
    np.testing.assert_array_equal(first, augment(crops, strength, np.random.default_rng(3)))
    assert first.shape == crops.shape
    assert first.dtype == np.uint8
    assert (strength == "none") == bool((first == crops).all())


@pytest.fixture(scope="module")
def network():
    return make_pipeline("haar", SMALL).fit(*striped_crops(120))


@pytest.fixture(scope="module")
def plain():
    """The small network, trained on 60 crops: what variants of its recipe are compared with. Not to be changed."""
    return create("classifiers", SMALL).fit(*striped_crops(60))


def test_a_network_learns_and_orders_its_probabilities(network) -> None:
    crops, labels = striped_crops(60, seed=5)
    p = network.classify(crops)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert np.mean(np.asarray(network.labels)[p.argmax(axis=1)] == labels) > 0.6


def test_the_same_seed_gives_the_same_network(network) -> None:
    again = make_pipeline("haar", SMALL).fit(*striped_crops(120))
    crops, _ = striped_crops(10, seed=6)
    np.testing.assert_allclose(again.classify(crops), network.classify(crops), atol=1e-4)


@pytest.mark.parametrize("runtime", ["keras", "litert"])
def test_saved_runtimes_agree_with_the_trained_network(network, runtime: str, tmp_path: Path) -> None:
    crops, _ = striped_crops(75, seed=7)  # 64 + 8 + 2 + 1: several interpreters
    loaded = load_pipeline(network.save(tmp_path), runtime=runtime)
    agreement = loaded.agreement(crops, network)
    assert agreement["n"] == 75
    assert agreement["flips"] == 0
    assert agreement["max_abs_difference"] < 1e-5
    assert loaded.classify(crops[:0]).shape == (0, 7)


def test_litert_runs_without_tensorflow(network, tmp_path: Path) -> None:
    from dataclasses import replace

    parts = network.with_runtime("litert")
    folder = replace(network, parts=parts.parts).save(tmp_path)
    code = (
        "import sys, numpy as np\n"
        "from ferbench.pipelines import load_pipeline\n"
        f"p = load_pipeline({str(folder)!r}).classify(np.zeros((3, 48, 48), np.uint8))\n"
        "assert p.shape == (3, 7)\n"
        "print(sorted({'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_damaged_litert_file_is_named(tmp_path: Path) -> None:
    from ferbench.classifiers.runtimes.litert import LiteRTRuntime

    path = tmp_path / "model.tflite"
    path.write_bytes(b"no model at all")
    with pytest.raises(ModelFileError, match=r"model\.tflite is no usable LiteRT model"):
        LiteRTRuntime().prepare(path, np.zeros((1, 48, 48), np.uint8))


_TRAIN = """
import sys
from pathlib import Path
from ferbench.registry import create
from tests.pipelines.conftest import striped_crops
made = create("classifiers", {spec!r})
made.fit(*striped_crops(60), checkpoint_dir=Path(sys.argv[1]), on_epoch=lambda e: print(e.epoch, flush=True))
"""


@pytest.mark.parametrize("spec", [SMALL, SMALL[:-1] + ", side=32, average_epochs=3, stem=stride)"])
def test_a_killed_training_goes_on_as_if_undisturbed(spec: str, plain, tmp_path: Path) -> None:
    crops, labels = striped_crops(60)
    whole = plain if spec == SMALL else create("classifiers", spec).fit(crops, labels)
    command = [sys.executable, "-c", _TRAIN.format(spec=spec), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "2":
                os.kill(process.pid, signal.SIGKILL)
                break
    seen: list[int] = []
    started = time.perf_counter()
    resumed = create("classifiers", spec).fit(
        crops, labels, checkpoint_dir=tmp_path, on_epoch=lambda e: seen.append(e.epoch)
    )
    assert time.perf_counter() - started < 120
    assert seen == [1, 2, 3, 4]
    assert [round(e.loss, 3) for e in resumed.log_] == [round(e.loss, 3) for e in whole.log_]
    np.testing.assert_allclose(resumed.predict_proba(crops), whole.predict_proba(crops), atol=1e-3)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    crops, labels = striped_crops(30)
    one = SMALL.replace("epochs=4", "epochs=1")
    create("classifiers", one).fit(crops, labels, checkpoint_dir=tmp_path)
    with pytest.raises(ModelFileError, match="another training: got another seed"):
        create("classifiers", one.replace("epochs=1", "epochs=1, seed=5")).fit(crops, labels, checkpoint_dir=tmp_path)
    with pytest.raises(ModelFileError, match="got another dropout"):
        create("classifiers", one.replace("epochs=1", "epochs=1, dropout=0.7")).fit(
            crops, labels, checkpoint_dir=tmp_path
        )
    with pytest.raises(ModelFileError, match="got another data"):
        create("classifiers", one).fit(crops[::-1].copy(), labels, checkpoint_dir=tmp_path)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("ensemble(of=['{}', lenet], mirror=true, {})", "another mirror"),
        ("ensemble(of=['se-resnet(width=8, blocks=(1, 1), dropout=0.9)', lenet], {})", "another of"),
    ],
)
def test_a_checkpoint_of_another_network_of_the_same_shapes_is_refused(other: str, says: str, tmp_path: Path) -> None:
    crops, labels = striped_crops(30)
    member, recipe = "se-resnet(width=8, blocks=(1, 1))", "epochs=1, batch_size=16, learning_rate=0.01"
    create("classifiers", f"ensemble(of=['{member}', lenet], {recipe})").fit(crops, labels, checkpoint_dir=tmp_path)
    with pytest.raises(ModelFileError, match=f"another training: got {says}"):
        create("classifiers", other.replace("'{}'", f"'{member}'").replace("{}", recipe)).fit(
            crops, labels, checkpoint_dir=tmp_path
        )


def test_a_checkpoint_that_began_with_other_weights_is_refused(tmp_path: Path) -> None:
    first = tmp_path / "first.weights.h5"
    first.write_bytes(b"one")
    before = _told({"base": "mobilenet", "weights": str(first)})
    moved = first.rename(tmp_path / "moved.weights.h5")
    assert _told({"base": "mobilenet", "weights": str(moved)}) == before
    moved.write_bytes(b"others")
    assert _told({"base": "mobilenet", "weights": str(moved)}) != before


def test_a_checkpoint_written_before_a_parameter_existed_is_gone_on_with(tmp_path: Path) -> None:
    crops, labels = striped_crops(30)
    spec = SMALL.replace("epochs=4", "epochs=1")
    create("classifiers", spec).fit(crops, labels, checkpoint_dir=tmp_path)
    log = tmp_path / "log.json"
    state = json.loads(log.read_text())
    del state["stamp"]["recipe"]["precision"], state["stamp"]["recipe"]["side"]
    log.write_text(json.dumps(state))
    assert len(create("classifiers", spec).fit(crops, labels, checkpoint_dir=tmp_path).log_) == 1


def test_the_window_is_the_centre_of_the_transformed_crop() -> None:
    crops, _ = striped_crops(20)
    whole = augment(crops, "standard", np.random.default_rng(4))
    cut = augment(crops, "standard", np.random.default_rng(4), side=40)
    assert cut.shape == (20, 40, 40)
    # Gain is taken around each crop's own mean, which differs a little between the whole and its centre.
    assert np.abs(cut.astype(int) - whole[:, 4:44, 4:44]).mean() < 3
    np.testing.assert_array_equal(augment(crops, "none", np.random.default_rng(4), side=40), crops[:, 4:44, 4:44])


def test_average_of_the_last_epochs(plain, tmp_path: Path) -> None:
    import keras

    crops, labels = striped_crops(60)
    one = create("classifiers", SMALL[:-1] + ", average_epochs=1)").fit(crops, labels)
    np.testing.assert_allclose(one.predict_proba(crops), plain.predict_proba(crops), atol=1e-5)
    spec = SMALL[:-1] + ", average_epochs=2)"
    two = create("classifiers", spec).fit(crops, labels, checkpoint_dir=tmp_path)
    ends = [keras.models.load_model(tmp_path / f"{name}.keras").get_weights() for name in ("previous", "checkpoint")]
    for mean, *weights in zip(two.model_.get_weights(), *ends, strict=True):
        np.testing.assert_allclose(mean, np.mean(weights, axis=0), atol=1e-5)
    with pytest.raises(ParameterError, match="average_epochs"):
        create("classifiers", SMALL[:-1] + ", average_epochs=9)").fit(crops, labels)
    with pytest.raises(ParameterError, match=r"side: got 12, expected 24 to 48|side"):
        create("classifiers", SMALL[:-1] + ", side=12)").fit(crops, labels)


def test_half_precision_trains_and_leaves_a_float32_network_of_keras_own_layers(plain, tmp_path: Path) -> None:
    import keras

    crops, labels = striped_crops(60)
    spec = SMALL[:-1] + ", precision=mixed_bfloat16)"
    half = create("classifiers", spec).fit(crops, labels, checkpoint_dir=tmp_path)
    again = create("classifiers", spec).fit(crops, labels, checkpoint_dir=tmp_path)
    assert keras.config.dtype_policy().name == "float32"
    assert {layer.compute_dtype for layer in half.model_.layers} == {"float32"}
    assert {type(layer).__module__.split(".")[0] for layer in half.model_.layers} == {"keras"}
    assert {w.dtype for w in half.model_.weights} == {"float32"}
    assert isinstance(keras.saving.load_model(tmp_path / "checkpoint.keras"), keras.Model)
    assert abs(half.log_[-1].loss - plain.log_[-1].loss) < 0.1
    np.testing.assert_array_equal(again.predict_proba(crops), half.predict_proba(crops))


@pytest.mark.parametrize("spec", [SMALL, "mini-xception(epochs=2, batch_size=16)"])
def test_calibration_is_in_the_weights_and_changes_no_label(spec: str) -> None:
    crops, labels = striped_crops(60)
    made = create("classifiers", spec).fit(crops, labels)
    held_out, truth = striped_crops(90, seed=8)
    before = made.predict_proba(held_out)
    temperature = made.calibrate(held_out, truth)
    after = made.predict_proba(held_out)
    assert temperature != pytest.approx(1, abs=0.01)
    expected = before.astype(float) ** (1 / temperature)
    np.testing.assert_allclose(after, expected / expected.sum(axis=1, keepdims=True), atol=1e-4)
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    right = made.predict(held_out) == truth
    assert temperature in (0.01, 100.0) or after.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.01)
    with pytest.raises(ParameterError, match="not learnt: got bored"):
        made.calibrate(held_out[:1], np.array(["bored"]))


def test_the_consistent_temperature_makes_confidence_and_accuracy_equal() -> None:
    from ferbench.classifiers.temperature import consistent_temperature

    rng = np.random.default_rng(0)
    scores = rng.normal(0, 3, (4000, 7))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(7, p=row) for row in p])
    assert consistent_temperature(scores, truth) == pytest.approx(1, abs=0.06)
    assert consistent_temperature(scores * 2.5, truth) == pytest.approx(2.5, abs=0.15)
    assert consistent_temperature(scores, scores.argmax(axis=1)) == 0.01
    assert consistent_temperature(scores, scores.argmin(axis=1)) == 100.0


def test_the_strided_stem_halves_the_resolution_like_the_pooled_one() -> None:
    from ferbench.classifiers.keras.networks import se_resnet

    assert se_resnet((48, 48), 7, width=8, stem="stride").output_shape == (None, 7)
    assert se_resnet((48, 48), 7, width=64, stem="stride").count_params() == 2_749_935
    with pytest.raises(ParameterError, match="stem"):
        se_resnet((48, 48), 7, stem="pol")


def test_a_halved_file_holds_the_rounded_weights(tmp_path: Path) -> None:
    import keras

    crops, labels = striped_crops(60)
    made = create("classifiers", SMALL.replace("epochs=4", "epochs=1")).fit(crops, labels)
    before = made.predict_proba(crops)
    made.save(tmp_path / "whole.keras")
    made.halve()
    made.save(tmp_path / "half.keras")
    assert (tmp_path / "half.keras").stat().st_size < 0.75 * (tmp_path / "whole.keras").stat().st_size
    loaded = keras.models.load_model(tmp_path / "half.keras", compile=False)
    assert {w.dtype for w in loaded.get_weights()} == {np.dtype(np.float32)}
    for kept, now in zip(loaded.get_weights(), made.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)
    np.testing.assert_allclose(made.predict_proba(crops), before, atol=0.01)


def test_weights_whose_log_was_lost_do_not_push_out_those_that_have_one(tmp_path: Path) -> None:
    """Killed between the two replacements of a checkpoint, and again while the next one is written."""
    crops, labels = striped_crops(30)
    spec = SMALL.replace("epochs=4", "epochs=2")
    create("classifiers", spec).fit(crops, labels, checkpoint_dir=tmp_path)
    log = json.loads((tmp_path / "log.json").read_text())
    first = log | {"log": log["log"][:1], "steps": log["steps"] // 2}
    (tmp_path / "log.json").write_text(json.dumps(first))

    def killed(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create("classifiers", spec).fit(crops, labels, checkpoint_dir=tmp_path, on_epoch=killed)
    os.replace(tmp_path / "checkpoint.keras", tmp_path / "previous.keras")
    assert len(create("classifiers", spec).fit(crops, labels, checkpoint_dir=tmp_path).log_) == 2


def test_fused_batch_norms_train_as_keras_own() -> None:
    import keras

    from ferbench.classifiers.keras.batch_norm import fuse_batch_norms
    from ferbench.classifiers.keras.networks import se_resnet

    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow has them")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (64, 48, 48, 1), dtype=np.uint8), np.eye(7, dtype="float32")[rng.integers(0, 7, 64)]
    plain = se_resnet((48, 48), 7, width=8, blocks=(1, 1), dropout=0.0)
    fused = fuse_batch_norms(plain)
    assert [type(layer) for layer in fused.layers] != [type(layer) for layer in plain.layers]
    start = plain.get_weights()
    for model in (plain, fused):
        model.compile(keras.optimizers.SGD(0.01), "categorical_crossentropy", jit_compile=False)
        model.fit(x, y, batch_size=32, shuffle=False, verbose=0)
    # Moving variances differ by Bessel's correction, 1/(n-1) with n at least 32 * 12 * 12.
    for ours, theirs, before in zip(fused.get_weights(), plain.get_weights(), start, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-3 * np.abs(theirs - before).max() + 1e-6)


def test_batch_norms_behind_a_dense_layer_train_in_half_precision() -> None:
    import keras

    from ferbench.classifiers.keras.batch_norm import fuse_batch_norms

    x, y = np.random.default_rng(0).normal(size=(32, 4)).astype("float32"), np.eye(2, dtype="float32")[[0, 1] * 16]
    layers = [keras.Input((4,)), keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
    model = fuse_batch_norms(keras.Sequential(layers))
    model.compile("sgd", "mse", jit_compile=False)
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])
    assert np.any(np.asarray(model.layers[1].moving_mean))


def test_a_training_starts_from_another_network(network, plain, tmp_path: Path) -> None:
    crops, labels = striped_crops(60)
    start = network.estimator_.model_
    gentle = create("classifiers", SMALL.replace("learning_rate=0.01", "learning_rate=1e-9, augmentation=none"))
    before = gentle.fit(crops, labels, initial=start, checkpoint_dir=tmp_path).log_[0].loss
    assert before < plain.log_[0].loss
    for mine, theirs in zip(gentle.model_.trainable_weights, start.trainable_weights, strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), atol=1e-6)
    # A checkpoint that began elsewhere is another training.
    with pytest.raises(ModelFileError, match="another data"):
        gentle.fit(crops, labels, checkpoint_dir=tmp_path)
    with pytest.raises(ParameterError, match="its layers differ"):
        create("classifiers", "se-resnet(width=12, blocks=(1, 1))").fit(crops, labels, initial=start)


def test_a_training_starts_from_the_one_member_of_an_ensemble_that_is_such_a_network() -> None:
    crops, labels = striped_crops(40)
    recipe = "epochs=1, learning_rate=1e-9, augmentation=none"
    own = "se-resnet(width=8, blocks=[1, 1]{})"
    both = create("classifiers", f"ensemble(of=['se-resnet(width=4, blocks=[1])', '{own.format('')}'], {recipe})")
    both.fit(crops, labels)
    alone = create("classifiers", own.format(f", {recipe}")).fit(crops, labels, initial=both.model_)
    member = both.model_.get_layer("member_2")
    for mine, theirs in zip(alone.model_.trainable_weights, member.trainable_weights, strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), atol=1e-6)

    twins = create("classifiers", f"ensemble(of=['{own.format('')}', '{own.format('')}'], {recipe})").fit(crops, labels)
    with pytest.raises(ParameterError, match="2 of its members have such layers"):
        create("classifiers", own.format("")).fit(crops, labels, initial=twins.model_)
