"""Classifiers made of other classifiers, each named by a spec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferbench.checks import check_integer, check_numbers
from ferbench.errors import ParameterError
from ferbench.registry import check_values, create, entry
from ferbench.specs import parse_spec

__all__ = ["stacking", "voting"]


def voting(of: Sequence[str] = ("linear-svm", "knn"), weights: Sequence[float] | None = None) -> Any:
    """Mean of several classifiers' probabilities, all learnt from the same features.

    Parameters
    ----------
    of : sequence of str
        Specs of classifiers of features, such as ``["linear-svm(C=0.1)", "knn"]``.
    weights : sequence of float, optional
        One for each; equal where left out.
    """
    from sklearn.ensemble import VotingClassifier

    members = _members("voting", of)
    shares = None if weights is None else check_numbers("weights", weights, 0, 1e6)
    if shares is not None and (len(shares) != len(members) or not any(shares)):
        raise ParameterError("parameter weights", got=repr(weights), expected=f"{len(members)} numbers, not all 0")
    return VotingClassifier(members, voting="soft", weights=None if shares is None else list(shares))


def stacking(of: Sequence[str] = ("linear-svm", "knn"), final: str = "logistic-regression", folds: int = 5) -> Any:
    """A classifier that learns from the probabilities which others give to faces that they did not learn from.

    Each of them is fitted ``folds`` times for what the last one learns, and once to all rows [1]_. A fold is of rows
    that follow each other, each class in its proportion: a classifier is not told who is shown, but data sets in the
    order of their people so keep most of them on one side.

    Parameters
    ----------
    of : sequence of str
        Specs of classifiers of features.
    final : str
        Spec of the classifier of their probabilities.
    folds : int
        Times that each member is fitted to leave out its share of the faces, 2 or more; the fit takes ``folds`` + 1
        times theirs.

    References
    ----------
    .. [1] D. Wolpert: Stacked generalization. Neural Networks 5(2), 1992.
    """
    from sklearn.ensemble import StackingClassifier

    check_integer("folds", folds, 2)
    return StackingClassifier(
        _members("stacking", of),
        final_estimator=_classifier("stacking", final),
        cv=folds,
        stack_method="predict_proba",
    )


def _members(name: str, of: object) -> list[tuple[str, Any]]:
    if isinstance(of, str) or not isinstance(of, Sequence) or len(of) < 2:
        raise ParameterError(f"parameter of, of {name}", got=repr(of), expected="a list of specs, two or more")
    made = [_classifier(name, spec) for spec in of]
    return [(f"{i}-{parse_spec(spec).name}", one) for i, (spec, one) in enumerate(zip(of, made, strict=True), start=1)]


def _classifier(name: str, spec: object) -> Any:
    if not isinstance(spec, str):
        raise ParameterError(f"a part of {name}", got=repr(spec), expected="the spec of a classifier")
    if entry("classifiers", parse_spec(spec).name).extra == "deep":
        raise ParameterError(f"{name} is of classifiers of features", got=f"the network {spec}", fix="leave it out")
    made = create("classifiers", spec)
    check_values(made)
    return made
