"""``ferbench serve`` as a process, with a browser before it: a label appears, keys reach everything, Ctrl-C leaves
nothing behind.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from ferbench.datasets.synthetic import synthetic_stream
from ferbench.labels import FER7
from ferbench.realtime import VideoSink
from tests.realtime.web.chromium import Chromium, find_chromium

pytestmark = pytest.mark.alone

COMMAND = [sys.executable, "-c", "import sys; from ferbench.cli import main; sys.exit(main())"]


@dataclass
class Server:
    """A running ``ferbench serve``."""

    process: subprocess.Popen[str]
    url: str
    temporary: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    temporary = tmp_path_factory.mktemp("temporary")
    arguments = ["serve", "--port", "0", "--pipeline", "tiny", "--source", "synthetic(size=(200, 150), seconds=600)"]
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(2)]
        found = re.search(r"http://127\.0\.0\.1:\d+/", told[1])
        try:
            assert told[0].startswith("tiny: device: "), told
            assert found, told
            yield Server(process, found.group(), temporary)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a camera shows (camera.mjpeg), a photograph (photo.jpg), and a film of a form that no browser
    plays (clip.avi), all of drawn faces.
    """
    folder = tmp_path_factory.mktemp("faces")
    images = [frame.image for frame in synthetic_stream(size=(320, 240), seconds=0.4, fps=20)]
    jpegs = [bytes(cv2.imencode(".jpg", image[:, :, ::-1])[1]) for image in images]
    (folder / "camera.mjpeg").write_bytes(b"".join(jpegs))
    (folder / "photo.jpg").write_bytes(jpegs[0])
    with VideoSink(folder / "clip.avi", 20.0) as film:
        for image in images:
            film.write(image)
    return folder


@pytest.fixture(scope="module")
def browser(server: Server, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if find_chromium() is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with Chromium(tmp_path_factory.mktemp("profile"), faces / "camera.mjpeg") as chromium:
        chromium.call("Page.navigate", url=server.url)
        chromium.wait_for("document.querySelector('#pipeline option') && 1", timeout_s=30)
        yield chromium


def press(browser: Chromium, key: str) -> str:
    """The element that has the focus after a key."""
    for kind in ("rawKeyDown", "keyUp"):
        code = {"Tab": 9, "ArrowRight": 39, "ArrowLeft": 37, "Enter": 13}[key]
        browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)
    return str(browser.run("document.activeElement.id || document.activeElement.getAttribute('href')"))


def test_the_page_is_used_by_keys_alone_in_a_sensible_order(browser):
    browser.run("document.activeElement.blur()")
    order = [press(browser, "Tab") for _ in range(6)]
    assert order == ["#main", "#limits", "pipeline", "tab-camera", "camera-start", "camera-mirror"]
    browser.run("document.getElementById('tab-camera').focus()")
    assert press(browser, "ArrowRight") == "tab-upload"
    assert browser.run("document.getElementById('camera').hidden && !document.getElementById('upload').hidden")
    assert press(browser, "Tab") == "file"
    browser.run("document.getElementById('tab-upload').focus()")
    assert press(browser, "ArrowLeft") == "tab-camera"


def test_a_label_appears_before_the_browsers_camera(browser, server):
    browser.run("document.getElementById('camera-start').click()")
    label = browser.wait_for("document.querySelector('#camera-faces .label')?.textContent", timeout_s=30)
    assert label in FER7.labels
    told = "document.getElementById('announce').textContent"
    words = browser.wait_for(f"{told}.startsWith('One face') && {told}", timeout_s=10)
    assert re.fullmatch(rf"One face: ({'|'.join(FER7.labels)}), \d+ percent\.", words)
    drawn = (
        "(() => { const c = document.getElementById('camera-canvas');"
        "return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0) })()"
    )
    assert browser.run(drawn), "nothing is drawn over the video"
    assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    browser.run("document.getElementById('camera-start').click()")
    assert browser.run("document.getElementById('camera-video').hidden")


def choose(browser: Chromium, file: Path) -> None:
    """Give a file to the page's field."""
    browser.run("document.getElementById('tab-upload').click()")
    browser.call("DOM.enable")
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    browser.call("DOM.setFileInputFiles", files=[str(file)], nodeId=node)


def test_a_photograph_is_annotated(browser, faces):
    choose(browser, faces / "photo.jpg")
    label = browser.wait_for("document.querySelector('#upload-faces .label')?.textContent", timeout_s=20)
    assert label in FER7.labels
    assert browser.wait_for("document.querySelector('#upload-links a')?.download", timeout_s=10) == (
        "photo-expressions.png"
    )


def test_the_annotated_copy_of_a_film_that_browsers_do_not_know_is_played(browser, faces):
    choose(browser, faces / "clip.avi")
    video = "document.getElementById('upload-video')"
    assert browser.wait_for(f"{video}.videoWidth", timeout_s=30) == 320
    assert browser.run(f"{video}.src").endswith("/video")
    assert browser.run(f"{video}.play().then(() => 1)")
    assert browser.wait_for(f"{video}.currentTime > 0.3", timeout_s=20)
    assert browser.run("document.getElementById('upload-problem').hidden")
    assert browser.run("document.getElementById('upload-canvas').hidden"), "nothing is drawn twice"
    assert "annotated copy" in browser.run("document.getElementById('upload-links').innerText")
    assert browser.wait_for("document.querySelector('#timeline svg') && 1", timeout_s=10)


def test_the_browser_had_nothing_to_complain_and_asked_nobody_else(browser, server):
    assert browser.complaints() == []
    own = "blob:", "data:"  # files that it was given, and the icons of its own controls
    assert {url for url in browser.requested() if not url.startswith((server.url, *own))} == set()


def test_what_no_address_takes_is_refused_before_it_is_sent(server):
    address = server.url.removeprefix("http://").rstrip("/")
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = f"POST /api/v1/videos HTTP/1.1\r\nHost: {address}\r\nContent-Length: 10000000000\r\n\r\n"
        connection.sendall(head.encode())
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 413 ")
    assert "Content-Type: application/problem+json" in answer
    assert "the request is larger than is taken here" in answer


def test_ctrl_c_ends_everything_at_once_and_leaves_nothing(server):
    post = urllib.request.Request(f"{server.url}api/v1/live", method="POST")
    with urllib.request.urlopen(post, timeout=20) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{server.url}api/v1/live/stream", timeout=20) as watched:
        assert watched.read(7) == b"--frame"
        assert list(server.temporary.iterdir()) != []
        start = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=20) == 0
        assert time.monotonic() - start < 8
    assert server.process.stdout.read() == "stopped; uploads are deleted\n"
    assert list(server.temporary.iterdir()) == []
