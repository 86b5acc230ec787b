"""The server's own source: on when asked, watched as motion JPEG, off when nobody watches."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from ferbench.errors import SourceError, UnknownNameError

START = "/api/v1/live"
STREAM = "/api/v1/live/stream"


@pytest.fixture
def make_live(make_service, make_client, make_video):
    def make(n: int = 12, **settings):
        service = make_service(source=make_video(n, fps=50), **settings)
        return service, make_client(service)

    return make


def wait_until(happened, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def parts_of(body: bytes) -> list[np.ndarray]:
    """The pictures of a motion JPEG."""
    parts = [part.partition(b"\r\n\r\n") for part in body.split(b"--frame\r\n") if part]
    assert all(b"Content-Type: image/jpeg" in head for head, _, _ in parts)
    return [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for _, _, jpeg in parts]


def test_a_stream_shows_the_source_with_the_label_above_the_box(make_live):
    _, client = make_live()
    assert client.post(START).get_json()["running"]
    answer = client.get(STREAM)
    assert answer.mimetype == "multipart/x-mixed-replace"
    pictures = parts_of(answer.get_data())
    assert pictures
    assert all(picture.shape == (120, 160, 3) for picture in pictures)
    above_the_box = pictures[-1][5:28, 20:100].astype(int)
    assert above_the_box.max() > 150, "the tag is brighter than the dark picture"
    state = client.get(START).get_json()
    assert (state["running"], state["frames"], state["error"]) == (False, 12, None)
    assert state["faces"][0]["label"] == "happy"


def test_it_can_be_started_again_and_stopped(make_live):
    service, client = make_live(500)
    for _ in range(2):
        assert client.post(START, json={"pipeline": "scripted"}).get_json()["running"]
        assert client.post(START).get_json()["running"]
        wait_until(lambda: service.live.state()[2].frames > 0)
        assert client.delete(START).status_code == 204
        assert not client.get(START).get_json()["running"]
    off = client.get(STREAM)
    assert (off.status_code, "POST /api/v1/live" in off.get_json()["detail"]) == (409, True)


def test_viewers_are_limited_and_their_places_come_back(make_live):
    _, client = make_live(500, limits={"viewers": 1})
    client.post(START)
    for _ in range(2):
        first = client.get(STREAM, buffered=False)
        second = client.get(STREAM)
        assert (second.status_code, "Retry-After" in second.headers) == (503, True)
        first.close()
    assert client.head(STREAM).status_code == 200
    assert client.head(STREAM).status_code == 200
    client.delete(START)


def test_it_goes_off_when_nobody_watches(make_live):
    _, client = make_live(500, limits={"unwatched_s": 0})
    client.post(START)
    wait_until(lambda: not client.get(START).get_json()["running"])


def test_a_source_that_cannot_be_used_is_told_to_whoever_starts_the_server(make_service):
    with pytest.raises(SourceError, match="no such file"):
        make_service(source="nothing.mp4")
    with pytest.raises(UnknownNameError, match="did you mean 'seconds'"):
        make_service(source="synthetic(second=3)")


def test_a_source_that_went_away_is_told_in_one_line(make_service, make_client, make_video):
    film = make_video(3)
    client = make_client(make_service(source=film))
    film.unlink()
    missing = client.post(START)
    assert (missing.status_code, film.name in missing.get_json()["detail"]) == (503, True)


def test_a_server_without_a_camera_says_so_to_whoever_asks_for_it(make_service, make_client):
    client = make_client(make_service(source=None))
    for answer in (client.post(START), client.get(STREAM)):
        assert (answer.status_code, "--source" in answer.get_json()["detail"]) == (404, True)


def test_a_wrong_pipeline_switches_nothing_on(make_live):
    _, client = make_live()
    assert client.post(START, json={"pipeline": "nothing"}).status_code == 400
    assert not client.get(START).get_json()["running"]
