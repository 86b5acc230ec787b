"""``ferbench serve`` before it serves: what is warned of, and what is refused in one line."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from ferbench.cli import main
from ferbench.realtime.web import server as web_server


@pytest.fixture
def served(monkeypatch):
    """What would be served: the loading of pipelines and the server itself are left out."""
    given = {}

    class Service:
        def __init__(self, settings):
            given["settings"] = settings
            self.models = [SimpleNamespace(name=name, device="cpu (as told)") for name in settings.pipelines]

    def serve(service, host, port, *, on_ready):
        given.update(host=host, port=port)
        on_ready(web_server.url_of(host, port))

    monkeypatch.setattr("ferbench.realtime.web.Service", Service)
    monkeypatch.setattr(web_server, "serve", serve)
    return given


def test_by_default_only_this_machine_is_served(served, capsys):
    assert main(["serve"]) == 0
    out, err = capsys.readouterr()
    names = ("tiny-ferplus", "accurate-ferplus", "tiny", "accurate")
    assert out == f"ferbench serves {', '.join(names)} on http://127.0.0.1:8000/ (Ctrl-C stops)\n"
    assert err.splitlines()[:-1] == [f"{name}: device: cpu (as told)" for name in names]
    assert (served["settings"].is_local, served["settings"].source) == (True, "0")


def test_other_machines_are_warned_of(served, capsys):
    assert main(["serve", "--host", "0.0.0.0", "--source", "none", "--allow-host", "Box.lan"]) == 0
    assert "warning: other machines can reach 0.0.0.0" in capsys.readouterr().err
    settings = served["settings"]
    assert (settings.is_local, settings.source, settings.hosts) == (False, None, ("box.lan",))


def test_the_name_that_it_listens_on_is_one_to_call_it_by(served):
    assert main(["serve", "--host", "Box", "--source", "none", "--allow-host", "box.lan"]) == 0
    assert served["settings"].hosts == ("box.lan", "box")


def test_pipelines_are_offered_by_name_and_folder(served, tmp_path):
    (tmp_path / "lbp").mkdir()
    assert main(["serve", "--pipeline", str(tmp_path / "lbp"), "--pipeline", "tiny"]) == 0
    assert dict(served["settings"].pipelines) == {"lbp": str(tmp_path / "lbp"), "tiny": "tiny"}


def one_line(capsys) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pipeline", "tinny"], "did you mean 'tiny'?"),
        (["--pipeline", "tiny", "--pipeline", "tiny"], "two pipelines are called tiny"),
        (["--smooth", "moan:3"], "unknown smoothing"),
        (["--pipeline", "tiny", "--detector", "harr"], "did you mean 'haar'?"),
        (["--pipeline", "best", "--detector", "haar"], "a detector goes with a named pipeline"),
        (["--port", "http"], "--port"),
        (["--source", "synthetic(second=3)"], "did you mean 'seconds'"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, words, capsys):
    assert main(["serve", *arguments]) == 2
    assert words in one_line(capsys)


def test_a_port_that_is_taken_is_told_with_a_way_out(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--pipeline", "tiny", "--port", str(port)]) == 2
    assert f"port {port}: got Address already in use; try --port 0" in one_line(capsys)
    assert main(["serve", "--pipeline", "tiny", "--port", "70000"]) == 2
    assert "0 to 65535" in one_line(capsys)


def test_a_missing_package_names_the_extra(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["serve"]) == 2
    assert "the web page needs flask, which is not installed; pip install 'ferbench[serve]'" in one_line(capsys)


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:1/"), ("::", "http://[::1]:1/"), ("localhost", "http://localhost:1/")],
)
def test_the_address_is_one_that_can_be_typed(host, url):
    assert web_server.url_of(host, 1) == url
    assert web_server.is_loopback(host) == (host == "localhost")
