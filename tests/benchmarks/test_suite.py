"""Suites: what is accepted, what is refused, and where the error points."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ferbench.benchmarks.suite import parse_device, suite_json_schema
from ferbench.benchmarks.suite_file import bundled_suites, find_suite, parse_suite, read_suite
from ferbench.errors import InvalidSuiteError, UnknownNameError

GOOD = """\
schema: 1
name: small
datasets:
  - {name: fer2013, train: train, tune: val, test: test}
pipelines:
  - id: lbp
    detector: haar
    features: lbp(grid=7)
    classifier: linear-svm
profiles:
  quick: {limit: 100}
  full: {}
"""


def refusal(text: str) -> str:
    with pytest.raises(InvalidSuiteError) as error:
        parse_suite(text, source="my.yaml")
    return str(error.value)


def test_a_suite_is_read_with_its_components_in_canonical_form() -> None:
    suite = parse_suite(GOOD.replace("lbp(grid=7)", "lbp( method=uniform, grid = 7 )"))
    assert suite.pipelines[0].features == "lbp(grid=7, method=uniform)"
    assert suite.profile(None)[0] == "quick"
    assert suite.profile("full")[1].limit is None


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("    detector: haar", "    detectr: haar", 7, "unknown key 'detectr'; did you mean 'detector'"),
        ("name: small", "nme: small", 2, "unknown key 'nme'"),
        ("quick: {limit: 100}", "quick: {limt: 100}", 11, "did you mean 'limit'"),
        ("detector: haar", "detector: harr", 7, "unknown detector 'harr'; did you mean 'haar'"),
        ("classifier: linear-svm", "classifier: linear_svm", 9, "did you mean 'linear-svm'"),
        ("name: fer2013,", "name: fer2014,", 4, "did you mean 'fer2013'"),
        ("lbp(grid=7)", "'lbp(grid=7'", 8, "not a component spec"),
        ("limit: 100", "limit: many", 11, "got 'many'"),
        ("limit: 100", "limit: 0", 11, "expected greater than 0"),
        ("schema: 1", "schema: 2", 1, "wrong value: got 2, expected 1"),
        ("schema: 1", "schema: true", 1, "the version of the suite format is 1, not True"),
        ("schema: 1", "schema: 1.0", 1, "the version of the suite format is 1, not 1.0"),
        ("name: small", "name: 12", 2, "got 12, expected text"),
        ("limit: 100", "limit: 100.0", 11, "got 100.0, expected a whole number"),
        ("limit: 100", "limit: '100'", 11, "got '100', expected a whole number"),
        ("limit: 100", "limit: true", 11, "got true, expected a whole number"),
        ("name: small", "name: small\nseed: true", 3, "seed has a wrong value: got true, expected a whole number"),
        ("name: small", "name: small\ncross: {contempt: 1}", 3, "cross.contempt has a wrong value: got 1"),
        ("name: small", "name: small\ncorruptions: {severities: [1.0]}", 3, "got 1.0, expected a whole number"),
        ("limit: 100", "min_seconds: true", 11, "got true, expected a number"),
        ("name: small", "name: klein-ä", 2, "expected letters, digits and . _ + -, a letter or a digit first"),
        ("quick: {limit: 100}", "quick: {min_seconds: .inf}", 11, "expected a finite number"),
        ("classifier: linear-svm", "classifier: {use: linear-svm, grid: {C: [1]}}", 9, "'grid:' stands beside"),
        ("profiles:", "grid: {C: [1]}\nprofiles:", 10, "belongs to a pipeline"),
        ("linear-svm", "linear-svm\n    grid: {C: 1}", 10, "must be a list"),
        ("linear-svm", "linear-svm\n    grid: {C: [1e-3]}", 10, "YAML reads 1e-3 of 'C' as text; write it as 0.001"),
        ("linear-svm", "linear-svm\n    grid: {C: [1, 1]}", 10, "named twice"),
        ("linear-svm", "linear-svm\n    grid: {C: [[1]]}", 10, "a number or a word, not [1]"),
        ("linear-svm", "linear-svm\n    grid: {}", 6, "the grid is empty"),
        ("linear-svm", "linear-svm\n    search: {folds: 3}", 6, "'search' needs a 'grid'"),
        ("linear-svm", "linear-svm\n    search: {fold: 3}", 10, "did you mean 'folds'"),
        ("linear-svm", "linear-svm\n    search: {by: tune, folds: 3}", 10, "'folds' needs 'by: folds'"),
        ("tune: val", "tune: train", 4, "learnt from or scored"),
        ("tune: val", "tune: all", 4, "learnt from or scored"),
        ("profiles:", "corruptions: {severities: [6]}\nprofiles:", 10, "severit"),
        ("tune: val", "tune: test", 4, "chosen on the test split"),
        ("train: train", "train: test", 4, "overlap"),
        ("train: train", "train: all", 4, "overlap"),
        ("train: train", "folds: 5", 4, "needs 'protocol: subject-kfold'"),
        ("name: small", "name: small\nname: smaller", 3, "'name' twice"),
        ("profiles:", "scenarios: [fixed-rate(hz=0)]\nprofiles:", 10, "hz"),
        ("profiles:", "scenarios: [singel]\nprofiles:", 10, "singel"),
        ("profiles:", "devices: ['cpu(threads=0)']\nprofiles:", 10, "from 1 to 1024"),
        ("profiles:", "scenarios: [offline(batch=5000)]\nprofiles:", 10, "with N from 1 to 4096"),
        ("schema: 1", "schema: [1", 2, "not valid YAML"),
        ("    classifier: linear-svm", "    saved: tiny", 6, "as it was trained; remove detector, features"),
        (
            "    detector: haar\n    features: lbp(grid=7)\n    classifier: linear-svm",
            "    preset: pca-svm\n    published: haar-lenet",
            6,
            "remove 'published'",
        ),
        ("    features: lbp(grid=7)", "    saved: tiny", 6, "either 'classifier', 'preset' or 'saved'"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(old: str, new: str, line: int, says: str) -> None:
    message = refusal(GOOD.replace(old, new, 1))
    assert message.startswith(f"my.yaml, line {line}: ")
    assert says in message
    assert "\n" not in message


def test_two_rows_of_one_name_are_refused_where_the_second_stands() -> None:
    rows = "  - {id: a, classifier: knn}\n  - {id: b, classifier: knn}\n  - {id: a, classifier: majority}"
    text = "schema: 1\nname: x\ndatasets: [{name: fer2013}]\npipelines:\n"
    assert refusal(text + rows) == "my.yaml, line 7: two entries for pipeline 'a'"


def test_a_profile_of_a_row_that_the_suite_has_not_is_refused_where_it_stands() -> None:
    text = GOOD.replace("classifier: linear-svm", "classifier: linear-svm\n    profiles:\n      quik: {skip: true}")
    assert refusal(text) == "my.yaml, line 11: pipeline 'lbp' names the profile 'quik'; the suite has quick, full"


@pytest.mark.parametrize(
    ("lines", "line", "says"),
    [
        ("corruptions:\n  severities: [1]\n  baseline: lpb", -1, "no pipeline 'lpb'"),
        ("cross: {}", 3, "'cross' needs two data sets"),
        (
            "profiles:\n  slow:\n    datasets:\n      - {name: ckplus}\n      - {name: ferplus, train: null}",
            -1,
            "(train: null)",
        ),
    ],
)
def test_what_only_the_whole_suite_shows_is_refused_where_it_stands(lines: str, line: int, says: str) -> None:
    text = f"schema: 1\nname: x\ndatasets: [{{name: fer2013}}]\npipelines: [{{id: lbp, classifier: knn}}]\n{lines}"
    message = refusal(text)
    assert message.startswith(f"my.yaml, line {line if line > 0 else len(text.splitlines())}: ")
    assert says in message


def test_a_missing_key_is_named() -> None:
    assert "'classifier'" in refusal(GOOD.replace("    classifier: linear-svm\n", ""))
    assert "the key 'datasets' is missing" in refusal("schema: 1\nname: x\npipelines: [{id: a, classifier: knn}]")


@pytest.mark.parametrize("text", ["", "[]", "3", "a: &x [*x]", "? [1]\n: 2", "a: 2001-99-99", "\x00", "--- a\n--- b"])
def test_what_is_no_suite_is_one_clear_line(text: str) -> None:
    assert "\n" not in refusal(text)


@given(st.text(alphabet=st.sampled_from("abc: -[]{}&*#|>\n\t'\"!%@`?,0~"), max_size=60))
def test_any_text_is_a_suite_or_a_clear_refusal(text: str) -> None:
    with pytest.raises(InvalidSuiteError):
        parse_suite(text)


@given(st.integers(0, len(GOOD)), st.integers(1, 30))
def test_a_damaged_suite_is_read_or_refused_but_never_a_crash(start: int, length: int) -> None:
    message = ""
    try:
        parse_suite(GOOD[:start] + GOOD[start + length :])
    except InvalidSuiteError as error:
        message = str(error)
    assert "\n" not in message


def test_a_profile_may_skip_a_saved_pipeline_and_change_nothing_else() -> None:
    text = "schema: 1\nname: x\ndatasets: [{name: fer2013}]\nprofiles: {quick: {}}\npipelines:\n"
    entry = "- {id: a, saved: tiny, profiles: {quick: {skip: true}}}"
    assert parse_suite(text + entry).pipelines[0].saved == "tiny"
    assert "may only skip it" in refusal(text + entry.replace("skip: true", "limit: 3"))


def test_unknown_profile_suggests() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'quick'"):
        parse_suite(GOOD).profile("quik")


@pytest.mark.parametrize("name", ["quick", "fer2013", "ckplus", "shipped", "shipped-ferplus", "realtime"])
def test_bundled_suites_are_valid_and_found_by_name(name: str) -> None:
    path = find_suite(name)
    assert path == bundled_suites()[name]
    assert read_suite(path).name == name


def test_a_suite_that_is_not_there_suggests(tmp_path: Path) -> None:
    with pytest.raises(InvalidSuiteError, match="did you mean 'quick'"):
        find_suite("qick")
    with pytest.raises(InvalidSuiteError, match="cannot read"):
        read_suite(tmp_path)


def test_the_json_schema_accepts_the_keys_that_the_suite_accepts() -> None:
    schema = suite_json_schema()
    json.dumps(schema)
    assert set(yaml.safe_load(GOOD)) <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_devices_are_parsed() -> None:
    assert parse_device("cpu(threads=2)") == ("cpu", 2)
    assert parse_device("gpu") == ("gpu", 1)
    assert parse_device("cpu(threads=all)")[1] >= 1


def test_frames_are_named_in_full_or_refused() -> None:
    name = "synthetic-stream-640x480-jpeg"
    assert parse_suite(GOOD).frames is None
    assert parse_suite(f"{GOOD}\nframes: {name}\n").frames == name
    assert "synthetic-stream-<width>x<height>" in refusal(f"{GOOD}\nframes: webcam\n")


@pytest.mark.parametrize(
    ("profile", "entry", "says"),
    [
        (None, "test: tset", "line 6: unknown split of synthetic faces 'tset'; did you mean 'test'?"),
        (None, "protocol: subject-kfold, folds: 90", "line 6: 90 subject-independent folds of synthetic("),
        ("other", "test: tset", "line 12: unknown split of synthetic faces 'tset'; did you mean 'test'?"),
    ],
)
def test_what_a_data_set_cannot_give_is_said_with_its_line(profile: str | None, entry: str, says: str) -> None:
    from ferbench.benchmarks.runner import make_plan

    name = '"synthetic(kind=crops, n_train=14, n_val=0, n_test=7)"'
    own = "test: test" if profile else entry
    text = f"""\
schema: 1
name: x
pipelines: [{{id: a, features: hog, classifier: knn}}]
datasets:
  - {{name: synthetic}}
  - {{name: {name}, {own}}}
profiles:
  quick: {{}}
  other:
    datasets:
      - {{name: synthetic}}
      - {{name: {name}, {entry}}}
"""
    with pytest.raises(InvalidSuiteError) as refused:
        make_plan(parse_suite(text, source="my.yaml"), profile)
    assert str(refused.value).startswith(f"my.yaml, {says}")
    assert "\n" not in str(refused.value)


def test_folds_that_no_class_fills_are_refused_before_any_work() -> None:
    from ferbench.benchmarks.facts import DatasetFacts, SplitFacts
    from ferbench.benchmarks.plan import expand

    text = "schema: 1\nname: x\ndatasets:\n  - {name: ckplus, protocol: subject-kfold, folds: 9}\n"
    suite = parse_suite(text + "pipelines: [{id: a, features: hog, classifier: knn}]\n", source="my.yaml")
    split = SplitFacts(n=14, n_subjects=14, class_counts={"happy": 8, "sad": 6})
    about = {"title": "", "kind": "crops", "is_synthetic": False, "revision": "r", "licence": ""}
    facts = DatasetFacts(spec="ckplus", labels=["happy", "sad"], splits={"all": split}, **about)
    with pytest.raises(InvalidSuiteError, match=r"my.yaml, line 4: 9 .*: got 8 faces of happy, its largest class"):
        expand(suite, None, {"ckplus": facts}, machine="m")
