"""The pytest plugin as it is installed: what it times, what it calls slower, and that it costs nothing otherwise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ferbench.errors import RunError
from ferbench.microbenchmarks import Timing, find_slower, main, markdown, read_timings

TESTS = """\
import os, sys, time

def test_call(time_calls):
    seen = []
    def call(x):
        seen.append(x)
        time.sleep(float(os.environ["CALL_S"]))
        return x
    assert time_calls(call, list(range(90))) == 89
    assert seen == list(range(90)), "each input once, in order"

def test_sum(benchmark):
    benchmark.pedantic(sum, args=([1, 2],), rounds=5)

def test_imports():
    assert not {"numpy", "ferbench.microbenchmarks", "ferbench.errors"} & set(sys.modules)
"""


def session(folder: Path, *arguments: str, call_s: float = 0.0005) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    (folder / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), *arguments]
    environment = {"CALL_S": str(call_s), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*command, str(folder / "test_it.py")], capture_output=True, text=True, cwd=folder, env=environment, check=False
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    done = session(folder, "-k", "not imports", "--benchmark-json", "base.json")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "base.json"


def test_calls_are_timed_one_by_one_after_a_fixed_warm_up(base):
    extra = {one["name"]: one["extra_info"] for one in json.loads(base.read_text())["benchmarks"]}
    facts = extra["test_call"]
    assert (facts["n"], facts["warm_up"]) == (70, 20)
    assert 0.5 <= facts["p50_ms"] <= facts["p90_ms"] < 50
    assert extra["test_sum"] == {}


def test_a_slower_test_is_named_and_fails_the_session_on_request(base, tmp_path):
    done = session(
        tmp_path / base.parent.name,
        "-k",
        "not imports",
        "--ferbench-compare",
        str(base),
        "--ferbench-fail",
        call_s=0.01,
    )
    assert done.returncode == 1
    assert "slower: test_it.py::test_call: min" in done.stdout
    assert "1 of 2 benchmarks slower by more than 10 % and 20 µs" in done.stdout
    assert "slower: test_it.py::test_sum" not in done.stdout


def test_it_costs_nothing_where_it_is_not_asked_for(tmp_path):
    done = session(tmp_path / "plain", "-k", "imports", "-p", "no:benchmark")
    assert done.returncode == 0, done.stdout
    assert "ferbench" not in done.stdout


def test_missing_files_and_missing_packages_are_one_line(tmp_path):
    done = session(tmp_path / "a", "--ferbench-compare", "nothing.json")
    assert done.returncode == 4
    assert "ERROR: cannot read the timings in nothing.json: got No such file" in done.stderr
    done = session(tmp_path / "b", "-k", "call", "-p", "no:benchmark")
    assert "time_calls needs pytest-benchmark, which is not installed; pip install 'ferbench[pytest]'" in done.stdout


# The rule -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "head", "is_slower"),
    [
        (Timing(1e-3, 2e-3), Timing(1.2e-3, 2.4e-3), True),
        (Timing(1e-3, 2e-3), Timing(1.05e-3, 2.4e-3), False),  # the minimum stayed
        (Timing(1e-3, 2e-3), Timing(1.2e-3, 2.1e-3), False),  # the median stayed
        (Timing(50e-6, 60e-6), Timing(65e-6, 78e-6), False),  # below 20 µs
        (Timing(1e-3, 2e-3), Timing(0.5e-3, 1e-3), False),
    ],
)
def test_both_minimum_and_median_must_grow_by_a_tenth_and_20_microseconds(base, head, is_slower):
    assert bool(find_slower({"t": base}, {"t": head})) == is_slower


def write(path: Path, **tests: tuple[float, float]) -> str:
    stats = [{"fullname": name, "stats": {"min": low, "median": mid}} for name, (low, mid) in tests.items()]
    path.write_text(json.dumps({"benchmarks": stats}))
    return str(path)


def test_each_side_is_taken_at_its_best(tmp_path, capsys):
    base = [write(tmp_path / "b1", a=(1.0, 2.0), b=(1.0, 1.0)), write(tmp_path / "b2", a=(0.9, 2.5))]
    head = [write(tmp_path / "h1", a=(2.0, 3.0), c=(1.0, 1.0)), write(tmp_path / "h2", a=(0.95, 2.1))]
    assert read_timings(base) == {"a": Timing(0.9, 2.0), "b": Timing(1.0, 1.0)}
    assert main(["--base", *base, "--head", *head]) == 0
    said = capsys.readouterr().out
    assert said.startswith("**0 of 1 micro-benchmarks slower**")
    assert "Not in both: 1 in the base alone, 1 in the head alone." in said
    assert main(["--base", *base, "--head", head[0]]) == 3
    assert "| `a` | 900 to 2,000 ms (+122%) | 2,000 to 3,000 ms (+50%) |" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", '{"benchmarks": [{"fullname": "a"}]}', '{"benchmarks": [{"fullname": 1}]}'])
def test_other_files_are_refused(tmp_path, text, capsys):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(RunError, match="expected a file that pytest --benchmark-json wrote"):
        read_timings([tmp_path / "x.json"])
    assert main(["--base", str(tmp_path / "x.json"), "--head", str(tmp_path / "x.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_nothing_in_common_is_no_comparison(tmp_path, capsys):
    base, head = write(tmp_path / "b", a=(1.0, 2.0)), write(tmp_path / "h", renamed=(9.0, 9.0))
    assert main(["--base", base, "--head", head]) == 2
    assert "no test is in base and head" in capsys.readouterr().err


def test_markdown_of_nothing_in_common():
    assert markdown({}, {}).startswith("**0 of 0")
