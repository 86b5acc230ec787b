"""The JSON API under ``/api/v1``; ``openapi.yaml`` beside this module describes it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from ferbench.realtime import Frame, label_colour
from ferbench.realtime.web.content import display_name, read_upload
from ferbench.realtime.web.jobs import FILM_KIND
from ferbench.realtime.web.live import BOUNDARY
from ferbench.realtime.web.problems import RequestError
from ferbench.realtime.web.results import face_json, frame_json

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue
    from werkzeug.datastructures import FileStorage

    from ferbench.realtime.web.app import Service

__all__ = ["add_api"]

PREFIX = "/api/v1"
_OVERHEAD = 2**16  # of a multipart body, beyond its file


def add_api(app: Flask, service: Service) -> None:
    """Add every address of the API to an app."""
    _add_facts(app, service)
    _add_photographs(app, service)
    _add_sessions(app, service)
    _add_videos(app, service)
    _add_live(app, service)


def _add_facts(app: Flask, service: Service) -> None:
    limits = service.settings.limits

    def health() -> ResponseReturnValue:
        return {"status": "ok", "version": version("ferbench")}

    def pipelines() -> ResponseReturnValue:
        models = list(service.models)
        labels = dict.fromkeys(label for model in models for label in model.labels)
        return {
            "pipelines": [{"name": m.name, "labels": m.labels, "default": m is models[0]} for m in models],
            "colours": {label: "#{:02x}{:02x}{:02x}".format(*label_colour(label)) for label in labels},
            "smooth": service.settings.smooth,
            "camera": service.settings.source is not None,
            "limits": {
                "image_bytes": limits.image_bytes,
                "image_pixels": limits.image_pixels,
                "video_bytes": limits.video_bytes,
                "video_seconds": limits.video_seconds,
            },
        }

    app.add_url_rule(f"{PREFIX}/health", view_func=health)
    app.add_url_rule(f"{PREFIX}/pipelines", view_func=pipelines)


def _add_photographs(app: Flask, service: Service) -> None:
    from flask import request

    limits = service.settings.limits

    def predict() -> ResponseReturnValue:
        request.max_content_length = limits.image_bytes + _OVERHEAD
        file = _uploaded_file()
        model = service.models[_options(request.form, "pipeline")["pipeline"]]
        with service.models.place():
            content = file.stream.read(limits.image_bytes + 1)
            if len(content) > limits.image_bytes:
                raise RequestError(413, "the image is too large", expected=f"up to {limits.image_bytes} bytes")
            name = display_name(file.filename, "image")
            image = read_upload(content, name, max_pixels=limits.image_pixels)
            result = model.process(model.processor("none"), Frame(0, None, image, name))
        return {"pipeline": model.name, **frame_json(result)}

    app.add_url_rule(f"{PREFIX}/predict", view_func=predict, methods=["POST"])


def _add_sessions(app: Flask, service: Service) -> None:
    from flask import request

    limits = service.settings.limits

    def open_session() -> ResponseReturnValue:
        request.max_content_length = _OVERHEAD
        options = _json_options("pipeline", "smooth")
        model = service.models[options["pipeline"]]
        session = service.sessions.open(model, _given(options["smooth"], service.settings.smooth))
        return {"id": session.id, "pipeline": model.name, "labels": model.labels}, 201

    def process_frame(session_id: str) -> ResponseReturnValue:
        request.max_content_length = limits.frame_bytes
        if request.mimetype != "image/jpeg":
            raise RequestError(
                415, "a frame is posted as it is", got=request.mimetype or "no type", expected="image/jpeg"
            )
        content = request.get_data()
        with service.models.place():
            result = service.sessions.process(
                session_id,
                lambda: read_upload(content, "the frame", max_pixels=limits.frame_pixels, kinds=("jpeg",)),
            )
        return frame_json(result)

    def close_session(session_id: str) -> ResponseReturnValue:
        service.sessions.close(session_id)
        return "", 204

    app.add_url_rule(f"{PREFIX}/sessions", view_func=open_session, methods=["POST"])
    app.add_url_rule(f"{PREFIX}/sessions/<session_id>/frames", view_func=process_frame, methods=["POST"])
    app.add_url_rule(f"{PREFIX}/sessions/<session_id>", view_func=close_session, methods=["DELETE"])


def _add_videos(app: Flask, service: Service) -> None:
    from flask import request, send_file

    limits = service.settings.limits

    def take_video() -> ResponseReturnValue:
        file = _uploaded_file()
        if file.stream.seek(0, 2) > limits.video_bytes:
            raise RequestError(413, "the video is too large", expected=f"up to {limits.video_bytes} bytes")
        file.stream.seek(0)
        options = _options(request.form, "pipeline", "smooth")
        model, smooth = service.models[options["pipeline"]], _given(options["smooth"], service.settings.smooth)
        job = service.jobs.submit(file.stream, display_name(file.filename, "video"), model, smooth)
        return job.to_dict(), 202, {"Location": f"{PREFIX}/videos/{job.id}"}

    def video_state(job_id: str) -> ResponseReturnValue:
        return service.jobs.get(job_id).to_dict()

    def video_file(job_id: str, what: str) -> ResponseReturnValue:
        path = service.jobs.file(job_id, what)
        stem = service.jobs.get(job_id).name.rpartition(".")[0] or "video"
        kind = {"result": "application/json", "csv": "text/csv", "video": FILM_KIND}[what]
        return send_file(
            path,
            mimetype=kind,
            as_attachment=what != "result",
            download_name=f"{stem}-{path.name}" if what != "result" else None,
        )

    def delete_video(job_id: str) -> ResponseReturnValue:
        service.jobs.cancel(job_id)
        return "", 204

    app.add_url_rule(f"{PREFIX}/videos", view_func=take_video, methods=["POST"])
    app.add_url_rule(f"{PREFIX}/videos/<job_id>", view_func=video_state, methods=["GET"])
    app.add_url_rule(f"{PREFIX}/videos/<job_id>", view_func=delete_video, methods=["DELETE"])
    app.add_url_rule(f"{PREFIX}/videos/<job_id>/<any(result, csv, video):what>", view_func=video_file)


def _add_live(app: Flask, service: Service) -> None:
    from flask import Response, request

    live = service.live

    def state() -> ResponseReturnValue:
        runs, name, summary, result, error = live.state()
        return {
            "running": runs,
            "source": str(live.spec) if live.spec is not None else None,
            "pipeline": name,
            "frames": summary.frames,
            "fps": round(fps, 1) if (fps := summary.recent_fps) is not None else None,
            "faces": [face_json(face) for face in result.faces] if result is not None else [],
            "error": error,
        }

    def start() -> ResponseReturnValue:
        request.max_content_length = _OVERHEAD
        live.start(service.models[_json_options("pipeline")["pipeline"]])
        return state()

    def stop() -> ResponseReturnValue:
        live.stop()
        return "", 204

    def watch() -> ResponseReturnValue:
        mimetype = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        if request.method == "HEAD":  # Werkzeug would not tell the viewer that it has left
            return Response(mimetype=mimetype)
        # waitress tells of a viewer who has left; elsewhere the next frame that cannot be sent does.
        is_gone = request.environ.get("waitress.client_disconnected", lambda: False)
        return Response(live.watch(is_gone), mimetype=mimetype)

    app.add_url_rule(f"{PREFIX}/live", endpoint="live_state", view_func=state, methods=["GET"])
    app.add_url_rule(f"{PREFIX}/live", endpoint="live_start", view_func=start, methods=["POST"])
    app.add_url_rule(f"{PREFIX}/live", endpoint="live_stop", view_func=stop, methods=["DELETE"])
    app.add_url_rule(f"{PREFIX}/live/stream", endpoint="live_stream", view_func=watch, methods=["GET"])


def _uploaded_file() -> FileStorage:
    """The form's file; of several, none is dropped in silence."""
    from flask import request

    n = sum(len(files) for _, files in request.files.lists())
    if n > 1:
        raise RequestError(400, "one file a request", got=f"{n} files", fix="send a request for each")
    file = request.files.get("file")
    if file is None:
        raise RequestError(
            400,
            "no file in the request",
            got=request.mimetype or "no content",
            expected="multipart/form-data with a field file",
            fix="curl -F file=@photo.jpg",
        )
    return file


def _given(value: str | None, default: str) -> str:
    return default if value is None else value


def _options(given: Mapping[str, object], *names: str) -> dict[str, str | None]:
    """The texts of these names; None for one that is missing. A name that nobody knows is a mistake, not a whim."""
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise RequestError(400, "unknown field", got=repr(unknown[0])[:80], expected=", ".join(names))
    found: dict[str, str | None] = {}
    for name in names:
        value = given.get(name)
        if value is not None and not isinstance(value, str):
            raise RequestError(400, f"{name} is not a text", got=repr(value)[:80])
        found[name] = value
    return found


def _json_options(*names: str) -> dict[str, str | None]:
    """The texts of a JSON object, which may be missing altogether."""
    from flask import request
    from werkzeug.exceptions import BadRequest

    if not request.get_data(cache=True):
        return _options({}, *names)
    if not request.is_json:
        raise RequestError(
            415, "the body is not JSON", got=request.mimetype or "no Content-Type", expected="application/json"
        )
    try:
        data = request.get_json()
    except BadRequest as error:
        like = 'a JSON object, such as {"smooth": "none"}'
        raise RequestError(400, "the body cannot be read as JSON", expected=like) from error
    if not isinstance(data, dict):
        raise RequestError(400, "the body is not a JSON object", got=type(data).__name__)
    return _options(data, *names)
