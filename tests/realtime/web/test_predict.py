"""Photographs over HTTP: known answers, and what is refused, with which status and how it is said."""

from __future__ import annotations

import io
import struct
import threading
import zlib

import pytest

from ferbench.realtime.web import create_app


def upload(content: bytes, name: str = "photo.png") -> dict[str, object]:
    return {"file": (io.BytesIO(content), name)}


def assert_problem(answer, status: int, *words: str) -> str:
    """The answer is a problem in one line with these words."""
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.mimetype == "application/problem+json"
    body = answer.get_json()
    assert body["status"] == status
    assert "\n" not in body["detail"]
    for word in words:
        assert word in body["detail"]
    return body["detail"]


def test_a_face_is_found_where_it_is_and_named(client, square):
    answer = client.post("/api/v1/predict", data=upload(square(204)))
    assert answer.status_code == 200
    body = answer.get_json()
    assert (body["pipeline"], body["width"], body["height"]) == ("scripted", 160, 120)
    (face,) = body["faces"]
    assert face["box"] == [20, 30, 60, 70]
    assert face["label"] == "happy"
    assert face["probability"] == pytest.approx(204 / 255, abs=1e-4)
    assert list(face["probabilities"]) == ["angry", "happy", "neutral"]
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=3e-4)


@pytest.mark.parametrize("address", ["predict", "videos"])
def test_two_files_in_one_request_are_refused(client, square, address):
    two = {"file": [(io.BytesIO(square(204)), "a.png"), (io.BytesIO(square(204)), "b.png")]}
    assert_problem(client.post(f"/api/v1/{address}", data=two), 400, "one file a request: got 2 files")


def test_a_photograph_without_a_face_is_an_answer(client, square):
    answer = client.post("/api/v1/predict", data=upload(square(0)))
    assert (answer.status_code, answer.get_json()["faces"]) == (200, [])


def test_the_content_decides_what_a_file_is_not_its_name(client, square):
    assert client.post("/api/v1/predict", data=upload(square(204, ".jpg"), "notes.txt")).status_code == 200
    assert_problem(client.post("/api/v1/predict", data=upload(b"#!/bin/sh\nrm", "photo.png")), 415, "expected BMP, GIF")


def test_a_video_is_sent_to_the_right_address(client, make_video):
    answer = client.post("/api/v1/predict", data=upload(make_video(3).read_bytes()))
    assert_problem(answer, 415, "got avi", "/api/v1/videos")


@pytest.mark.parametrize("cut", [0, 20, 100])
def test_damaged_photographs_are_refused_in_one_line(client, square, cut):
    answer = client.post("/api/v1/predict", data=upload(square()[:cut]))
    assert_problem(answer, 422, "0 bytes" if cut == 0 else "damaged")


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and has no pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + b"\0\0\0\0IDAT"


@pytest.mark.parametrize("size", [(60_000, 60_000), (8_000, 5_001)])
def test_a_decompression_bomb_is_refused_by_its_header(client, size):
    assert_problem(
        client.post("/api/v1/predict", data=upload(png_header(*size))), 422, "size" if size[1] < 9000 else "large"
    )


def test_a_file_that_is_too_large_is_refused(make_service, make_client, square):
    client = make_client(make_service(limits={"image_bytes": 1000}))
    assert_problem(client.post("/api/v1/predict", data=upload(square() + bytes(2000))), 413, "up to 1000 bytes")
    assert_problem(client.post("/api/v1/predict", data=upload(square() + bytes(200_000))), 413)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "no file in the request"),
        ({"file": "text"}, "no file in the request"),
        ({"pipeline": "skripted"}, "did you mean 'scripted'?"),
        ({"pipeline": "../../etc"}, "unknown pipeline"),
        ({"smoth": "none"}, "unknown field"),
    ],
)
def test_malformed_forms_are_refused(client, square, data, words):
    given = data if "file" in data or not data else data | upload(square())
    assert_problem(client.post("/api/v1/predict", data=given), 400, words)


def test_a_body_of_another_type_is_refused(client):
    assert_problem(
        client.post("/api/v1/predict", data=b"{", content_type="application/json"), 400, "multipart/form-data"
    )
    broken = client.post("/api/v1/predict", data=b"--x\r\nnonsense", content_type="multipart/form-data; boundary=x")
    assert_problem(broken, 400)


def test_more_requests_than_may_wait_are_told_to_come_again(make_service, make_client, held, square):
    service = make_service(pipelines={"held": held}, limits={"waiting": 1})
    first: list[int] = []
    content = square()
    thread = threading.Thread(
        target=lambda: first.append(make_client(service).post("/api/v1/predict", data=upload(content)).status_code)
    )
    thread.start()
    assert held.entered.wait(20)
    answer = make_client(service).post("/api/v1/predict", data=upload(content))
    held.go.set()
    thread.join()
    assert_problem(answer, 503, "busy")
    assert answer.headers["Retry-After"] == "1"
    assert first == [200]


def test_many_at_a_time_all_get_their_own_answer(service, square):
    app = create_app(service)
    pictures = {brightness: square(brightness) for brightness in range(60, 256, 28)}
    answers = {}

    def ask(brightness: int) -> None:
        answers[brightness] = app.test_client().post("/api/v1/predict", data=upload(pictures[brightness]))

    threads = [threading.Thread(target=ask, args=(b,)) for b in pictures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {b: answers[b].status_code for b in pictures} == dict.fromkeys(pictures, 200)
    happy = {b: answers[b].get_json()["faces"][0]["probabilities"]["happy"] for b in pictures}
    assert happy == pytest.approx({b: b / 255 for b in pictures}, abs=1e-4)


def test_unknown_addresses_and_methods_are_problems_too(client):
    assert_problem(client.get("/api/v1/nothing"), 404, "/openapi.json")
    answer = client.get("/api/v1/predict")
    assert_problem(answer, 405, "takes OPTIONS, POST")
    assert "POST" in answer.headers["Allow"]


def test_a_fault_of_the_server_says_nothing_of_its_inside(make_service, make_client, pipeline, square, monkeypatch):
    service = make_service()
    client = make_client(service)

    def fail(images):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(pipeline, "process", fail)
    assert "secret" not in assert_problem(client.post("/api/v1/predict", data=upload(square())), 500)


def test_pipelines_can_be_asked_for_with_their_labels_and_colours(client):
    body = client.get("/api/v1/pipelines").get_json()
    assert body["pipelines"] == [{"name": "scripted", "labels": ["angry", "happy", "neutral"], "default": True}]
    assert body["colours"]["happy"] == "#f0e442"
    assert client.get("/api/v1/health").get_json()["status"] == "ok"
