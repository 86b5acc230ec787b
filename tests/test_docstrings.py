"""Every public module, class, function and method says what it does; the examples in docstrings run."""

from __future__ import annotations

import ast
import doctest
import importlib
from pathlib import Path

import pytest

import ferbench

PACKAGE = Path(ferbench.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
CHEAP = ["ferbench.errors", "ferbench.specs", "ferbench.labels", "ferbench.cli.docstrings"]


def undocumented(tree: ast.Module) -> list[str]:
    """Names of a module's public definitions without a docstring.

    A method need not repeat what a class above it in the module, a protocol say, tells of that method.
    """
    missing: list[str] = []
    told: set[str] = set()

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if child.name.startswith("_") or any(getattr(d, "id", "") == "overload" for d in child.decorator_list):
                continue
            if ast.get_docstring(child) is not None:
                told.add(child.name)
            elif not (prefix and child.name in told):
                missing.append(f"{prefix}{child.name}")
            if isinstance(child, ast.ClassDef):
                visit(child, f"{prefix}{child.name}.")

    visit(tree, "")
    return missing


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_every_public_definition_has_a_docstring(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if tree.body:
        assert ast.get_docstring(tree), "the module has no docstring"
    assert undocumented(tree) == []


@pytest.mark.parametrize("name", CHEAP)
def test_examples_in_docstrings_are_true(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0 or name == "ferbench.labels"
    assert result.failed == 0
