"""Label spaces: names, maps with an explicit contempt policy, and the detector of permuted labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferbench.errors import LabelError, ParameterError, ShapeError, UnknownNameError
from ferbench.labels import (
    CKPLUS7,
    FER7,
    FERPLUS8,
    LABEL_SPACES,
    LabelSpace,
    canonical_label,
    find_permuted_labels,
    label_space,
)

spaces = st.sampled_from(list(LABEL_SPACES.values()))


def test_fer7_has_the_names_and_order_of_fer2013():
    assert FER7.labels == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@given(spaces, st.data())
def test_decoding_undoes_encoding(space, data):
    labels = data.draw(st.lists(st.sampled_from(space.labels)))
    assert space.decode(space.encode(labels)).tolist() == labels


@pytest.mark.parametrize("name", ["Happiness", " joy ", "HAPPY"])
def test_synonyms_have_one_canonical_name(name):
    assert canonical_label(name) == "happy"


def test_an_unknown_expression_is_an_error_with_a_suggestion():
    with pytest.raises(LabelError, match="did you mean 'happy'"):
        canonical_label("hapy")


def test_an_unmapped_label_is_an_error_and_never_an_index():
    with pytest.raises(LabelError, match="'contempt'"):
        FER7.encode(["happy", "contempt"])


@pytest.mark.parametrize("index", [[-1], [7]])
def test_an_index_outside_the_space_is_an_error(index):
    with pytest.raises(LabelError, match=r"expected 0\.\.6"):
        FER7.decode(index)


def test_unknown_spaces_and_repeated_labels_are_errors():
    with pytest.raises(UnknownNameError, match="did you mean 'FER7'"):
        label_space("FER8")
    with pytest.raises(LabelError, match="distinct"):
        LabelSpace("twice", ("happy", "happy"))


def test_contempt_without_a_policy_is_an_error_that_names_the_policies():
    with pytest.raises(LabelError, match="drop, disgust or neutral"):
        FERPLUS8.map_to(FER7)


def test_an_unknown_policy_is_an_error():
    with pytest.raises(ParameterError, match="contempt policy"):
        FERPLUS8.map_to(FER7, contempt="anger")


@pytest.mark.parametrize(
    ("policy", "mapped", "keep"),
    [
        ("drop", ["happy", "sad"], [True, False, True]),
        ("disgust", ["happy", "disgust", "sad"], [True, True, True]),
        ("neutral", ["happy", "neutral", "sad"], [True, True, True]),
    ],
)
def test_contempt_goes_where_the_policy_says(policy, mapped, keep):
    label_map = FERPLUS8.map_to(FER7, contempt=policy)
    names, kept = label_map.apply(["happy", "contempt", "sad"])
    assert names.tolist() == mapped
    assert kept.tolist() == keep
    assert not label_map.is_lossless


def test_a_policy_whose_target_lacks_the_label_is_an_error():
    smiles = LabelSpace("smiles", ("happy", "disgust"))
    with pytest.raises(LabelError, match="contempt"):
        LabelSpace("three", ("happy", "contempt")).map_to(smiles, contempt="neutral")


def test_any_other_label_without_counterpart_is_an_error_under_every_policy():
    with pytest.raises(LabelError, match="'neutral' of FER7"):
        FER7.map_to(CKPLUS7, contempt="drop")


@given(st.permutations(FER7.labels), st.lists(st.sampled_from(FER7.labels)))
def test_a_map_between_orders_keeps_every_name(order, labels):
    label_map = FER7.map_to(LabelSpace("other order", tuple(order)))
    names, keep = label_map.apply(labels)
    assert names.tolist() == labels
    assert keep.all()
    assert label_map.is_lossless


def diagonal(n_right: int = 60, n_wrong: int = 5) -> np.ndarray:
    return np.full((7, 7), n_wrong) + np.eye(7, dtype=int) * (n_right - n_wrong)


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations(range(7), 2)))
def test_two_swapped_labels_are_found_and_named(a, b):
    order = list(range(7))
    order[a], order[b] = b, a
    found = find_permuted_labels(diagonal()[:, order], FER7)
    assert found is not None
    assert found.renamed == {FER7.labels[a]: FER7.labels[b], FER7.labels[b]: FER7.labels[a]}
    assert found.best_accuracy == pytest.approx(60 / 90)
    assert "check the label order" in str(found)


def test_the_best_assignment_beats_every_other_one():
    counts = 50 * np.random.default_rng(0).integers(0, 200, (4, 4))
    best = max(sum(counts[r, c] for r, c in enumerate(order)) for order in itertools.permutations(range(4)))
    found = find_permuted_labels(counts, ["a", "b", "c", "d"], min_gain=0)
    assert found is not None
    assert found.best_accuracy == pytest.approx(best / counts.sum())


def test_a_good_classifier_and_a_guessing_one_raise_no_alarm():
    assert find_permuted_labels(diagonal(), FER7) is None
    rng = np.random.default_rng(1)
    alarms = [find_permuted_labels(rng.multinomial(700, [1 / 49] * 49).reshape(7, 7), FER7) for _ in range(200)]
    assert sum(alarm is not None for alarm in alarms) <= 2


def test_a_classifier_that_always_says_the_same_raises_no_alarm():
    constant = np.zeros((7, 7), int)
    constant[:, 3] = [100, 10, 100, 200, 100, 90, 400]
    assert find_permuted_labels(constant, FER7) is None


def test_an_empty_matrix_has_no_permutation_and_a_misshapen_one_is_an_error():
    assert find_permuted_labels(np.zeros((7, 7)), FER7) is None
    with pytest.raises(ShapeError, match="confusion"):
        find_permuted_labels(np.zeros((6, 7)), FER7)
