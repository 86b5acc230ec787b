"""Recipes: what the presets say is what was published, and what a recipe says is what a training does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.deep
keras = pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")

from ferbench.classifiers.keras.epoch_data import epoch_data  # noqa: E402
from ferbench.classifiers.keras.kept import weights_to_keep  # noqa: E402
from ferbench.classifiers.keras.recipe import Epoch, Recipe, best_epoch, has_ended, plateau_rate  # noqa: E402
from ferbench.errors import ModelFileError, ParameterError, UnknownNameError  # noqa: E402
from ferbench.pipelines import parse_pipeline_id, presets  # noqa: E402
from ferbench.registry import create  # noqa: E402
from tests.pipelines.conftest import striped_crops  # noqa: E402

# What the descriptions state, and nothing that was chosen here.
EMOSENSE = {"optimizer": "adam", "batch_size": 128, "epochs": 50, "label_smoothing": 0, "augmentation": "none"}
PUBLISHED = {
    "haar-emosense-4l": EMOSENSE,
    "haar-emosense-8l": EMOSENSE,
    "haar-emosense-10l": EMOSENSE,
    "haar-krishna-cnn": {
        "optimizer": "adam",
        "learning_rate": 0.0005,
        "epochs": 15,
        "augmentation": "flip",
        "keep": "best",
        "schedule": "plateau",
    },
    "haar-report-cnn": {"augmentation": "flip-rotate", "balance": "sampling"},
    "haar-keras-cnn": {"augmentation": "crop-shift-mirror", "transforms": 4},
}
TINY = "se-resnet(width=4, blocks=(1,), epochs=6, batch_size=30, warmup_epochs=0, weight_decay=0)"


def network_presets() -> list[str]:
    return [name for name, preset in presets().items() if parse_pipeline_id(preset.pipeline).family == "deep"]


@pytest.mark.parametrize("name", network_presets())
def test_a_preset_makes_a_classifier_with_the_published_recipe(name: str) -> None:
    made = create("classifiers", parse_pipeline_id(presets()[name].pipeline).classifier)
    recipe = made.recipe
    assert {key: getattr(recipe, key) for key in PUBLISHED.get(name, {})} == PUBLISHED.get(name, {})
    if name in PUBLISHED:
        assert (recipe.weight_decay, recipe.warmup_epochs, recipe.mixup, recipe.side) == (0, 0, 0, 0)


def test_the_twins_are_trained_alike() -> None:
    one, other = (parse_pipeline_id(presets()[f"haar-{name}-cnn"].pipeline).classifier for name in ("wavelet", "plain"))
    assert one.params == other.params


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"optimizer": "adamm"}, UnknownNameError, "did you mean 'adam"),
        ({"schedule": "step"}, UnknownNameError, "unknown schedule 'step'; known: constant, cosine, plateau"),
        ({"keep": "bets"}, UnknownNameError, "did you mean 'best'"),
        ({"balance": "over"}, UnknownNameError, "unknown balance"),
        ({"transforms": 0}, ParameterError, "transforms must be positive"),
        ({"early_stopping": 1.5}, ParameterError, "early_stopping must be a whole number"),
        ({"learning_rate": True}, ParameterError, "learning_rate must be a number"),
        ({"learning_rate": float("inf")}, ParameterError, "learning_rate must be a number"),
        ({"epochs": 1, "average_epochs": 4}, ParameterError, "got 4, expected 0 to 1"),
        ({"plateau_factor": 1.0}, ParameterError, "plateau_factor"),
        ({"keep": "best", "average_epochs": 2}, ParameterError, "either"),
    ],
)
def test_what_a_recipe_cannot_be_is_named(parameters, error, message) -> None:
    with pytest.raises(error, match=message):
        Recipe(**parameters)


@pytest.mark.parametrize(("epochs", "whole"), [(1, [0]), (3, [2]), (8, [6, 7])])
def test_the_last_quarter_of_the_epochs_sees_whole_crops(epochs: int, whole: list[int]) -> None:
    crops, targets = np.zeros((4, 48, 48), np.uint8), np.eye(4, dtype=np.float32)
    recipe = Recipe(epochs=epochs, side=40)
    sides = [epoch_data(crops, targets, recipe, epoch).x.shape[1] for epoch in range(epochs)]
    assert [epoch for epoch, side in enumerate(sides) if side == 48] == whole


def log(*losses: float, accuracies: tuple[float, ...] = ()) -> list[Epoch]:
    values = accuracies or (0.5,) * len(losses)
    return [
        Epoch(i + 1, 1.0, 9 - i, 0.1, 1e-3, loss, a) for i, (loss, a) in enumerate(zip(losses, values, strict=True))
    ]


def test_the_rate_on_a_plateau_is_that_of_keras_own_callback() -> None:
    recipe = Recipe(schedule="plateau", learning_rate=1e-2, plateau_patience=2, plateau_floor=3e-5, epochs=20)
    losses = [2.0, 1.5, 1.5, 1.49995, 1.6, 1.4, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-2))
    callback = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=2, min_lr=3e-5)
    callback.set_model(model)
    callback.on_train_begin()
    for i, loss in enumerate(losses):
        callback.on_epoch_end(i, {"val_loss": loss})
        rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        assert plateau_rate(recipe, log(*losses[: i + 1])) == pytest.approx(rate), i
    without = [replace(line, val_loss=None) for line in log(*losses)]
    assert plateau_rate(recipe, without) == 1e-2, "the training loss of this log falls"


def test_a_training_ends_when_the_validation_loss_has_not_fallen_for_long_enough() -> None:
    recipe = Recipe(epochs=9, early_stopping=2)
    assert not has_ended(recipe, log(3, 2, 2.5))
    assert has_ended(recipe, log(3, 2, 2.5, 2.0))
    assert not has_ended(replace(recipe, early_stopping=0), log(3, 2, 2.5, 2.0))
    assert has_ended(recipe, log(*range(9, 0, -1)))


def test_the_best_epoch_is_the_first_of_the_most_often_right() -> None:
    assert best_epoch(log(1, 1, 1, 1, accuracies=(0.1, 0.6, 0.4, 0.6))) == 2


def test_rare_classes_are_drawn_or_weigh_as_much_as_others() -> None:
    crops, _ = striped_crops(300)
    label = np.repeat([0, 1, 2], [240, 45, 15])
    targets = np.eye(3, dtype=np.float32)[label]
    drawn = epoch_data(crops, targets, Recipe(balance="sampling", augmentation="none"), 0)
    assert drawn.y.mean(axis=0) == pytest.approx(1 / 3, abs=0.1)
    weighed = epoch_data(crops, targets, Recipe(balance="weights", augmentation="none"), 0)
    assert weighed.y.T @ weighed.weights == pytest.approx(100, rel=1e-4)
    assert weighed.weights.mean() == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(weighed.y.sum(axis=0), targets.sum(axis=0))


def test_transforms_are_copies_of_the_same_faces_in_one_step() -> None:
    crops, _ = striped_crops(20)
    targets = np.eye(20, dtype=np.float32)
    data = epoch_data(crops, targets, Recipe(transforms=3, augmentation="standard"), 0)
    assert data.x.shape == (60, 48, 48, 1)
    faces = data.y.argmax(axis=1).reshape(20, 3)
    assert (faces == faces[:, :1]).all()
    assert sorted(faces[:, 0]) == list(range(20))
    copies = data.x.reshape(20, 3, -1).astype(int)
    assert (np.abs(copies[:, 0] - copies[:, 1]).mean(axis=1) > 1).all(), "each is transformed in its own way"


def test_the_loss_of_a_step_is_summed_over_its_transforms() -> None:
    """Without augmentation the copies are equal: their sum moves plain SGD as a rate T times as high does."""
    crops, labels = striped_crops(30)
    spec = TINY.replace(
        "epochs=6", "epochs=1, optimizer=sgd, momentum=0, schedule=constant, augmentation=none, dropout=0.0"
    )
    summed = create("classifiers", spec[:-1] + ", transforms=2, learning_rate=0.05)").fit(crops, labels)
    faster = create("classifiers", spec[:-1] + ", learning_rate=0.1)").fit(crops, labels)
    assert summed.log_[0].loss == pytest.approx(faster.log_[0].loss, rel=1e-4)
    for one, other in zip(summed.model_.trainable_variables, faster.model_.trainable_variables, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-4)


def test_the_weights_of_the_best_epoch_are_kept_whatever_log_a_kill_leaves_behind(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    done = log(1, 1, 1, 1, accuracies=(0.1, 0.6, 0.7, 0.4))
    kept = weights_to_keep(model, Recipe(keep="best"), tmp_path, [])
    for epoch in range(1, 5):
        model.set_weights([np.full((1, 1), epoch)])
        kept.add(done[:epoch])
    kept.apply()
    assert model.get_weights()[0] == 3
    # Killed before the log knew of the third epoch, whose weights are there already.
    weights_to_keep(model, Recipe(keep="best"), tmp_path, done[:2]).apply()
    assert model.get_weights()[0] == 2
    assert {path.name for path in tmp_path.iterdir()} == {"best-2.npz", "best-3.npz"}
    (tmp_path / "best-3.npz").unlink()
    with pytest.raises(ModelFileError, match=r"best-3\.npz is missing"):
        weights_to_keep(model, Recipe(keep="best"), tmp_path, done)


def test_a_killed_training_decides_as_an_undisturbed_one(tmp_path: Path, monkeypatch) -> None:
    crops, labels = striped_crops(60)
    options = "epochs=4, optimizer=adam, schedule=plateau, plateau_patience=1, learning_rate=0.05, keep=best"
    spec = TINY.replace("epochs=6", options)
    validation = striped_crops(30, seed=3)
    scores = [(1.0, 0.2), (1.2, 0.6), (0.9, 0.3), (1.1, 0.4)]

    def fit(told: list[tuple[float, float]], **options):
        said = iter(told)
        monkeypatch.setattr("ferbench.classifiers.keras.training._score", lambda *args: next(said))
        return create("classifiers", spec).fit(crops, labels, validation=validation, **options)

    def killed(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    whole = fit(scores)
    assert [line.learning_rate for line in whole.log_] == pytest.approx([0.05, 0.05, 0.005, 0.005])
    with pytest.raises(KeyboardInterrupt):
        fit(scores[:2], checkpoint_dir=tmp_path, on_epoch=killed)
    second = keras.models.load_model(tmp_path / "checkpoint.keras").get_weights()
    resumed = fit(scores[2:], checkpoint_dir=tmp_path)
    assert [line.learning_rate for line in resumed.log_] == [line.learning_rate for line in whole.log_]
    for kept, best in zip(resumed.model_.get_weights(), second, strict=True):
        np.testing.assert_array_equal(kept, best)
    np.testing.assert_allclose(resumed.predict_proba(crops), whole.predict_proba(crops), atol=1e-3)
    with pytest.raises(ModelFileError, match="another data"):
        create("classifiers", spec).fit(crops, labels, validation=striped_crops(30, seed=4), checkpoint_dir=tmp_path)
    with pytest.raises(ParameterError, match="need validation faces"):
        create("classifiers", spec).fit(crops, labels)
