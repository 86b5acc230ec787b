"""Videos over HTTP: from the upload to the table, and nothing of it left anywhere."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from ferbench.realtime.web.content import display_name, kind_of
from ferbench.realtime.web.jobs import Jobs
from ferbench.realtime.web.models import Models
from ferbench.realtime.web.problems import RequestError
from ferbench.realtime.web.settings import Limits


def hand_in(client, path: Path, name: str | None = None, **fields):
    with path.open("rb") as file:
        return client.post("/api/v1/videos", data={"file": (file, name or path.name), **fields})


def test_a_video_gives_faces_a_table_and_a_film(client, service, make_video, ended, frames_in, tmp_path):
    taken = hand_in(client, make_video(8, faceless=[3]))
    assert taken.status_code == 202
    job = taken.get_json()
    assert taken.headers["Location"].endswith(f"/api/v1/videos/{job['id']}")
    state = ended(client, job["id"])
    assert (state["state"], state["frames_done"], state["frames_total"]) == ("done", 8, 8)
    result = client.get(state["links"]["result"], buffered=True).get_json()
    assert [len(frame["faces"]) for frame in result["frames"]] == [1, 1, 1, 0, 1, 1, 1, 1]
    assert result["frames"][1]["t_ms"] == pytest.approx(40, abs=1)
    assert result["frames"][0]["faces"][0]["label"] == "happy"
    table = client.get(state["links"]["csv"], buffered=True)
    assert table.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(table.get_data(as_text=True))))
    assert [row["label"] for row in rows] == ["happy"] * 3 + [""] + ["happy"] * 4
    assert {row["source"] for row in rows} == {"clip.avi"}
    film = tmp_path / "film.webm"
    answer = client.get(state["links"]["video"], buffered=True)
    assert answer.mimetype == "video/webm"
    film.write_bytes(answer.get_data())
    assert frames_in(film) == 8
    assert [p.name for p in service.folder.rglob("upload*")] == []


@pytest.mark.parametrize(
    "name", ["../../../../tmp/evil.avi", "/etc/cron.d/evil.avi", "..\\..\\evil.avi", "evil\x00.avi"]
)
def test_a_name_is_never_a_place(client, service, make_video, ended, name):
    job = hand_in(client, make_video(3), name).get_json()
    assert job["name"].startswith("evil")
    ended(client, job["id"])
    kept = {path.relative_to(service.folder).as_posix() for path in service.folder.rglob("*") if path.is_file()}
    assert kept == {f"{job['id']}/{file}" for file in ("result.json", "faces.csv", "annotated.webm")}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a/b\\c.mp4", "c.mp4"), ("=cmd()", "cmd()"), ("…", "video"), (None, "video"), ("x" * 300, "x" * 80)],
)
def test_names_become_plain_text(name, shown):
    assert display_name(name, "video") == shown


@pytest.mark.parametrize(
    "head", [b"#EXTM3U\n#EXT-X-", b"ffconcat version", b"<smil>", b"GIF87", b"RIFF\0\0\0\0WAVE", b""]
)
def test_playlists_and_others_are_no_kind_that_is_taken(head):
    assert kind_of(head) is None


def test_what_is_no_video_is_refused_and_leaves_nothing(client, service, square, make_video):
    def answer(content: bytes):
        return client.post("/api/v1/videos", data={"file": (io.BytesIO(content), "clip.mp4")})

    assert answer(b"#EXTM3U\nfile:///etc/passwd\n").status_code == 415
    assert answer(square()).status_code == 415
    assert answer(b"").status_code == 422
    damaged = answer(make_video(3).read_bytes()[:40])
    assert damaged.status_code == 422
    assert str(service.folder) not in damaged.get_json()["detail"]
    assert list(service.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"video_frames": 5}, "10 frames"),
        ({"video_seconds": 0}, "0 s"),
        ({"video_pixels": 160 * 119}, "160×120"),
        ({"video_bytes": 1000}, "up to 1000 bytes"),
    ],
)
def test_limits_are_kept_before_anything_is_decoded(make_service, make_client, make_video, limits, words):
    service = make_service(limits=limits)
    answer = hand_in(make_client(service), make_video(10))
    assert (answer.status_code, words in answer.get_json()["detail"]) == (413, True)
    assert list(service.folder.iterdir()) == []


def test_a_header_that_lies_about_the_length_is_found_out(make_service, make_client, make_video, ended, monkeypatch):
    client = make_client(make_service(limits={"video_frames": 5}))
    monkeypatch.setattr("ferbench.realtime.web.content.check_length", lambda *args: None)
    state = ended(client, hand_in(client, make_video(10)).get_json()["id"])
    assert (state["state"], "too long" in state["error"]) == ("failed", True)
    answer = client.get(f"/api/v1/videos/{state['id']}/result")
    assert (answer.status_code, "failed" in answer.get_json()["detail"]) == (409, True)


def test_wrong_options_are_told_at_once(client, make_video):
    assert hand_in(client, make_video(3), smooth="moan:1").status_code == 400
    assert hand_in(client, make_video(3), pipeline="../tiny").status_code == 400


def test_a_video_at_work_can_be_cancelled_and_too_many_are_refused(make_service, make_client, held, make_video):
    service = make_service(pipelines={"held": held}, limits={"jobs": 1})
    client = make_client(service)
    job = hand_in(client, make_video(5)).get_json()
    assert held.entered.wait(20)
    assert client.get(f"/api/v1/videos/{job['id']}/csv").status_code == 409
    full = hand_in(client, make_video(5))
    assert (full.status_code, full.headers["Retry-After"]) == (503, "30")
    assert client.delete(f"/api/v1/videos/{job['id']}").status_code == 204
    assert client.get(f"/api/v1/videos/{job['id']}").status_code == 404
    held.go.set()
    service.jobs.close()
    assert list(service.folder.iterdir()) == []


def test_finished_videos_expire_and_make_room(pipeline, make_video, tmp_path):
    now = [0.0]
    model = Models({"scripted": pipeline})[None]
    folder = tmp_path / "private"
    folder.mkdir()
    jobs = Jobs(folder, Limits(jobs=2, job_kept_s=60), clock=lambda: now[0])

    def finish() -> str:
        with make_video(2).open("rb") as file:
            job = jobs.submit(file, "clip", model, "none")
        while job.ended is None:
            pass
        return job.id

    first, second = finish(), finish()
    now[0] = 1.0
    third = finish()  # in the place of the first
    assert {path.name for path in folder.iterdir()} == {second, third}
    with pytest.raises(RequestError, match="no such video"):
        jobs.get(first)
    now[0] = 60.5
    jobs.expire()
    assert {path.name for path in folder.iterdir()} == {third}
    jobs.close()


def test_everything_is_deleted_when_the_service_is_closed(make_service, make_client, make_video, ended):
    service = make_service()
    client = make_client(service)
    ended(client, hand_in(client, make_video(3)).get_json()["id"])
    assert (service.folder.stat().st_mode & 0o077) == 0
    service.close()
    assert not service.folder.exists()
