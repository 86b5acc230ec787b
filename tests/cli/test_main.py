"""The command itself: help at once, one verb imported at a time, one line and a code for every mistake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import pytest

from ferbench import cli
from ferbench.cli import VERBS, main
from ferbench.errors import FerbenchError

pytestmark = pytest.mark.alone


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ferbench", *arguments], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture
def verb(monkeypatch):
    """Give the verb ``list`` another body."""

    def replace(body):
        module = SimpleNamespace(__doc__="A verb of the test.", configure=lambda parser: None, main=body)
        monkeypatch.setitem(sys.modules, "ferbench.cli.list", module)
        monkeypatch.setattr(cli, "list", module, raising=False)

    return replace


def test_help_names_every_verb_and_imports_none():
    code = "import sys; from ferbench.cli import main; main(['--help'])"
    program = f"try:\n    {code}\nexcept SystemExit: pass\nprint(*sorted(sys.modules))"
    text = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    help_text, modules = text.strip().rsplit("\n", 1)
    assert all(f"  {verb} " in help_text for verb in VERBS)
    assert not [name for name in modules.split() if name.startswith("ferbench.cli.")]
    assert "numpy" not in modules.split()


def test_help_answers_at_once():
    def seconds() -> float:
        start = time.perf_counter()
        run("--help")
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.15


def test_no_arguments_print_the_help(capsys):
    assert main([]) == 0
    assert "verbs:" in capsys.readouterr().out


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_a_module_whose_help_says_what_it_does(name, capsys):
    with pytest.raises(SystemExit) as leave:
        main([name, "--help"])
    assert leave.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: ferbench {name}")
    assert sys.modules[f"ferbench.cli.{name}"].__doc__.strip().splitlines()[0].split()[0] in text


@pytest.mark.parametrize("name", VERBS)
def test_what_help_says_of_a_verb_fits_into_80_columns_as_plain_text(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([name, "--help"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "``" not in text


@pytest.mark.parametrize("name", VERBS)
def test_help_of_a_verb_imports_no_other_verb_and_nothing_heavy(name):
    program = (
        f"import sys\nfrom ferbench.cli import main\ntry:\n    main([{name!r}, '--help'])\n"
        "except SystemExit: pass\nprint(*sys.modules)"
    )
    text = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    modules = text.strip().rsplit("\n", 1)[1].split()
    loaded_verbs = {f"ferbench.cli.{other}" for other in VERBS} & set(modules)
    shared = {"ferbench.cli.live"} if name == "predict" else set()  # whose options predict takes over
    assert loaded_verbs == {f"ferbench.cli.{name}"} | shared
    assert not {"tensorflow", "keras", "sklearn", "dlib", "cv2", "matplotlib"} & set(modules)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "unknown verb 'rnu'; did you mean 'run'?"),
        (["--hlep"], "unrecognized arguments: --hlep; see 'ferbench --help'"),
        (["list"], "the following arguments are required: what; see 'ferbench list --help'"),
        (["list", "detectors", "--jsn"], "unrecognized arguments: --jsn; see 'ferbench list --help'"),
    ],
)
def test_a_mistyped_command_is_one_line_and_code_two(arguments, message, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err == f"ferbench: error: {message}\n"
    assert captured.out == ""


def test_an_error_of_ours_is_one_line_and_its_exit_code(verb, capsys):
    def fail(args):
        raise FerbenchError("it broke", got=3)

    verb(fail)
    assert main(["list"]) == 2
    assert capsys.readouterr().err == "ferbench: error: it broke: got 3\n"


def test_a_file_that_cannot_be_used_is_named_in_one_line(verb, capsys, tmp_path):
    verb(lambda args: (tmp_path / "absent" / "out.csv").write_text(""))
    assert main(["list"]) == 2
    assert (
        capsys.readouterr().err == f"ferbench: error: cannot use {tmp_path}/absent/out.csv: No such file or directory\n"
    )


def test_a_fault_of_ours_keeps_its_traceback(verb):
    def fail(args):
        raise ZeroDivisionError

    verb(fail)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_an_interrupt_is_130(verb):
    def interrupt(args):
        raise KeyboardInterrupt

    verb(interrupt)
    assert main(["list"]) == 130


def test_the_verbs_exit_code_is_returned(verb):
    verb(lambda args: 3)
    assert main(["list"]) == 3


def test_warnings_of_libraries_are_silent_and_ours_are_one_line(verb, capsys):
    def warn(args):
        warnings.warn_explicit("of no interest", FutureWarning, "other.py", 1, module="sklearn.base")
        warnings.warn_explicit(
            "labels look permuted", UserWarning, "quality.py", 1, module="ferbench.benchmarks.quality"
        )
        return 0

    verb(warn)
    assert main(["list"]) == 0
    assert capsys.readouterr().err == "ferbench: warning: labels look permuted\n"


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="no pipes of this kind here")
def test_a_reader_that_leaves_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "ferbench", "list", "datasets"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert result.returncode == 141
    assert result.stderr == ""


def test_version_is_that_of_the_package():
    assert run("--version").stdout.split()[0] == "ferbench"


def test_the_installed_command_and_the_module_are_the_same(tmp_path):
    as_module = run("list", "detectors", "--json", cwd=tmp_path)
    script = os.path.join(os.path.dirname(sys.executable), "ferbench")
    as_command = subprocess.run([script, "list", "detectors", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(as_module.stdout) == json.loads(as_command.stdout)
