"""The API keeps what /openapi.json says of it: schemathesis asks, rightly and wrongly, and compares the answers."""

from __future__ import annotations

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from ferbench.realtime.web import create_app

# Of few bytes that a generator writes none is a picture: that right ones are taken is said in the other tests.
EXAMPLES = 2


@pytest.fixture
def app(service):
    return create_app(service)


def test_the_description_names_every_address_and_no_other(app):
    description = app.test_client().get("/openapi.json").get_json()
    assert description["openapi"].startswith("3.1")
    described = {
        (re.sub(r"\{\w+\}", "{}", path), method.upper())
        for path, operations in description["paths"].items()
        for method in operations
        if method != "parameters"
    }
    files = "/api/v1/videos/{}/"
    served = {
        (re.sub(r"<[^>]+>", "{}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/")
    }
    served = (served - {(files + "{}", "GET")}) | {(files + what, "GET") for what in ("result", "csv", "video")}
    assert described == served


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_answers_are_those_that_are_described(app, mode):
    checked = 0
    for found in schemathesis.openapi.from_wsgi("/openapi.json", app).get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            answer = case.call()
            assert answer.status_code < 500 or answer.headers.get("retry-after")
            case.validate_response(answer, excluded_checks=[positive_data_acceptance])

        if mode is GenerationMode.POSITIVE or operation.body or operation.path_parameters:
            ask()
            checked += 1
    assert checked >= 10
