"""A browser's camera: identity and smoothing over its frames, one in flight, places that are given away."""

from __future__ import annotations

import threading

import pytest

from ferbench.realtime.web.models import Models
from ferbench.realtime.web.problems import RequestError
from ferbench.realtime.web.sessions import Sessions

JPEG = {"content_type": "image/jpeg"}


def begin(client, **options):
    answer = client.post("/api/v1/sessions", json=options)
    assert answer.status_code == 201, answer.get_json()
    return answer.get_json()["id"]


def test_faces_keep_their_identity_and_are_smoothed_over_frames(client, square):
    session = begin(client, smooth="mean:2")
    frames = [
        client.post(f"/api/v1/sessions/{session}/frames", data=square(b, ".jpg"), **JPEG).get_json() for b in (204, 102)
    ]
    faces = [frame["faces"][0] for frame in frames]
    assert [frame["frame"] for frame in frames] == [0, 1]
    assert faces[0]["track"] == faces[1]["track"]
    assert faces[1]["probabilities"]["happy"] == pytest.approx((204 + 102) / 2 / 255, abs=0.03)
    assert client.delete(f"/api/v1/sessions/{session}").status_code == 204
    gone = client.post(f"/api/v1/sessions/{session}/frames", data=square(204, ".jpg"), **JPEG)
    assert gone.status_code == 404


def test_sessions_share_no_memory(client, square):
    first, second = begin(client, smooth="mean:10"), begin(client, smooth="mean:10")
    client.post(f"/api/v1/sessions/{first}/frames", data=square(60, ".jpg"), **JPEG)
    answer = client.post(f"/api/v1/sessions/{second}/frames", data=square(204, ".jpg"), **JPEG).get_json()
    assert answer["faces"][0]["probability"] == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"\xff\xd8\xff\xe0 cut", "image/jpeg", 422),
        (b"", "image/jpeg", 422),
        (b"hello there, I am text", "image/jpeg", 415),
        (None, "image/png", 415),
        (bytes(3 * 2**20), "image/jpeg", 413),
    ],
)
def test_frames_that_are_none_are_refused_and_the_session_goes_on(client, square, content, kind, status):
    session = begin(client)
    address = f"/api/v1/sessions/{session}/frames"
    answer = client.post(address, data=square(204, ".jpg") if content is None else content, content_type=kind)
    assert answer.status_code == status
    assert client.post(address, data=square(204, ".jpg"), **JPEG).status_code == 200


def test_a_frame_of_too_many_pixels_is_refused(make_service, make_client, square):
    client = make_client(make_service(limits={"frame_pixels": 160 * 100}))
    answer = client.post(f"/api/v1/sessions/{begin(client)}/frames", data=square(204, ".jpg"), **JPEG)
    assert (answer.status_code, "160×120" in answer.get_json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    "body",
    [
        {"smooth": "moan:3"},
        {"smooth": ""},
        {"pipeline": ""},
        {"pipeline": "none"},
        {"pipeline": 3},
        {"speed": "fast"},
        ["tiny"],
        "tiny",
    ],
)
def test_malformed_options_are_refused(client, body):
    assert client.post("/api/v1/sessions", json=body).status_code == 400


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"smooth=none", "application/x-www-form-urlencoded", 415, "got application/x-www-form-urlencoded"),
        (b"{}", None, 415, "got no Content-Type"),
        (b'{"smooth"', "application/json", 400, "cannot be read as JSON"),
        (b"null", "application/json", 400, "not a JSON object"),
    ],
)
def test_a_body_that_is_no_json_is_said_to_be_none(client, body, kind, status, said):
    answer = client.post("/api/v1/sessions", data=body, content_type=kind)
    assert answer.status_code == status
    assert said in answer.get_json()["detail"]


def test_a_second_frame_in_flight_is_refused(make_service, make_client, held, square):
    service = make_service(pipelines={"held": held})
    content, session = square(204, ".jpg"), begin(make_client(service))
    address = f"/api/v1/sessions/{session}/frames"
    first: list[int] = []
    thread = threading.Thread(
        target=lambda: first.append(make_client(service).post(address, data=content, **JPEG).status_code)
    )
    thread.start()
    assert held.entered.wait(20)
    second = make_client(service).post(address, data=content, **JPEG)
    held.go.set()
    thread.join()
    assert (second.status_code, second.headers["Retry-After"], first) == (429, "1", [200])


def test_places_are_limited_and_those_of_silent_cameras_given_away(pipeline):
    now = [0.0]
    model = Models({"scripted": pipeline})[None]
    sessions = Sessions(2, 30, clock=lambda: now[0])
    sessions.open(model, "none")
    now[0] = 20
    sessions.open(model, "none")
    with pytest.raises(RequestError) as full:
        sessions.open(model, "none")
    assert (full.value.status, full.value.retry_after_s) == (503, 30)
    now[0] = 31
    sessions.open(model, "none")
