"""What the package imports is what it declares, and what it declares is pinned."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import ferbench

PROJECT = Path(__file__).resolve().parents[1]

# dlib-bin does not record its module; distributed comes with dask[distributed].
DISTRIBUTION = {"dlib": "dlib-bin", "distributed": "dask"}
# Keras' other backends: used where a machine has them, never asked for.
OPTIONAL_BACKENDS = {"torch", "jax"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*, development: bool = False) -> set[str]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for name in extras if name != "dev" for line in extras[name])]
    lines += extras["dev"] if development else []
    return {normal(re.match(r"[\w.-]+", line).group()) for line in lines} - {"ferbench"}


def imported() -> dict[str, set[str]]:
    """Top-level modules outside the standard library, and the files that import them."""
    found: dict[str, set[str]] = {}
    for file in Path(ferbench.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "ferbench":
                    found.setdefault(top, set()).add(file.name)
    return found


def test_every_package_that_is_imported_is_declared():
    distributions = packages_distributions()
    undeclared = {
        module: files
        for module, files in imported().items()
        if module not in OPTIONAL_BACKENDS
        and not {normal(d) for d in [DISTRIBUTION.get(module, ""), *distributions.get(module, [])]} & declared()
    }
    assert undeclared == {}


def test_every_declared_package_is_pinned_by_version_alone():
    lines = (PROJECT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", line) for line in lines)
    pinned = {normal(line.partition("==")[0]) for line in lines}
    assert declared(development=True) - pinned == set()
