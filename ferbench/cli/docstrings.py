"""Reading numpydoc docstrings: the first paragraph, and what is said of each parameter, as plain text."""

from __future__ import annotations

import inspect
import re

__all__ = ["first_paragraph", "parameter_texts"]

_SECTION = re.compile(r"^(?:Other )?Parameters\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)", re.S | re.M)


def first_paragraph(documented: object) -> str:
    """The first paragraph of an object's docstring on one line; empty where there is none."""
    paragraph = (inspect.getdoc(documented) or "").split("\n\n", 1)[0]
    return _plain(paragraph)


def parameter_texts(documented: object) -> dict[str, tuple[str, str]]:
    """What the *Parameters* and *Other Parameters* sections say of each parameter: its type, and what it does.

    Of a class, also those of the classes that it is made of: what they share is said once.

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
    {'a': ('int', 'Two numbers.'), 'b': ('int', 'Two numbers.')}
    """
    family = reversed(documented.__mro__) if isinstance(documented, type) else (documented,)
    sections = [section for one in family for section in _SECTION.findall(inspect.cleandoc(one.__doc__ or ""))]
    types: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    names: list[str] = []
    for line in "\n".join(sections).splitlines():
        if line.strip() and not line[0].isspace():
            before, _, kind = line.partition(" :")
            names = [name.strip().lstrip("*") for name in before.split(",")]
            types.update(dict.fromkeys(names, kind.strip()))
            texts.update({name: [] for name in names})
        else:
            for name in names:
                texts[name].append(line.strip())
    return {name: (types[name], _plain(" ".join(lines))) for name, lines in texts.items()}


def _plain(text: str) -> str:
    """One line without references to footnotes, roles and doubled backticks."""
    text = re.sub(r" ?\[\d+\]_", "", " ".join(text.split()))
    text = re.sub(r":\w+:`~(?:\w+\.)*(\w+)`", r"`\1`", text)
    return re.sub(r":\w+:`([^`]+)`", r"`\1`", text).replace("``", "`")
