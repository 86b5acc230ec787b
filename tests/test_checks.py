"""Checks of parameters' values: what is taken, in which form it comes back, and what is said of the rest."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ferbench.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_numbers,
    check_positive,
)
from ferbench.errors import ParameterError
from ferbench.registry import check_values, create


@pytest.mark.parametrize(
    ("check", "value", "bounds", "comes_back"),
    [
        (check_integer, 3, (1, 3), 3),
        (check_integer, np.int64(7), (0,), 7),
        (check_number, np.float32(0.5), (0, 1), 0.5),
        (check_number, -7, (), -7.0),
        (check_positive, 1, (), 1.0),
        (check_numbers, 0.5, (0, 1), (0.5,)),
        (check_numbers, np.array([0, 1]), (0, 1), (0.0, 1.0)),
        (check_choice, "hog", (["hog", "lbp"],), "hog"),
        (check_flag, np.bool_(False), (), False),
    ],
)
def test_values_come_back_as_python_has_them(
    check: Callable[..., Any], value: object, bounds: tuple[Any, ...], comes_back: object
) -> None:
    returned = check("x", value, *bounds)
    assert returned == comes_back
    assert type(returned) is type(comes_back)


@pytest.mark.parametrize(
    ("check", "value", "bounds", "says"),
    [
        (check_integer, 0, (1,), "parameter x: got 0, expected an integer from 1 up"),
        (check_integer, 4, (1, 3), "parameter x: got 4, expected an integer from 1 to 3"),
        (check_integer, 2.0, (1,), "parameter x: got 2.0, expected an integer from 1 up"),
        (check_integer, True, (0,), "parameter x: got True"),
        (check_number, math.nan, (), "parameter x: got nan, expected a number"),
        (check_number, 1.5, (0, 1), "parameter x: got 1.5, expected a number from 0 to 1"),
        (check_number, "1", (0, 1), "parameter x: got '1'"),
        (check_positive, 0, (), "parameter x: got 0, expected a number above 0"),
        (check_positive, math.inf, (), "parameter x: got inf"),
        (check_numbers, (), (0, 1), "parameter x: got (), expected at least one number"),
        (check_numbers, "12", (0, 20), "parameter x: got '12'"),
        (check_choice, "sift", (["hog", "lbp"],), "parameter x: got 'sift', expected one of hog, lbp"),
        (check_choice, ["hog"], (["hog", "lbp"],), "parameter x: got ['hog']"),
        (check_flag, 1, (), "parameter x: got 1, expected True or False"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    check: Callable[..., Any], value: object, bounds: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        check("x", value, *bounds)
    assert str(caught.value).startswith(says)


def test_half_a_step_of_a_solver_cannot_be() -> None:
    with pytest.raises(ParameterError, match=r"parameter max_iter: got 0\.5, expected an integer from 1 up"):
        check_values(create("classifiers", "linear-svm(max_iter=0.5)"))
