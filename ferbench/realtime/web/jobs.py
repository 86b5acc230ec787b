"""Uploaded videos: a queue, one at work at a time; its folder is the server's own and goes with the job."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from ferbench.errors import FerbenchError
from ferbench.realtime import CsvSink, Frame, FrameResult, VideoSink, draw_overlay, open_source
from ferbench.realtime.web.content import (
    HEAD_BYTES,
    VIDEO_KINDS,
    VideoFacts,
    check_frame_size,
    check_kind,
    check_length,
    probe_video,
)
from ferbench.realtime.web.models import Model
from ferbench.realtime.web.problems import RequestError
from ferbench.realtime.web.results import face_json
from ferbench.realtime.web.settings import Limits

__all__ = ["FILES", "FILM_KIND", "Jobs", "VideoJob"]

State = Literal["queued", "running", "done", "failed"]

FILES = {"result": "result.json", "csv": "faces.csv", "video": "annotated.webm"}
"""What a finished job has, and its file."""

FILM_KIND = "video/webm"
"""Of the annotated film: of what OpenCV's wheels can write, the one form that browsers play."""

_DEFAULT_FPS = 25.0


@dataclass
class VideoJob:
    """One uploaded video, from its arrival to its end."""

    id: str
    name: str
    model: Model
    smooth: str
    folder: Path
    upload: Path
    facts: VideoFacts
    state: State = "queued"
    n_done: int = 0
    error: str | None = None
    ended: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        links = {what: f"/api/v1/videos/{self.id}/{what}" for what in FILES} if self.state == "done" else {}
        return {
            "id": self.id,
            "name": self.name,
            "pipeline": self.model.name,
            "state": self.state,
            "frames_done": self.n_done,
            "frames_total": self.facts.n_frames,
            "error": self.error,
            "links": links,
        }


class Jobs:
    """The videos that the server holds.

    Parameters
    ----------
    folder : path
        A private folder; each job has one of its own inside.
    limits : Limits
        How many, how long, how large.
    clock : callable
        Seconds, ascending.
    """

    def __init__(self, folder: Path, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._limits, self._clock = folder, limits, clock
        self._jobs: dict[str, VideoJob] = {}
        self._arriving = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ferbench videos")

    def submit(self, upload: IO[bytes], name: str, model: Model, smooth: str) -> VideoJob:
        """Take a video.

        Parameters
        ----------
        upload : binary file
            Its content, from the start.
        name : str
            What to call it in tables and messages.
        model, smooth : Model, str
            What runs on it.

        Raises
        ------
        RequestError
            415 for what is no video, 422 for a damaged one, 413 for one too large or too long, 503 if there is no
            place.
        """
        kind = check_kind(upload.read(HEAD_BYTES), VIDEO_KINDS)
        upload.seek(0)
        model.processor(smooth)  # a wrong smoothing is told now
        folder = self._folder / secrets.token_urlsafe(16)
        with ExitStack() as undo:
            self._take_place()
            undo.callback(self._give_place)
            folder.mkdir()
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            path = folder / f"upload.{kind}"
            with path.open("wb") as file:
                shutil.copyfileobj(upload, file, 2**20)
            job = VideoJob(folder.name, name, model, smooth, folder, path, probe_video(path, name, self._limits))
            with self._lock:
                self._jobs[job.id] = job
                self._arriving -= 1
            undo.pop_all()
        self._pool.submit(self._work, job).add_done_callback(lambda future: self._end(job, future))
        return job

    def get(self, job_id: str) -> VideoJob:
        """The job of an id; 404 where it was never there, or has expired."""
        self.expire()
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise RequestError(404, "there is no such video", fix="results are kept for some minutes; upload it again")
        return job

    def file(self, job_id: str, what: str) -> Path:
        """A file of a finished job, see :data:`FILES`; 409 before it is finished."""
        job = self.get(job_id)
        if job.state != "done":
            raise RequestError(409, f"the video is {job.state}", expected="done", fix=job.error)
        return job.folder / FILES[what]

    def cancel(self, job_id: str) -> None:
        """Stop a job, and delete all of it."""
        job = self.get(job_id)
        job.cancelled.set()
        with self._lock:
            self._jobs.pop(job_id, None)
        if job.ended is not None:
            shutil.rmtree(job.folder, ignore_errors=True)

    def expire(self) -> None:
        """Delete what was finished long ago."""
        now = self._clock()
        with self._lock:
            old = [j for j in self._jobs.values() if j.ended is not None and now - j.ended > self._limits.job_kept_s]
            for job in old:
                del self._jobs[job.id]
        for job in old:
            shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """Stop all jobs; wait for the one at work to hear of it."""
        with self._lock:
            for job in self._jobs.values():
                job.cancelled.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _take_place(self) -> None:
        """A place for one more video: a free one, or that of the oldest that is finished."""
        self.expire()
        with self._lock:
            oldest = None
            if len(self._jobs) + self._arriving >= self._limits.jobs:
                finished = [job for job in self._jobs.values() if job.ended is not None]
                if not finished:
                    raise RequestError(
                        503,
                        "too many videos are waiting",
                        got=len(self._jobs) + self._arriving,
                        fix="try again when one is done",
                        retry_after_s=30,
                    )
                oldest = self._jobs.pop(min(finished, key=lambda job: job.ended or 0.0).id)
            self._arriving += 1
        if oldest is not None:
            shutil.rmtree(oldest.folder, ignore_errors=True)

    def _give_place(self) -> None:
        with self._lock:
            self._arriving -= 1

    def _work(self, job: VideoJob) -> None:
        """Process a video into its three files."""
        job.state = "running"
        fps = job.facts.fps or _DEFAULT_FPS
        processor, frames = job.model.processor(job.smooth), []
        with ExitStack() as stack:
            source = stack.enter_context(open_source(job.upload))
            table = stack.enter_context(CsvSink(job.folder / FILES["csv"], job.model.labels))
            film = stack.enter_context(VideoSink(job.folder / FILES["video"], fps, keep_time=True))
            for frame in source:
                if job.cancelled.is_set():
                    return
                t_ms = frame.index / fps * 1000 if frame.t_ms is None else frame.t_ms
                # A header may say anything: what counts is what comes out.
                check_frame_size(frame.image.shape[1], frame.image.shape[0], job.name, self._limits)
                check_length(frame.index + 1, t_ms / 1000, job.name, self._limits)
                result = job.model.process(processor, Frame(frame.index, t_ms, frame.image, job.name))
                table.write(result)
                film.write(draw_overlay(result), t_ms)
                frames.append(_frame_json(result))
                job.n_done += 1
            unreadable = source.unreadable
        facts = {
            "name": job.name,
            "pipeline": job.model.name,
            "labels": job.model.labels,
            "smooth": job.smooth,
            "width": job.facts.width,
            "height": job.facts.height,
            "fps": job.facts.fps,
            "unreadable": unreadable,
            "frames": frames,
        }
        (job.folder / FILES["result"]).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    def _end(self, job: VideoJob, future: Future[None]) -> None:
        """Whatever the end was: the upload goes, and the state says what happened."""
        job.upload.unlink(missing_ok=True)
        error = None if future.cancelled() else future.exception()
        if isinstance(error, FerbenchError):
            job.error = str(error).replace(str(job.upload), job.name)
        elif error is not None:
            job.error = "the server made a mistake; its terminal says more"
            logging.getLogger(__name__).error("video job", exc_info=error)
        job.state = "failed" if error is not None else "done"
        job.ended = self._clock()
        if job.cancelled.is_set():
            shutil.rmtree(job.folder, ignore_errors=True)


def _frame_json(result: FrameResult) -> dict[str, Any]:
    return {
        "frame": result.frame,
        "t_ms": round(result.t_ms or 0.0, 1),
        "faces": [face_json(face) for face in result.faces],
    }
