"""Archives from strangers: nothing climbs out, nothing explodes, nothing is unpacked."""

from __future__ import annotations

import pickle
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferbench.datasets import archives
from ferbench.datasets.archives import Zip, check_zip, is_safe_name, open_source
from ferbench.errors import DataError


@pytest.mark.parametrize(
    "name", ["../a.png", "a/../../b.png", "/etc/passwd", "C:/a.png", "..", "a\\..\\b.png", "\\\\server\\a", ""]
)
def test_names_that_leave_the_archive_are_unsafe(name):
    assert not is_safe_name(name)


@pytest.mark.parametrize("name", ["a.png", "a/b/c.png", "..a/b..png", "a/...png", "CK+48/anger/x y.png"])
def test_ordinary_names_are_safe(name):
    assert is_safe_name(name)


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "", "..."]), min_size=1, max_size=6).map("/".join))
def test_a_safe_name_never_climbs_above_the_root(name):
    if not is_safe_name(name):
        return
    depth = 0
    for part in name.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        assert depth >= 0
    assert not name.startswith("/")


@given(st.text(min_size=1, max_size=20))
def test_any_entry_name_is_listed_or_refused(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    try:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), b"content")
    except (UnicodeEncodeError, ValueError):  # not a name that a zip can hold
        return
    try:
        names = Zip(path).names()
    except DataError:
        return
    assert all(Zip(path).read(found) == b"content" for found in names)


def test_hidden_files_and_macos_copies_are_left_out(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("happy/a.png", "happy/._a.png", "__MACOSX/happy/a.png", ".git/x", "happy/"):
            archive.writestr(name, b"x")
    assert Zip(path).names() == ["happy/a.png"]


def test_a_bomb_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("happy/a.bmp", "w") as file:
        for _ in range(80):
            file.write(b"\0" * (1 << 20))
    with pytest.raises(DataError, match=r"would grow beyond the limits when read: got 'happy/a\.bmp'"):
        Zip(path).names()


def test_too_many_entries_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_ENTRIES", 2)
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(3):
            archive.writestr(f"{i}.png", b"")
    with zipfile.ZipFile(path) as archive, pytest.raises(DataError, match="too many entries: got 3"):
        check_zip(archive, path)


def test_an_encrypted_archive_is_refused(tmp_path):
    path = tmp_path / "secret.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("happy/a.png", b"x")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the encryption bit in the central directory
    path.write_bytes(content)
    with pytest.raises(DataError, match="is encrypted"):
        Zip(path).names()


def test_a_damaged_entry_is_told_by_name(tmp_path):
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("happy/a.png", b"0123456789")
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123x56789"))
    with pytest.raises(DataError, match=r"cannot read happy/a\.png in .*damaged\.zip"):
        Zip(path).read("happy/a.png")


def test_a_zip_cut_short_and_a_file_of_another_kind_are_told_apart(tmp_path):
    path = tmp_path / "cut.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("happy/a.png", b"0123456789")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="damaged or cut short"):
        open_source(path)
    with pytest.raises(DataError, match="a file of another kind"):
        open_source(path.rename(tmp_path / "cut.tar"))


def test_an_open_zip_can_be_pickled(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("happy/a.png", b"x")
    source = Zip(path)
    source.names()
    assert pickle.loads(pickle.dumps(source)).read("happy/a.png") == b"x"
