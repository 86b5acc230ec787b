"""Who may ask: names by which the server is called, pages that requests come from, and the page's own policy."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from ferbench.realtime.web import Settings
from ferbench.realtime.web.guard import is_known_host

PAGE = resources.files("ferbench.realtime.web") / "page"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:1", "127.8.8.8", "[::1]:8000", "box.lan:80"]
)
def test_names_of_this_machine_and_names_it_was_told_are_answered_to(host):
    assert is_known_host(host, Settings(hosts=("box.lan",)))


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "", "192.168.0.7"]
)
def test_other_names_are_not(host):
    assert not is_known_host(host, Settings())


def test_a_server_for_other_machines_answers_to_addresses_and_still_not_to_names():
    settings = Settings(is_local=False)
    assert is_known_host("192.168.0.7:8000", settings)
    assert not is_known_host("evil.example", settings)


def test_a_rebound_name_gets_nothing(client):
    answer = client.get("/api/v1/pipelines", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert "--allow-host" in answer.get_json()["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "http://localhost"}, 201),
        ({"Origin": "https://localhost"}, 201),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
    ],
)
def test_other_pages_may_not_post(client, headers, status):
    assert client.post("/api/v1/sessions", headers=headers).status_code == status


def test_a_link_may_open_the_page_and_nothing_else(client):
    follow = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=follow).status_code == 200
    assert client.get("/api/v1/live", headers=follow).status_code == 403
    assert client.get("/api/v1/live/stream", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/main.js", "/openapi.json", "/nothing"])
def test_every_answer_carries_the_policy(client, path):
    answer = client.get(path)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/../settings.py", "/%2e%2e/settings.py", "/page/../app.py", "/app.py"])
def test_only_the_page_is_served(client, path):
    assert client.get(path).status_code == 404


def test_the_page_names_no_address_but_its_own():
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert re.findall(r"https?://|src=[\"']?//|@import|url\(", text) == [], file.name
        assert not re.search(r"\sstyle=|\son\w+=\"|<script>", text), f"{file.name}: the policy blocks it"


def test_every_field_of_the_page_has_a_label_and_every_script_finds_its_elements():
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([\w-]+)"', html)
    assert len(ids) == len(set(ids))
    scripts = "".join(file.read_text(encoding="utf-8") for file in PAGE.iterdir() if file.name.endswith(".js"))
    used = set(re.findall(r'(?:\bat|getElementById)\("([\w-]+)"\)', scripts))
    assert used <= set(ids)
    labelled = set(re.findall(r'<label[^>]* for="([\w-]+)"', html))
    assert {"pipeline", "file", "upload-bar"} <= labelled
    assert 'aria-live="polite"' in html
    for references in re.findall(r'aria-(?:controls|labelledby)="([\w -]+)"', html):
        assert set(references.split()) <= set(ids)
