"""What a client did wrong, as ``application/problem+json`` (RFC 9457): a status, a title, one clear line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ferbench.errors import DataError, FerbenchError, ParameterError, SourceError, UnknownNameError

if TYPE_CHECKING:
    from flask import Flask, Response

__all__ = ["TOO_LARGE", "RequestError", "add_error_handlers", "problem"]

TOO_LARGE = "the request is larger than is taken here; /api/v1/pipelines tells the limits"

# The order counts: an error is what the first line that fits says.
_STATUS: tuple[tuple[type[FerbenchError], int], ...] = (
    (ParameterError, 400),
    (UnknownNameError, 400),
    (DataError, 422),
    (SourceError, 422),
)


class RequestError(FerbenchError):
    """A request that cannot be answered as it is.

    Parameters
    ----------
    status : int
        HTTP status.
    what, got, expected, fix
        See :class:`~ferbench.errors.FerbenchError`.
    retry_after_s : int, optional
        When to come again, for 429 and 503.
    """

    def __init__(
        self,
        status: int,
        what: str,
        *,
        got: object = None,
        expected: object = None,
        fix: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(what, got=got, expected=expected, fix=fix)
        self.status, self.retry_after_s = status, retry_after_s


def problem(status: int, detail: str, *, retry_after_s: int | None = None) -> Response:
    """The answer that tells of a problem."""
    from http import HTTPStatus

    from flask import Response

    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    answer = Response(json.dumps(body, ensure_ascii=False), status, mimetype="application/problem+json")
    if retry_after_s is not None:
        answer.headers["Retry-After"] = str(retry_after_s)
    return answer


def add_error_handlers(app: Flask) -> None:
    """Let every error of an app leave as a problem; faults of ours are logged with their trace, and say nothing."""
    from werkzeug.exceptions import HTTPException

    def of_ferbench(error: FerbenchError) -> Response:
        if isinstance(error, RequestError):
            return problem(error.status, str(error), retry_after_s=error.retry_after_s)
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        if status == 500:
            app.logger.error("%s", error)
        return problem(status, str(error))

    def of_http(error: HTTPException) -> Response:
        answer = problem(error.code or 500, _line(error))
        for name, value in error.get_headers():
            if name.lower() == "allow":
                answer.headers[name] = value
        return answer

    app.register_error_handler(FerbenchError, of_ferbench)
    app.register_error_handler(HTTPException, of_http)


def _line(error: object) -> str:
    """Werkzeug's own text, in this house's words where they are clearer."""
    from werkzeug.exceptions import (
        HTTPException,
        InternalServerError,
        MethodNotAllowed,
        NotFound,
        RequestEntityTooLarge,
    )

    if isinstance(error, NotFound):
        return "there is nothing at this address; see /openapi.json"
    if isinstance(error, MethodNotAllowed):
        return f"this address takes {', '.join(sorted(error.valid_methods or []))}"
    if isinstance(error, RequestEntityTooLarge):
        return TOO_LARGE
    if isinstance(error, InternalServerError):
        return "the server made a mistake; its terminal says more"
    return (error.description or "the request cannot be used") if isinstance(error, HTTPException) else str(error)
