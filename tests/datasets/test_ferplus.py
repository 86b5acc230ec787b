"""FER+: votes go to the right faces, and the paper's rules decide which faces count."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from ferbench.datasets import has_learnt_from
from ferbench.datasets.ferplus import FERPlus, filter_majority, filter_probability
from ferbench.errors import DataError, DatasetNotFoundError, ParameterError
from ferbench.labels import FER7

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
# neutral happy surprise sad angry disgust fear contempt unknown NF


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ((4, 0, 0, 1, 3, 2, 0, 0, 0, 0), "no majority"),  # 4 of 9 once the single vote for sadness is gone
        ((6, 0, 1, 1, 0, 0, 0, 0, 2, 0), "neutral"),
        ((5, 0, 0, 5, 0, 0, 0, 0, 0, 0), "no majority"),  # half is not more than half
        ((0, 1, 1, 1, 1, 1, 1, 1, 6, 0), "unknown"),
        ((0, 0, 2, 0, 0, 0, 0, 0, 0, 8), "not a face"),
        ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), "no majority"),  # nothing is left
        ((0, 0, 0, 0, 0, 0, 0, 2, 1, 1), "contempt"),  # the outliers make the majority
    ],
)
def test_majority_rule(votes, expected):
    shares, reasons = filter_majority(np.array([votes]))
    labels = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
    assert (reasons[0] or labels[shares[0].argmax()]) == expected


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ((4, 0, 0, 1, 3, 3, 0, 0, 0, 0), {0: 0.4, 4: 0.3, 5: 0.3}),
        ((8, 2, 0, 0, 0, 0, 0, 0, 0, 0), {0: 1.0}),  # three quarters are reached at once
        ((3, 3, 2, 2, 0, 0, 0, 0, 0, 0), "no majority"),  # a tie for third place: too many expressions
        ((5, 0, 0, 0, 0, 0, 0, 0, 5, 0), "no majority"),  # half is not more than half
        ((6, 0, 0, 0, 0, 0, 0, 0, 4, 0), {0: 1.0}),  # unknown ends the list and is left out
        ((2, 0, 0, 0, 0, 0, 0, 0, 8, 0), "unknown"),
        ((0, 2, 0, 0, 0, 0, 0, 0, 0, 8), "not a face"),
    ],
)
def test_probability_rule(votes, expected):
    shares, reasons = filter_probability(np.array([votes]))
    if isinstance(expected, str):
        assert reasons[0] == expected
        assert shares.sum() == 0
    else:
        assert reasons[0] == ""
        np.testing.assert_allclose(shares[0], [expected.get(i, 0.0) for i in range(8)])


def vote_rows(fer, *, names=True, drop=()) -> list[str]:
    """Nine votes for the expression that each face's index stands for, and one for unknown."""
    rows = []
    for i, usage in enumerate(fer.usages):
        counts = [0] * 10
        counts[i % 8], counts[8] = 9, 1
        name = "" if i in drop or not names else f"fer{i:07d}.png"
        rows.append(",".join([usage, name, *map(str, counts)]))
    return rows


def write(path, rows):
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_votes_go_to_the_faces_of_the_same_row(fer, fer_csv, tmp_path):
    dataset = FERPlus(write(tmp_path / "fer2013new.csv", vote_rows(fer)), images=fer_csv)
    samples = dataset.split("all")
    space = samples.label_space.labels
    assert samples.labels.tolist() == [space[i % 8] for i in range(12)]
    np.testing.assert_array_equal(samples.images, fer.images)
    assert samples.ids[8] == "PublicTest_00000"
    np.testing.assert_allclose(samples.votes.sum(axis=1), 1, atol=1e-6)
    assert samples.votes.dtype == np.float32
    assert samples.vote_counts.sum(axis=1).tolist() == [10] * len(samples)
    assert (samples.vote_counts[:, :8].argmax(axis=1) == samples.votes.argmax(axis=1)).all()
    np.testing.assert_array_equal(samples.subset([1]).vote_counts, samples.vote_counts[[1]])


def test_faces_that_ferplus_dropped_may_be_missing_from_the_images(fer, tmp_path):
    rows = fer.rows()
    images = tmp_path / "fer2013.csv"
    images.write_text(fer.csv(rows=[row for i, row in enumerate(rows) if i not in (1, 9)]))
    votes = write(tmp_path / "fer2013new.csv", vote_rows(fer, drop=(1, 9)))
    samples = FERPlus(votes, images=images).split("all")
    space = samples.label_space.labels
    assert samples.labels.tolist() == [space[i % 8] for i in range(12) if i not in (1, 9)]


def test_an_unreadable_face_does_not_shift_the_votes(fer, tmp_path):
    rows = fer.rows()
    rows[3] = "0,1 2 3,Training"
    images = tmp_path / "fer2013.csv"
    images.write_text(fer.csv(rows=rows))
    dataset = FERPlus(write(tmp_path / "fer2013new.csv", vote_rows(fer)), images=images)
    samples = dataset.split("train")
    space = samples.label_space.labels
    assert samples.labels.tolist() == [space[i] for i in (0, 1, 2, 4, 5, 6, 7)]
    assert [str(skipped.row) for skipped in dataset.skipped] == ["4"]


def test_excluded_and_unreadable_votes_are_counted(fer, fer_csv, tmp_path):
    rows = vote_rows(fer)
    rows[0] = "Training,fer0.png,5,5,0,0,0,0,0,0,0,0"
    rows[1] = "Training,fer1.png,5,many,0,0,0,0,0,0,0,0"
    dataset = FERPlus(write(tmp_path / "v.csv", rows), images=fer_csv)
    assert len(dataset.split("all")) == 10
    assert dataset.excluded == {"no majority": 1, "votes unreadable": 1}
    assert "'many' is not a number of votes" in dataset.skipped[0].reason


def test_plurality_keeps_every_face_with_a_vote(fer, fer_csv, tmp_path):
    rows = vote_rows(fer)
    rows[0] = "Training,fer0.png,5,5,0,0,0,0,0,0,0,0"
    rows[1] = "Training,fer1.png,0,0,0,0,0,0,0,0,4,6"
    dataset = FERPlus(write(tmp_path / "v.csv", rows), images=fer_csv, mode="plurality")
    train = dataset.split("train")
    assert (len(train), train.labels[0]) == (7, "neutral")
    assert dataset.excluded == {"no vote for an expression": 1}


def test_files_of_different_rows_are_refused(fer, fer_csv, tmp_path):
    votes = write(tmp_path / "v.csv", vote_rows(fer)[:-1])
    with pytest.raises(DataError, match=r"do not match: got 2 faces and 1 rows of votes .* in PrivateTest"):
        FERPlus(votes, images=fer_csv).split("train")


def test_another_table_and_an_unknown_mode_are_refused(fer_csv):
    with pytest.raises(DataError, match=r"not FER\+'s vote table"):
        FERPlus(fer_csv, images=fer_csv).split("train")
    with pytest.raises(ParameterError, match="majority, probability, plurality"):
        FERPlus(mode="soft")


def test_images_that_are_not_there_are_told(fer, tmp_path):
    votes = write(tmp_path / "v.csv", vote_rows(fer))
    with pytest.raises(DatasetNotFoundError, match=r"fer2013\.csv"):
        FERPlus(votes).split("train")


def test_shuffled_files_are_noticed(fer, tmp_path):
    rows = [fer.rows()[i % 12].rsplit(",", 1)[0] + ",Training" for i in range(240)]
    images = tmp_path / "fer2013.csv"
    images.write_text(fer.csv(rows=rows))
    other = ["Training,f.png," + ",".join("9" if k == (i + 3) % 8 else "0" for k in range(10)) for i in range(240)]
    with pytest.raises(DataError, match="do not belong together"):
        FERPlus(write(tmp_path / "v.csv", other), images=images).split("train")


@pytest.mark.parametrize("contempt", ["drop", "disgust", "neutral"])
def test_contempt_is_left_out_or_counted_as_another_expression(fer, fer_csv, tmp_path, contempt) -> None:
    table = write(tmp_path / "fer2013new.csv", vote_rows(fer))
    whole, made = FERPlus(table, images=fer_csv), FERPlus(table, images=fer_csv, contempt=contempt)
    before, after = whole.split("all"), made.split("all")
    kept = before.labels != "contempt"
    assert made.revision == whole.revision
    assert made.info.label_space is after.label_space is FER7
    assert after.dataset == f"ferplus(contempt={contempt})"
    assert has_learnt_from({"dataset": "ferplus", "split": "all", "revision": whole.revision}, **faces_of(after))
    assert has_learnt_from(faces_of(after), dataset="fer2013", revision="", split="train")
    if contempt == "drop":
        assert after.ids.tolist() == before.ids[kept].tolist()
        assert made.excluded == {**whole.excluded, "contempt": 1}
        np.testing.assert_array_equal(after.images, before.images[kept])
    else:
        assert after.ids.tolist() == before.ids.tolist()
        assert after.labels[~kept].tolist() == [contempt]
    # Nine of ten annotators saw the label, and one saw nothing.
    own = FER7.encode(after.labels)
    np.testing.assert_allclose(after.votes[np.arange(len(after)), own], 1)
    assert after.vote_counts[np.arange(len(after)), own].tolist() == [9] * len(after)
    assert after.vote_counts.sum(axis=1).tolist() == [10] * len(after)
    assert (
        sum(made.available_splits().values()) == len(after) == sum(len(made.split(s)) for s in ("train", "val", "test"))
    )
    assert pickle.loads(pickle.dumps(made)).contempt == contempt


def faces_of(samples) -> dict[str, str]:
    return {"dataset": samples.dataset, "split": samples.split, "revision": samples.revision}


def test_votes_for_contempt_go_where_its_faces_go(fer, fer_csv, tmp_path) -> None:
    rows = vote_rows(fer)
    rows[0] = rows[0].split(",fer")[0] + ",fer0000000.png,6,0,0,0,0,1,0,3,0,0"
    table = write(tmp_path / "fer2013new.csv", rows)
    dropped, merged = (FERPlus(table, images=fer_csv, mode="plurality", contempt=c) for c in ("drop", "disgust"))
    shares, counts = (
        {name: getattr(made.split("all"), name)[0] for name in ("votes", "vote_counts")} for made in (dropped, merged)
    )
    neutral, disgust = FER7.encode(["neutral", "disgust"])
    np.testing.assert_allclose(shares["votes"][[neutral, disgust]], [6 / 7, 1 / 7])
    assert merged.info.name == "ferplus(contempt=disgust, mode=plurality)"
    assert shares["vote_counts"][7:].tolist() == [3, 0, 0], "a choice like 'unknown', so that annotators still disagree"
    np.testing.assert_allclose(counts["votes"][[neutral, disgust]], [0.6, 0.4])
    assert counts["vote_counts"][7:].tolist() == [0, 0]


def test_a_word_for_contempt_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(
        ParameterError, match="contempt of ferplus: got 'ignore', expected keep, drop, disgust, neutral"
    ):
        FERPlus(contempt="ignore")
