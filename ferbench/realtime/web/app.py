"""The Flask application: the page, and the JSON API that it uses and others may."""

from __future__ import annotations

import re
import tempfile
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from ferbench.realtime.smoothing import parse_smoothing
from ferbench.realtime.sources import SourceSpec, open_source
from ferbench.realtime.web.guard import add_guards
from ferbench.realtime.web.jobs import Jobs
from ferbench.realtime.web.live import LiveView
from ferbench.realtime.web.models import Models
from ferbench.realtime.web.problems import add_error_handlers
from ferbench.realtime.web.sessions import Sessions
from ferbench.realtime.web.settings import Settings

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["Service", "create_app"]

_MULTIPART_OVERHEAD = 2**16
_FIELDS = 8


class Service:
    """What a server holds: pipelines, cameras, videos and a private folder. ``with`` frees all of it.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    ParameterError, ModelFileError, DeviceError, SourceError
        For a smoothing, a pipeline or a file that cannot be used. Cameras and addresses are tried when they are asked
        for.
    """

    def __init__(self, settings: Settings) -> None:
        parse_smoothing(settings.smooth)
        _check_source(settings.source)
        limits = settings.limits
        self.settings = settings
        self.models = Models(
            settings.pipelines, detector=settings.detector, device=settings.device, waiting=limits.waiting
        )
        self.sessions = Sessions(limits.sessions, limits.session_idle_s)
        self.live = LiveView(
            settings.source, smooth=settings.smooth, viewers=limits.viewers, unwatched_s=limits.unwatched_s
        )
        self._folder = tempfile.TemporaryDirectory(prefix="ferbench-serve-")  # nobody else may read it (mode 0700)
        self.folder = Path(self._folder.name)
        self.jobs = Jobs(self.folder, limits)

    def close(self) -> None:
        """Switch everything off, and delete what was uploaded."""
        self.live.close()
        self.jobs.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_source(source: SourceSpec | None) -> None:
    """Raise for a file or drawn faces that cannot be opened: whoever starts the server can mend that, a visitor not."""
    if source is not None and not re.fullmatch(r"[0-9]+|[A-Za-z][A-Za-z0-9+.-]+://.*", str(source), re.DOTALL):
        open_source(source).close()


def create_app(service: Service) -> Flask:
    """The application over a service, for any WSGI server that has threads.

    Parameters
    ----------
    service : Service
        To be closed by the caller when the server has stopped.

    Returns
    -------
    flask.Flask
    """
    import flask

    from ferbench.realtime.web.api import add_api

    class Request(flask.Request):
        """A request whose uploads never leave the service's own folder: files without a name inside it."""

        def _get_file_stream(self, *args: Any, **kwargs: Any) -> IO[bytes]:
            return tempfile.TemporaryFile("w+b", dir=service.folder)

    app = flask.Flask("ferbench", static_folder=None)
    app.request_class = Request
    app.config.update(
        MAX_CONTENT_LENGTH=service.settings.limits.video_bytes + _MULTIPART_OVERHEAD, MAX_FORM_PARTS=_FIELDS
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider; expressions keep their order
    add_error_handlers(app)
    add_guards(app, service.settings)
    add_api(app, service)
    _add_page(app)
    return app


def _add_page(app: Flask) -> None:
    """The page's files, and the description of the API. Only what is listed here is ever sent."""
    import yaml
    from flask import Response, jsonify

    folder = resources.files("ferbench.realtime.web")
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    files = {
        f"/{file.name}" if file.name != "index.html" else "/": (file.read_bytes(), kinds[Path(file.name).suffix])
        for file in (folder / "page").iterdir()
    }

    def send(path: str) -> Response:
        content, kind = files[path]
        return Response(content, mimetype=kind, headers={"Cache-Control": "no-cache"})

    @cache
    def description() -> Any:
        read = yaml.safe_load((folder / "openapi.yaml").read_text(encoding="utf-8"))
        read["info"]["version"] = version("ferbench")
        return read

    def openapi() -> Response:
        return jsonify(description())

    for path in files:
        app.add_url_rule(path, endpoint=path, view_func=send, defaults={"path": path})
    app.add_url_rule("/openapi.json", view_func=openapi)
