"""A pytest plugin on top of pytest-benchmark: latency of single calls, and what became slower since a base.

The fixture ``time_calls`` times a function once for each of many inputs, after a fixed warm-up, and puts ``p50_ms``,
``p90_ms`` and ``n`` into the benchmark's ``extra_info``, where ``--benchmark-json`` writes them::

    def test_one_face(time_calls, faces):
        time_calls(pipeline.predict, faces)

``--ferbench-compare FILE``, given once or more, names what ``--benchmark-json`` wrote of a base; the session's end then
says which tests are slower, and ``--ferbench-fail`` makes that the session's exit code.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from itertools import cycle
from typing import Any

import pytest

__all__ = ["WARM_UP", "Comparison", "pytest_addoption", "pytest_configure", "time_calls"]

WARM_UP = 20
"""Calls before the clock starts, as in latency cells: a fixed number, so that runs can be compared."""

_P90_CALLS = 64  # as in latency cells: MLPerf LoadGen's minimum


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("ferbench")
    group.addoption(
        "--ferbench-compare",
        action="append",
        default=[],
        metavar="FILE",
        help="what --benchmark-json wrote of a base: say which tests are slower now; may be given again",
    )
    group.addoption(
        "--ferbench-fail", action="store_true", help="with --ferbench-compare: fail the session if a test is slower"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch benchmarks only where there is something to compare them with."""
    files = config.getoption("ferbench_compare")
    if not files:
        if config.getoption("ferbench_fail"):
            raise pytest.UsageError("--ferbench-fail needs --ferbench-compare FILE")
        return
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError("--ferbench-compare needs pytest-benchmark: pip install 'ferbench[pytest]'")
    from ferbench.errors import RunError

    try:
        comparison = Comparison(files, is_strict=config.getoption("ferbench_fail"))
    except RunError as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(comparison, "ferbench-comparison")


class Comparison:
    """Collects what benchmarks took and compares it with a base when the session ends.

    Parameters
    ----------
    files : sequence of str
        Of the base.
    is_strict : bool
        A slower test fails the session.

    Raises
    ------
    RunError
        If a file cannot be read.
    """

    def __init__(self, files: Sequence[str], *, is_strict: bool) -> None:
        from ferbench.microbenchmarks import Timing, read_timings

        self.base, self.is_strict = read_timings(files), is_strict
        self.head: dict[str, Timing] = {}
        self._benchmarks: list[Any] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """Note each test's benchmark, also one that a fixture asked for."""
        value = yield
        if fixturedef.argname == "benchmark":
            self._benchmarks.append(value)
        return value

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a session that passed into one that failed, where that was asked for."""
        from ferbench.microbenchmarks import Timing, find_slower

        for one in self._benchmarks:
            if one.stats is not None and not one.has_error:
                self.head[one.fullname] = Timing(one.stats.stats.min, one.stats.stats.median)
        if self.is_strict and session.exitstatus == pytest.ExitCode.OK and find_slower(self.base, self.head):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which tests are slower, or that none is."""
        from ferbench.microbenchmarks import find_slower

        terminalreporter.section("ferbench: compared with the base")
        common = [name for name in self.head if name in self.base]
        slower = find_slower(self.base, self.head)
        for one in slower:
            terminalreporter.write_line(f"slower: {one.text}")
        terminalreporter.write_line(f"{len(slower)} of {len(common)} benchmarks slower by more than 10 % and 20 µs")
        if alone := len(self.head) - len(common):
            terminalreporter.write_line(f"{alone} not in the base")
        if not self.head:
            terminalreporter.write_line("no benchmark ran: pytest-benchmark is off under xdist and --benchmark-disable")


@pytest.fixture
def time_calls(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Time a function once for each of many inputs: ``time_calls(function, inputs, warm_up=20)``.

    The first ``warm_up`` inputs are not timed, and no input is used twice, so that nothing is gained by remembering
    one. Returns what the last call returned.

    Raises
    ------
    ParameterError
        If there are no inputs left after the warm-up.
    MissingDependencyError
        Without pytest-benchmark.
    """
    from ferbench.errors import MissingDependencyError, ParameterError

    if not request.config.pluginmanager.hasplugin("benchmark"):
        raise MissingDependencyError("pytest-benchmark", "pytest", "time_calls")
    benchmark = request.getfixturevalue("benchmark")

    def run(function: Callable[[Any], Any], inputs: Sequence[Any], *, warm_up: int = WARM_UP) -> Any:
        n = len(inputs) - warm_up
        if n < 1 or warm_up < 0:
            raise ParameterError(
                "too few inputs to time", got=len(inputs), expected=f"more than {warm_up}, which warm up"
            )
        if not benchmark.enabled:
            return benchmark.pedantic(function, args=(inputs[-1],))
        for one in inputs[:warm_up]:
            function(one)
        left = cycle(inputs[warm_up:])  # a profile that was asked for takes one more
        result = benchmark.pedantic(function, setup=lambda: ((next(left),), {}), rounds=n, iterations=1)
        ms = [1000 * seconds for seconds in benchmark.stats.stats.sorted_data]
        benchmark.extra_info |= {"n": n, "warm_up": warm_up, "p50_ms": _quantile(ms, 0.5)}
        if n >= _P90_CALLS:
            benchmark.extra_info["p90_ms"] = _quantile(ms, 0.9)
        return result

    return run


def _quantile(ascending: Sequence[float], share: float) -> float:
    """Linear between order statistics, as ``numpy.percentile``; not by it, since sessions without it stay light."""
    at = share * (len(ascending) - 1)
    low = int(at)
    high = min(low + 1, len(ascending) - 1)
    return ascending[low] + (at - low) * (ascending[high] - ascending[low])
