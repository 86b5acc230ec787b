"""The documentation is true: its commands parse, its files and links exist, its suites and examples are valid."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import ferbench
from ferbench.cli import VERBS

PROJECT = Path(__file__).resolve().parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), *PROJECT.glob("docs/checks/*.md")])
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Every shell line of every page, without its comment."""
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    return sorted({line.split("  #")[0].split(" # ")[0].strip() for line in lines if line.strip()})


def parser_of(verb: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"ferbench {verb}", exit_on_error=False)
    importlib.import_module(f"ferbench.cli.{verb}").configure(parser)
    return parser


@pytest.mark.parametrize("command", commands())
def test_every_command_is_one_that_exists_with_arguments_that_it_takes(command):
    program, *arguments = shlex.split(command)
    if program == "ferbench":
        assert arguments[0] in VERBS
        _, unknown = parser_of(arguments[0]).parse_known_args(arguments[1:])
        assert unknown == []
    elif program == "make":
        assert re.search(rf"^{arguments[0]}:", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    elif program == "dask":
        assert arguments[0] in ("scheduler", "worker")
    else:
        assert program in ("export", "bash", ".venv/bin/python")


@pages
def test_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`?((?:suites|docs|tests)/[\w./-]+\.(?:yaml|md|py))", text)
    named += re.findall(r"`((?:ferbench|\.ci)/[\w./]+)`", text)
    assert [name for name in named if not (PROJECT / name).exists()] == []


@pages
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", page.read_text(encoding="utf-8"))
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []


@pages
def test_python_examples_compile_and_name_what_the_package_has(page):
    for code in blocks(page, "python"):
        compile(code, str(page), "exec")
        for name in re.findall(r"\bfb\.(\w+)", code):
            assert hasattr(ferbench, name)


def test_suites_in_the_documentation_are_valid():
    from ferbench.benchmarks.suite_file import parse_suite

    suites = [text for page in PAGES for text in blocks(page, "yaml") if text.startswith("schema:")]
    assert suites
    for text in suites:
        parse_suite(text)


def test_the_example_of_a_component_satisfies_the_contract():
    from ferbench.contracts import FeatureExtractor

    (code,) = blocks(PROJECT / "CONTRIBUTING.md", "python")
    names: dict[str, type] = {}
    exec(code, names)
    extractor = names["RowMeans"]()
    assert isinstance(extractor, FeatureExtractor)
    features = extractor.fit_transform(np.full((2, 48, 48), 255, np.uint8))
    assert features.dtype == np.float32
    assert features.shape == (2, 48)
    assert features == pytest.approx(1.0)


def test_every_component_has_a_place_in_the_documentation():
    from ferbench.registry import GROUPS, entries

    text = "".join((PROJECT / "docs" / page).read_text(encoding="utf-8") for page in ("datasets.md", "pipelines.md"))
    built_in = [e.name for group in GROUPS for e in entries(group).values() if e.package == "ferbench"]
    assert [name for name in built_in if f"`{name}" not in text] == []


def test_nothing_says_where_this_was_made():
    words = ("/" + "work/", "/" + "root/", "py" + "pi.org", "debian" + ".org", "npm" + "js.")
    files = [
        path
        for pattern in (
            "*.md",
            "*.toml",
            "*.lock",
            "Makefile",
            "docs/**/*.md",
            "ferbench/**/*",
            "suites/*",
            "tests/**/*.py",
        )
        for path in PROJECT.glob(pattern)
        if path.suffix in {".md", ".toml", ".lock", ".py", ".yaml", ".html", ".j2", ".css", ".js", ""}
        and path.is_file()
    ]
    assert len(files) > 100
    found = [(path.name, word) for path in files for word in words if word in path.read_text(encoding="utf-8")]
    assert found == []
