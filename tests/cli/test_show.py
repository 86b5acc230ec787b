"""``ferbench show``: one page for whatever has a name."""

from __future__ import annotations

import json
import re

import pytest

from ferbench.cli import main
from ferbench.registry import GROUPS, entries


def shown(capsys, name: str) -> list[dict]:
    assert main(["show", name, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", sorted({name for group in GROUPS for name in entries(group)}))
def test_every_component_has_a_page_that_explains_each_parameter(name, capsys):
    assert main(["show", name]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{name}: ")
    assert len(text.splitlines()) >= 4
    assert not re.search(r":\w+:`|``|\]_", text), "markup of docstrings"
    for page in shown(capsys, name):
        assert [p for p, said in page.get("parameters", {}).items() if not (said["about"] and said["type"])] == []


@pytest.mark.parametrize("name", ["krishna-cnn", "chi2-svm", "haar", "hist-gradient-boosting"])
def test_pages_of_components_fit_a_terminal(name, capsys):
    assert main(["show", name]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_parameters_tell_what_they_can_be(capsys):
    (page,) = shown(capsys, "wavelet")
    assert page["parameters"]["bands"]["type"] == '{"all", "approximation", "details"}'
    assert main(["show", "wavelet"]) == 0
    assert """bands = 'all' : {"all", "approximation", "details"}""" in capsys.readouterr().out


def test_a_network_tells_its_own_parameters_before_those_of_the_training(capsys):
    (page,) = shown(capsys, "krishna-cnn")
    names = list(page["parameters"])
    assert names.index("dropout") < names.index("epochs")
    assert "plateau_factor" in page["parameters"]["schedule"]["about"]
    assert "schedule=plateau" in page["parameters"]["plateau_factor"]["about"]


def test_parameters_come_with_default_and_meaning(capsys):
    (page,) = shown(capsys, "haar")
    assert page["parameters"]["scale_factor"]["default"] == "1.1"
    assert "scale" in page["parameters"]["scale_factor"]["about"]


def test_of_a_spec_the_component_is_shown_and_a_malformed_one_is_an_error(capsys):
    assert shown(capsys, "lbp(grid=5)") == shown(capsys, "lbp")
    assert main(["show", "lbp(grid="]) == 2
    assert "not a component spec" in capsys.readouterr().err


def test_a_dataset_tells_labels_splits_terms_and_files_without_being_there(capsys):
    page, *_ = shown(capsys, "fer2013")  # a suite has that name too
    assert page["labels"].startswith("FER7: angry")
    assert "test" in page["splits"]
    assert "fer2013.csv" in page["files looked for"]
    assert page["licence"]


def test_a_name_that_two_things_have_shows_both(capsys):
    assert [page["title"] for page in shown(capsys, "majority")] == [
        "majority: classifier",
        "majority: pipeline preset",
    ]


def test_a_preset_tells_its_pipeline_and_family(capsys):
    (page,) = shown(capsys, "haar-mini-xception")
    assert page["pipeline"].startswith("haar/mini-xception")
    assert page["family"] == "deep"


def test_a_suite_is_shown_by_name(capsys):
    (page,) = shown(capsys, "quick")
    assert "majority" in page["pipelines"]


def test_the_suite_schema_is_a_json_schema_that_knows_the_keys(capsys):
    assert main(["show", "suite-schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"datasets", "pipelines", "profiles"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_a_saved_pipeline_is_shown_with_its_headline_figures_and_card(capsys):
    (page,) = shown(capsys, "tiny")
    assert page["summary"].startswith("yunet/se-resnet(")
    assert page["labels"] == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert page["trained_on"]["dataset"] == "fer2013"
    assert "%" in page["measured"]["accuracy"]
    assert page["card"].endswith("CARD.md")


def test_what_a_network_was_made_of_is_a_line_each(capsys):
    assert main(["show", "tiny"]) == 0
    text = capsys.readouterr().out
    assert "\n  members:\n    - pipeline tiny, share 1.0, " in text
    assert "\n      ancestors:\n        - role teacher, name accurate, dataset fer2013, split train, revision\n" in text
    assert "calibrated_on (dataset fer2013, split val, " in " ".join(text.split())
    assert "{" not in text
    assert max(map(len, text.splitlines()[:-1])) <= 80  # the last is the path of the card


def test_a_damaged_saved_pipeline_is_an_error_that_names_the_file(capsys, tmp_path):
    (tmp_path / "pipeline.json").write_text("{")
    assert main(["show", str(tmp_path)]) == 2
    assert str(tmp_path / "pipeline.json") in capsys.readouterr().err


def test_an_unknown_name_is_an_error_with_a_suggestion(capsys):
    assert main(["show", "lpb"]) == 2
    assert "did you mean 'lbp'" in capsys.readouterr().err
