"""waitress over the application: an address, threads for those who watch and those who ask, and a clean stop."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ferbench.errors import FerbenchError, MissingDependencyError, ParameterError
from ferbench.realtime.web.app import Service, create_app
from ferbench.realtime.web.live import LiveView

__all__ = ["is_loopback", "require_packages", "serve", "url_of"]

_THREADS_TO_ASK = 12
# More than a few frames under way to a slow viewer, and it would see the past.
_UNDER_WAY_BYTES = 2**18
_CONNECTIONS = 64
_SILENT_S = 60


def require_packages() -> None:
    """Raise MissingDependencyError unless Flask and waitress are installed."""
    from importlib.util import find_spec

    for package in ("flask", "waitress"):
        if find_spec(package) is None:
            raise MissingDependencyError(package, "serve", "the web page")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on this address or name.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(host: str, port: int) -> str:
    """The address to type; a server on all of a machine's addresses is reached by any of them."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ParameterError("no such port", got=port, expected="0 to 65535; 0 takes a free one")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        is_name = isinstance(error, socket.gaierror)
        fix = "give an address or a name of this machine" if is_name else "try --port 0, which takes a free one"
        raise FerbenchError(f"cannot listen on {host} port {port}", got=error.strerror, fix=fix) from error
    return listener


@contextmanager
def _stop_on_signals(live: LiveView) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the server. The camera goes first: who watches it would keep a thread until then."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        live.interrupt()
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _channel_class() -> Any:
    """waitress' connection; what it refuses before the application sees it leaves as a problem, like all others."""
    from waitress.channel import HTTPChannel
    from waitress.task import ErrorTask

    from ferbench.realtime.web.problems import TOO_LARGE, problem

    class Refusal(ErrorTask):  # type: ignore[misc]  # waitress has no types
        def execute(self) -> None:
            error = self.request.error
            answer = problem(error.code, TOO_LARGE if error.code == 413 else " ".join(str(error.body).split()))
            body = answer.get_data()
            self.status, self.content_length = answer.status, len(body)
            self.response_headers.append(("Content-Type", answer.content_type))
            self.set_close_on_finish()
            self.write(body)

    class Channel(HTTPChannel):  # type: ignore[misc]
        error_task_class = Refusal

    return Channel


def serve(service: Service, host: str, port: int, *, on_ready: Callable[[str], None]) -> None:
    """Answer until Ctrl-C.

    Parameters
    ----------
    service : Service
        What is offered; closed at the end.
    host, port : str, int
        Where to listen; port 0 takes a free one.
    on_ready : callable
        Told the address when requests are taken.

    Raises
    ------
    MissingDependencyError
        If Flask or waitress is not installed.
    FerbenchError
        If the address cannot be had.
    """
    require_packages()
    from waitress.server import create_server

    limits = service.settings.limits
    with service:
        app = create_app(service)
        listener = _listen(host, port)
        server = create_server(
            app,
            sockets=[listener],
            threads=_THREADS_TO_ASK + limits.viewers,
            ident="ferbench",
            channel_timeout=_SILENT_S,
            connection_limit=_CONNECTIONS,
            max_request_body_size=app.config["MAX_CONTENT_LENGTH"],
            outbuf_high_watermark=_UNDER_WAY_BYTES,
            channel_request_lookahead=1,
        )
        server.channel_class = _channel_class()
        with _stop_on_signals(service.live):
            on_ready(url_of(host, listener.getsockname()[1]))
            server.run()
            server.close()
