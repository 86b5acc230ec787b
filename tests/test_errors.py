"""Errors: messages that say what, got, expected and fix; and that survive the way between processes."""

from __future__ import annotations

import pickle

import pytest

from ferbench import errors
from ferbench.errors import FerbenchError, MissingDependencyError, UnknownNameError, suggestion

ALL_ERRORS = [kind for name in errors.__all__ if isinstance(kind := getattr(errors, name), type)]


def make(kind: type[FerbenchError]) -> FerbenchError:
    if kind is MissingDependencyError:
        return MissingDependencyError("dlib", "dlib", "detector 'dlib-hog'")
    if kind is UnknownNameError:
        return UnknownNameError("detector", "hara", ["haar", "whole-image"])
    return kind("it broke", got=3, expected="4", fix="mend it")


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_every_error_survives_pickling_with_message_and_attributes(kind):
    error = make(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_every_error_is_one_line_with_its_exit_code(kind):
    error = make(kind)
    assert error.exit_code == (3 if kind.__name__ == "AgreementError" else 2)
    assert str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("clauses", "message"),
    [
        ({}, "it broke"),
        ({"got": 0}, "it broke: got 0"),
        ({"expected": "4"}, "it broke: expected 4"),
        ({"fix": "mend it"}, "it broke; mend it"),
        ({"got": 3, "expected": 4, "fix": "mend it"}, "it broke: got 3, expected 4; mend it"),
    ],
)
def test_message_holds_the_clauses_that_were_given(clauses, message):
    assert str(FerbenchError("it broke", **clauses)) == message


def test_missing_dependency_names_the_pip_line():
    assert "pip install 'ferbench[dlib]'" in str(make(MissingDependencyError))


def test_unknown_name_suggests_the_nearest_or_else_lists_all():
    known = ["haar", "dlib"]
    assert str(UnknownNameError("detector", "hara", known)) == "unknown detector 'hara'; did you mean 'haar'?"
    assert str(UnknownNameError("detector", "zzz", known)) == "unknown detector 'zzz'; known: dlib, haar"


def test_nothing_is_suggested_where_nothing_is_near():
    assert suggestion("zzz", ["haar"]) is None
