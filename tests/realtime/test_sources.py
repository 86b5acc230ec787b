"""Sources: every frame of files with its time, only the newest of cameras, and clear errors for what cannot be read."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ferbench.errors import ParameterError, SourceError, UnknownNameError
from ferbench.realtime.capture import LiveCapture
from ferbench.realtime.sources import ImageFiles, VideoFile, open_source

pytestmark = pytest.mark.alone

MakeVideo = Callable[..., Path]


# -- video files ---------------------------------------------------------------------------------------------------


def test_every_frame_of_a_video_comes_in_order_with_the_times_of_the_container(make_video: MakeVideo):
    with open_source(make_video(30, fps=20.0, codec="mp4v", name="clip.mp4")) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(30))
    np.testing.assert_allclose([frame.t_ms for frame in frames], np.arange(30) * 50.0, atol=0.5)
    assert source.fps == pytest.approx(20.0)
    assert source.unreadable == 0
    assert not source.is_live


def test_frames_are_rgb(tmp_path: Path):
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 64))
    writer.write(np.full((64, 64, 3), (0, 0, 255), np.uint8))
    writer.release()
    with open_source(path) as source:
        (frame,) = source
    red, green, blue = frame.image.reshape(-1, 3).mean(axis=0)
    assert red > 200
    assert green < 60
    assert blue < 60


def test_a_damaged_stretch_costs_its_frames_only(make_video: MakeVideo):
    path = make_video(60)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 6000] = np.random.default_rng(0).bytes(6000)
    path.write_bytes(content)
    with open_source(path) as source:
        n = len(list(source))
    assert 40 < n < 60
    assert source.unreadable == 60 - n


def test_a_video_cut_short_gives_what_there_is(make_video: MakeVideo):
    path = make_video(60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_source(path) as source:
        n = len(list(source))
    assert 20 < n < 40
    assert source.unreadable == 60 - n


def refused(spec: object) -> str:
    with pytest.raises((SourceError, ParameterError)) as error:
        open_source(spec)  # type: ignore[arg-type]
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_missing_file_is_named_with_one_of_nearly_that_name(make_video: MakeVideo):
    path = make_video(2, name="holiday.avi")
    message = refused(path.with_name("holidays.avi"))
    assert "no such file or folder" in message
    assert "did you mean 'holiday.avi'?" in message
    assert "no folder" in refused(path.parent / "nowhere" / "x.mp4")


def test_an_empty_file_is_told_as_such(tmp_path: Path):
    (tmp_path / "empty.mp4").touch()
    assert "is empty: got 0 bytes" in refused(tmp_path / "empty.mp4")


def test_a_text_file_is_not_shown_as_a_film_of_a_terminal(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("hello\n" * 200)
    assert "is not a video" in refused(tmp_path / "notes.txt")


def test_random_bytes_are_not_a_video(tmp_path: Path):
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(20_000))
    assert "no frame of" in refused(tmp_path / "noise.mp4")


@pytest.mark.parametrize("spec", ["noise.mp4", "97"])
def test_opencv_and_ffmpeg_say_nothing_of_their_own(tmp_path: Path, spec: str):
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(20_000))
    code = f"from ferbench.realtime import open_source; open_source({spec!r})"
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    *trace, last = ran.stderr.strip().splitlines()
    assert last.startswith("ferbench.errors.SourceError")
    assert not [line for line in trace if "moov" in line or "VIDEOIO" in line]


def test_a_video_without_its_index_is_refused(make_video: MakeVideo):
    path = make_video(30, codec="mp4v", name="clip.mp4")
    path.write_bytes(path.read_bytes()[:-2000])
    assert "check that it is complete" in refused(path)


def test_the_file_is_closed_after_an_error_in_the_middle(make_video: MakeVideo):
    source = open_source(make_video(10))
    assert isinstance(source, VideoFile)

    def fail() -> None:
        with source:
            next(iter(source))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not source._capture.isOpened()


# -- photographs ---------------------------------------------------------------------------------------------------


def test_a_folder_gives_its_images_in_natural_order_and_any_depth(tmp_path: Path):
    for name in ("frame10.png", "frame9.png", "deep/er/frame1.jpg", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("not an image")
        else:
            cv2.imwrite(str(path), np.full((20, 30, 3), 99, np.uint8))
    with open_source(tmp_path) as source:
        frames = list(source)
    assert [Path(frame.source).name for frame in frames] == ["frame1.jpg", "frame9.png", "frame10.png"]
    assert all(frame.t_ms is None for frame in frames)


def test_a_damaged_image_of_a_folder_costs_that_image(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"not a png")
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((20, 20, 3), np.uint8))
    with open_source(tmp_path) as source:
        assert [frame.index for frame in source] == [0, 2]
    assert source.unreadable == 1


def test_a_folder_of_nothing_but_damage_is_an_error(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "b.png").write_bytes(b"y")
    with pytest.raises(SourceError, match="none of the 2 images"), open_source(tmp_path) as source:
        list(source)


def test_a_folder_without_images_is_an_error(tmp_path: Path):
    assert "no image in" in refused(tmp_path)


def test_a_single_photograph_is_a_source_of_one_frame(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((20, 20, 3), np.uint8))
    source = open_source(tmp_path / "a.jpg")
    assert isinstance(source, ImageFiles)
    assert len(list(source)) == 1


# -- built-in faces ------------------------------------------------------------------------------------------------


def test_synthetic_is_a_finite_video_with_times():
    with open_source("synthetic(seconds=1, fps=4, size=(160, 120))") as source:
        frames = list(source)
    assert [frame.t_ms for frame in frames] == [0.0, 250.0, 500.0, 750.0]
    assert frames[0].image.shape == (120, 160, 3)
    assert source.fps == 4


def test_synthetic_refuses_what_the_generator_does_not_know():
    with pytest.raises(UnknownNameError, match="did you mean 'n_faces'"):
        open_source("synthetic(nfaces=2)")
    with pytest.raises(ParameterError, match="fps of a synthetic stream: got 'fast', expected float"):
        open_source("synthetic(fps=fast)")


# -- cameras and networks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [-1, "-1"])
def test_cameras_count_from_zero(spec: object):
    assert "no such camera" in refused(spec)


def test_a_camera_that_is_not_there_is_an_error():
    assert "cannot open camera 97" in refused("97")


@pytest.mark.parametrize("spec", [None, 1.5, True, b"clip.mp4", np.zeros((4, 4, 3))])
def test_what_cannot_be_a_source_is_refused(spec: object):
    assert f"not a source: got a value of type {type(spec).__name__}, expected a camera index" in refused(spec)


def test_an_empty_text_is_no_source():
    assert "no source" in refused("")


def test_what_is_there_is_taken_as_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("synthetic (1)").mkdir()
    Path("2024").mkdir()
    assert "no image" in refused("synthetic (1)")
    assert "write ./2024" in refused("2024")
    assert "no image" in refused("./2024")


def test_an_address_where_nobody_answers_is_an_error():
    assert "cannot open http://127.0.0.1:9/x" in refused("http://127.0.0.1:9/x")


class FakeCamera:
    """A device that delivers a frame every few milliseconds, the frame's number in its pixels."""

    def __init__(self, period_s: float = 0.004, n: int | None = None) -> None:
        self.period_s, self.n, self.count, self.released = period_s, n, 0, False

    def isOpened(self) -> bool:  # noqa: N802
        return not self.released

    def read(self) -> tuple[bool, npt.NDArray[np.uint8] | None]:
        time.sleep(self.period_s)
        if self.released or (self.n is not None and self.count >= self.n):
            return False, None
        image = np.zeros((4, 4, 3), np.uint8)
        image[0, 0] = self.count // 256, self.count % 256, 0
        self.count += 1
        return True, image

    def get(self, prop: int) -> float:
        return 30.0

    def release(self) -> None:
        self.released = True


def test_a_slow_reader_gets_the_newest_frame_of_a_camera_and_never_a_stale_one():
    camera = FakeCamera()
    with LiveCapture("fake", lambda: camera) as source:
        for n, frame in enumerate(source):
            produced = camera.count
            assert produced - frame.index <= 2, "the frame is older than one period"
            assert tuple(frame.image[0, 0, 1:]) == (frame.index % 256, frame.index // 256)  # RGB of BGR
            time.sleep(0.05)
            if n == 8:
                break
        assert source.dropped > 20
    assert camera.released
    assert not [thread for thread in threading.enumerate() if thread.name == "capture fake"]


def test_times_of_a_camera_are_those_of_its_frames():
    with LiveCapture("fake", lambda: FakeCamera(0.02)) as source:
        frames = [frame for frame, _ in zip(source, range(5), strict=False)]
    steps = np.diff([frame.t_ms or 0.0 for frame in frames])
    assert (steps > 15).all()


def test_a_lost_camera_is_opened_again_and_goes_on():
    cameras = [FakeCamera(0.001, n=5), FakeCamera(0.001, n=5), FakeCamera(0.001)]
    opened = iter(cameras)
    with LiveCapture("fake", lambda: next(opened), retry_pause_s=0.01) as source:
        indices = [frame.index for frame, _ in zip(source, range(40), strict=False)]
    assert cameras[2].count > 0
    assert all(camera.released for camera in cameras)
    assert indices == sorted(set(indices))


def test_a_camera_lost_for_good_is_reported():
    camera = FakeCamera(0.001, n=3)
    devices = iter([camera])
    closed = FakeCamera()
    closed.released = True
    source = LiveCapture("fake", lambda: next(devices, closed), retries=2, retry_pause_s=0.01)
    with pytest.raises(SourceError, match="fake was lost"), source:
        list(source)
    assert camera.released


def test_a_camera_whose_reading_raises_is_opened_again():
    class Broken(FakeCamera):
        def read(self) -> tuple[bool, npt.NDArray[np.uint8] | None]:
            raise cv2.error("ioctl")

    opened = iter([Broken(), FakeCamera(0.001)])
    with LiveCapture("fake", lambda: next(opened), retry_pause_s=0.01) as source:
        assert len([frame for frame, _ in zip(source, range(3), strict=False)]) == 3


def test_an_interrupted_camera_stops_waiting():
    source = LiveCapture("fake", lambda: FakeCamera(5.0))
    threading.Timer(0.2, source.interrupt).start()
    start = time.perf_counter()
    assert list(source) == []
    assert time.perf_counter() - start < 2


@pytest.fixture
def mjpeg_address() -> Iterator[str]:
    """A network camera on this machine: an endless MJPEG stream over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            try:
                for i in range(2000):
                    picture = np.full((48, 64, 3), i % 200, np.uint8)
                    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    time.sleep(0.01)
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/stream.mjpg"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_network_stream_is_live(mjpeg_address: str):
    with open_source(mjpeg_address) as source:
        assert source.is_live
        frames = [frame for frame, _ in zip(source, range(5), strict=False)]
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 5
    assert [frame.source for frame in frames] == [mjpeg_address] * 5
