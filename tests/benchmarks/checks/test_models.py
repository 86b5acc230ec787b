"""FB008, FB016, FB017, FB018 and FB021: what the rows are."""

from __future__ import annotations

import pytest

from ferbench.benchmarks.checks.models import differing_environments
from ferbench.benchmarks.records import Ancestor, Pretrained
from ferbench.benchmarks.shifts import TransferSummary
from tests.benchmarks.checks.made_up import LABELS, dataset, look, plan, row, summary, timed_part


def compared(runtime: str, **agreement) -> list:
    given = {"reference": "keras", "n": 500, "flips": 0, "max_abs_difference": 1e-7}
    return [row("net", family="deep", runtime=runtime, agreement=given | agreement)]


@pytest.mark.parametrize(
    ("runtime", "agreement", "status"),
    [
        ("litert", {}, "passed"),
        ("litert", {"flips": 1}, "passed"),
        ("litert", {"flips": 2}, "found"),
        ("litert", {"max_abs_difference": 0.01}, "found"),
        ("litert(quantize=float16)", {"max_abs_difference": 0.01}, "passed"),
        ("litert(quantize=int8)", {"max_abs_difference": 0.2, "flips": 20}, "passed"),
        ("litert(quantize=int8)", {"flips": 40}, "found"),
        ("opencv", {"reference": "litert(quantize=dynamic)", "max_abs_difference": 0.2, "flips": 20}, "passed"),
        ("opencv", {"reference": "litert(quantize=dynamic)", "flips": 40}, "found"),
    ],
)
def test_fb008_holds_a_runtime_to_its_precision(runtime: str, agreement: dict, status: str) -> None:
    result = look("FB008", summary(*compared(runtime, **agreement)))
    assert (result.status, result.severity) == (status, "error")


def test_fb008_gives_the_numbers() -> None:
    text = look("FB008", summary(*compared("litert", flips=40, max_abs_difference=0.5))).findings[0].text
    assert "40 of 500 faces (8.0\N{NO-BREAK SPACE}%)" in text
    assert "up to 0.5" in text
    assert look("FB008", summary(row("hog"))).status == "not-applicable"


def test_fb016_finds_latencies_of_two_machines_in_one_table() -> None:
    made = summary(row("hog"), row("lbp"), environment={"fingerprint": "m1"})
    two = [timed_part("hog"), timed_part("lbp", machine="m2")]
    assert "m1 timed hog and m2 timed lbp" in look("FB016", made, parts=two).findings[0].text
    assert look("FB016", made, parts=[timed_part("hog")]).status == "passed"
    assert look("FB016", made, parts=[timed_part("hog", machine="m2")]).status == "found"
    assert look("FB016", made).status == "not-applicable"


def test_fb016_says_what_differs_between_merged_runs() -> None:
    one = {"fingerprint": "m1", "cpu": {"model": "old"}, "packages": {"numpy": "2.1"}}
    runs = {"a": one, "b": one | {"packages": {"numpy": "2.2"}}}
    merged = summary(row("hog"), environment=one, environments=runs)
    assert look("FB016", merged).findings[0].text.endswith("different conditions: numpy 2.1 and 2.2.")
    runs = {"a": one, "b": {"fingerprint": "m2", "cpu": {"model": "new"}, "packages": {"numpy": "2.1"}}}
    two = [timed_part("hog"), timed_part("hog", machine="m2")]
    text = look("FB016", summary(row("hog"), environment=one, environments=runs), parts=two).findings[0].text
    assert text.endswith("They differ: machine m1 and m2 and CPU old and new.")
    assert look("FB016", summary(row("hog"), environment=one, environments={"a": one, "b": one})).status == "passed"


def test_environments_differ_by_what_can_move_a_number() -> None:
    here = {"fingerprint": "m1", "packages": {"numpy": "2.1", "keras": "3.1"}, "state": {"busy_share": 0.1}}
    there = {"fingerprint": "m1", "packages": {"numpy": "2.2"}, "state": {"busy_share": 0.9}}
    assert differing_environments(here, there) == ["keras 3.1 and not installed", "numpy 2.1 and 2.2"]
    assert differing_environments(here, here) == []


def came(learnt: str | None, split: str, revision: str = "abc") -> Pretrained:
    return Pretrained(name="m", content="x", runtime="litert", dataset=learnt, split=split, revision=revision)


@pytest.mark.parametrize(
    ("learnt", "split", "spec", "severity"),
    [
        ("fer2013", "test", "fer2013", "error"),
        ("fer2013", "all", "fer2013", "error"),
        ("fer2013", "test", "ferplus", "error"),  # the same pictures under other labels
        ("fer2013", "train", "fer2013", "note"),
        ("fer2013", "train", "ferplus", "note"),
        ("faces", "test", "images(path=/my/faces)", "error"),  # the same content under another name
        ("faces", "train", "images(path=/my/faces)", "note"),
        (None, "train", "fer2013", "warning"),
    ],
)
def test_fb017_knows_pictures_by_their_collection(learnt: str | None, split: str, spec: str, severity: str) -> None:
    made = summary(
        row("m", dataset=spec, pretrained=came(learnt, split)), datasets=[dataset(spec=spec, title="These faces")]
    )
    result = look("FB017", made, plan=plan(name=spec))
    assert (result.status, result.severity) == ("found", severity)
    assert result.findings[0].rows == ["m"]


def test_fb017_passes_a_model_that_learnt_elsewhere() -> None:
    made = summary(
        row("m", dataset="ckplus", pretrained=came("fer2013", "test", "xyz")), datasets=[dataset(spec="ckplus")]
    )
    assert look("FB017", made, plan=plan(name="ckplus")).status == "passed"
    assert look("FB017", summary(row("hog"))).status == "not-applicable"


@pytest.mark.parametrize(
    ("role", "learnt", "severity", "text"),
    [
        ("teacher", "fer2013 test", "error", "big, a teacher of m, learnt from the faces that score it: fer2013 test"),
        ("initial weights", "ferplus test", "error", "big, whose weights were the start of m, learnt from"),
        ("teacher", "ferplus train", "note", "big, a teacher of m, learnt from ferplus train, another split"),
        ("teacher", None, "warning", "big, a teacher of m, does not say which faces it learnt from"),
    ],
)
def test_fb017_knows_what_teachers_and_first_weights_saw(
    role: str, learnt: str | None, severity: str, text: str
) -> None:
    name, split = learnt.split() if learnt else (None, None)
    before = Ancestor(role=role, name="big", dataset=name, split=split, revision="abc" if learnt else None)
    honest = came("ckplus", "all", "xyz")
    made = summary(
        row("m", dataset="fer2013", pretrained=honest.model_copy(update={"ancestors": [before]})),
        datasets=[dataset(spec="fer2013")],
    )
    result = look("FB017", made, plan=plan(name="fer2013"))
    assert [finding.text.startswith(text) for finding in result.findings] == [True]
    assert result.severity == severity


def test_fb018_finds_expressions_that_only_the_row_knows() -> None:
    confusion = [[50, 5, 5, 0], [10, 28, 2, 0], [0, 0, 0, 0]]
    knows_more = row("m", scored={"labels": [*LABELS, "contempt"], "confusion": confusion})
    text = look("FB018", summary(knows_more)).findings[0].text
    assert "contempt" in text
    assert "7 of 100 faces" in text
    assert look("FB018", summary(row("hog"))).status == "passed"


def test_fb018_finds_a_policy_for_contempt_and_what_a_transfer_mapped() -> None:
    spec = "images(contempt=drop, path=x)"
    made = summary(row("hog", dataset=spec), datasets=[dataset(spec=spec)])
    assert "left out" in look("FB018", made).findings[0].text
    moved = TransferSummary(
        row="hog", trained_on="a", dataset="faces", is_diagonal=False, status="ok", mapped={"contempt": "disgust"}
    )
    assert "contempt → disgust" in look("FB018", summary(row("hog"), transfers=[moved])).findings[0].text


def test_fb021_finds_labels_that_look_permuted() -> None:
    said = "labels look permuted: accuracy 0.100 as named, 0.900 with happy→sad, sad→happy"
    assert "0.900" in look("FB021", summary(row("m", scored={"permuted_labels": said}))).findings[0].text
    assert look("FB021", summary(row("m"))).status == "passed"
