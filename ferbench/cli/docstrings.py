"""Reading numpydoc docstrings: the first paragraph, and what is said of each parameter."""

from __future__ import annotations

import inspect
import re

__all__ = ["first_paragraph", "parameter_texts"]


def first_paragraph(documented: object) -> str:
    """The first paragraph of an object's docstring on one line; empty where there is none."""
    paragraph = (inspect.getdoc(documented) or "").split("\n\n", 1)[0]
    return " ".join(re.sub(r" ?\[\d+\]_", "", paragraph).split())  # without references to footnotes


def parameter_texts(documented: object) -> dict[str, str]:
    """What the *Parameters* section says of each parameter, on one line each.

    Examples
    --------
    >>> def f(a, b):
    ...     '''Do it.
    ...
    ...     Parameters
    ...     ----------
    ...     a, b : int
    ...         Two
    ...         numbers.
    ...     '''
    >>> parameter_texts(f)
    {'a': 'Two numbers.', 'b': 'Two numbers.'}
    """
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)", inspect.getdoc(documented) or "", re.S | re.M)
    texts: dict[str, list[str]] = {}
    names: list[str] = []
    for line in section.group(1).splitlines() if section else ():
        if line.strip() and not line[0].isspace():
            names = [name.strip().lstrip("*") for name in line.partition(" :")[0].split(",")]
            texts.update({name: [] for name in names})
        else:
            for name in names:
                texts[name].append(line.strip())
    return {name: " ".join(" ".join(lines).split()) for name, lines in texts.items()}
