"""An application over a scripted pipeline, whose every answer is known."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from flask.testing import FlaskClient

from ferbench.realtime.web import Limits, Service, Settings, create_app

Upload = tuple[io.BytesIO, str]
SquareMaker = Callable[..., bytes]


@pytest.fixture
def make_service(pipeline: Any) -> Iterator[Callable[..., Service]]:
    """Makes services; they are closed at the end."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Service:
            limits = Limits(**settings.pop("limits", {}))
            given = {"pipelines": {"scripted": pipeline}, "source": None, "smooth": "none"} | settings
            return stack.enter_context(Service(Settings(**given, limits=limits)))

        yield make


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service()


def client_of(service: Service) -> FlaskClient:
    """A client of an application over a service."""
    return create_app(service).test_client()


@pytest.fixture
def make_client() -> Callable[[Service], FlaskClient]:
    return client_of


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return client_of(service)


@pytest.fixture
def square(make_picture: Callable[..., npt.NDArray[np.uint8]]) -> SquareMaker:
    """Encodes a dark picture with one square at (20, 30), 40 pixels wide, of a brightness."""

    def encode(brightness: int = 204, suffix: str = ".png", size: tuple[int, int] = (160, 120)) -> bytes:
        boxes = [(20, 30, 40, 40, brightness)] if brightness else []
        return bytes(cv2.imencode(suffix, make_picture(boxes, size))[1].tobytes())

    return encode


def wait_for_end(client: FlaskClient, job: str) -> Any:
    """The state of a video when it is neither queued nor running."""
    end = time.monotonic() + 120
    while (state := client.get(f"/api/v1/videos/{job}").get_json())["state"] in ("queued", "running"):
        assert time.monotonic() < end
        time.sleep(0.01)
    return state


@pytest.fixture
def ended() -> Callable[[FlaskClient, str], Any]:
    return wait_for_end


class Held:
    """A pipeline that waits inside, until it is let go."""

    def __init__(self, pipeline: Any) -> None:
        import threading

        self._pipeline, self.entered, self.go = pipeline, threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def process(self, images: Any) -> Any:
        self.entered.set()
        assert self.go.wait(20)
        return self._pipeline.process(images)


@pytest.fixture
def held(pipeline: Any) -> Iterator[Held]:
    waiting = Held(pipeline)
    yield waiting
    waiting.go.set()
