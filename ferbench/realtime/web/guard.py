"""Who may ask, and what a browser may do with the answer.

A server on 127.0.0.1 is reached by every page that the user's browser shows. Three checks keep other pages out: the
name by which the server is called (a page that makes its own name point to 127.0.0.1, "DNS rebinding", calls it by
that name), the page that a request comes from, and a policy that lets the page load from nowhere else.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from ferbench.realtime.web.problems import RequestError

if TYPE_CHECKING:
    from flask import Flask, Response

    from ferbench.realtime.web.settings import Settings

__all__ = ["HEADERS", "add_guards", "host_name", "is_known_host"]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What every answer carries. ``blob:`` is what the page itself holds: the picture that the user chose."""

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def host_name(host: str) -> str:
    """The name in a Host header, without its port, lower case; IPv6 addresses without brackets.

    Examples
    --------
    >>> host_name("[::1]:8000"), host_name("LocalHost:80"), host_name("127.0.0.1")
    ('::1', 'localhost', '127.0.0.1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_known_host(host: str, settings: Settings) -> bool:
    """Whether the server may be called by this Host header.

    An address cannot be rebound, only a name can: a server that other machines reach answers to any address of its
    own, and to the names that it was told.
    """
    name = host_name(host)
    if name == "localhost" or name in settings.hosts:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not settings.is_local


def add_guards(app: Flask, settings: Settings) -> None:
    """Check every request of an app, and put the headers on every answer."""
    from flask import request

    def check() -> None:
        if not is_known_host(request.host, settings):
            raise RequestError(
                421,
                "this server is not known by that name",
                got=repr(request.host),
                fix="use the address that ferbench serve printed, or start it with --allow-host",
            )
        origin = request.headers.get("Origin")
        own = f"{request.scheme}://{request.host}"
        # A proxy that speaks https to the browser hands the request on as http.
        if origin is not None and origin.rpartition("://")[2] != request.host:
            raise RequestError(403, "this request comes from another page", got=repr(origin), expected=own)
        site = request.headers.get("Sec-Fetch-Site", "none")
        opens_page = request.method in _SAFE_METHODS and request.headers.get("Sec-Fetch-Mode") == "navigate"
        if site not in ("same-origin", "none") and not (opens_page and request.path == "/"):
            raise RequestError(403, "this request comes from another page", got=f"Sec-Fetch-Site {site}")

    def label(answer: Response) -> Response:
        for name, value in HEADERS.items():
            answer.headers[name] = value
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    app.before_request(check)
    app.after_request(label)
