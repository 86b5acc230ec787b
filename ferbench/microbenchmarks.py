"""Files of pytest-benchmark against each other: which tests are slower, by minimum and by median.

As a program it compares files of a base with files of a head, prints markdown, and exits with 3 if a test is slower::

    python -m ferbench.microbenchmarks --base base-1.json base-2.json --head head-1.json head-2.json

Measure both in one job and in turn (base, head, head, base): between two jobs the same code differs by more than most
changes of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ferbench.errors import FerbenchError, RunError

__all__ = ["LEAST_RATIO", "LEAST_SECONDS", "Slower", "Timing", "find_slower", "main", "markdown", "read_timings"]

LEAST_RATIO, LEAST_SECONDS = 1.10, 20e-6
"""What minimum and median must both exceed before a test counts as slower."""

REGRESSION = 3


class Timing(NamedTuple):
    """Seconds of one test."""

    min: float
    median: float


class Slower(NamedTuple):
    """A test whose minimum and median both grew."""

    name: str
    base: Timing
    head: Timing

    @property
    def text(self) -> str:
        """``"test_lbp: min 0.52 to 0.61 ms (+17 %), median …"``."""
        return f"{self.name}: min {_growth(self.base.min, self.head.min)}, median " + _growth(
            self.base.median, self.head.median
        )


def _growth(base: float, head: float) -> str:
    share = f" ({head / base - 1:+.0%})" if base > 0 else ""
    texts = [f"{ms:.3g}" if ms < 1000 else f"{ms:,.0f}" for ms in (1000 * base, 1000 * head)]
    return f"{' to '.join(texts)} ms{share}"


def read_timings(files: Iterable[str | Path]) -> dict[str, Timing]:
    """The tests of files that ``pytest --benchmark-json`` wrote, each at its best over the files.

    Raises
    ------
    RunError
        If a file cannot be read, or is none of pytest-benchmark's.
    """
    best: dict[str, Timing] = {}
    for file in files:
        try:
            document = json.loads(Path(file).read_bytes())
            found = {
                str(one["fullname"]): Timing(float(one["stats"]["min"]), float(one["stats"]["median"]))
                for one in document["benchmarks"]
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"cannot read the timings in {file}",
                got=error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}",
                expected="a file that pytest --benchmark-json wrote",
            ) from error
        for name, timing in found.items():
            other = best.get(name, timing)
            best[name] = Timing(min(timing.min, other.min), min(timing.median, other.median))
    return best


def find_slower(base: Mapping[str, Timing], head: Mapping[str, Timing]) -> list[Slower]:
    """Tests of both whose minimum and median each grew by more than 10 % and 20 µs, the largest growth first."""
    found = [
        Slower(name, base[name], now)
        for name, now in head.items()
        if name in base and all(_is_slower(a, b) for a, b in zip(base[name], now, strict=True))
    ]
    return sorted(found, key=lambda one: one.base.median / one.head.median if one.head.median else 1.0)


def _is_slower(base: float, head: float) -> bool:
    return head > LEAST_RATIO * base and head - base > LEAST_SECONDS


def markdown(base: Mapping[str, Timing], head: Mapping[str, Timing]) -> str:
    """The comparison for a comment: the verdict, and the slower tests."""
    slower, common = find_slower(base, head), [name for name in head if name in base]
    lines = [f"**{len(slower)} of {len(common)} micro-benchmarks slower**", ""]
    if slower:
        lines += ["| Test | Minimum | Median |", "| :--- | :--- | :--- |"]
        lines += [
            f"| `{one.name.replace('|', '¦')}` | {_growth(one.base.min, one.head.min)} "
            f"| {_growth(one.base.median, one.head.median)} |"
            for one in slower
        ]
        lines.append("")
    lines.append(f"Slower: minimum and median both grew by more than {LEAST_RATIO - 1:.0%} and 20 µs.")
    only = [f"{len(one) - len(common)} in the {name} alone" for name, one in (("base", base), ("head", head))]
    if len(common) < max(len(base), len(head)):
        lines.append(f"Not in both: {', '.join(only)}.")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare files; 3 if a test is slower, 2 if a file cannot be read or there is nothing to compare."""
    parser = argparse.ArgumentParser(prog="python -m ferbench.microbenchmarks", description="Compare micro-benchmarks.")
    parser.add_argument("--base", nargs="+", required=True, metavar="FILE", help="timings to compare with")
    parser.add_argument("--head", nargs="+", required=True, metavar="FILE", help="timings that are judged")
    args = parser.parse_args(argv)
    try:
        base, head = read_timings(args.base), read_timings(args.head)
        if not base.keys() & head.keys():
            raise RunError("no test is in base and head", got=f"{len(base)} tests and {len(head)} others")
    except FerbenchError as error:
        print(f"ferbench: error: {error}", file=sys.stderr)
        return error.exit_code
    print(markdown(base, head))
    return REGRESSION if find_slower(base, head) else 0


if __name__ == "__main__":
    sys.exit(main())
