"""The registry: specs that read back as they were written, lazy loading, plugins, and errors that suggest."""

from __future__ import annotations

import importlib
import keyword
import re
import sys
from importlib.metadata import EntryPoint

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferbench import registry
from ferbench.errors import FerbenchError, MissingDependencyError, ParameterError, UnknownNameError
from ferbench.registry import GROUPS, Entry, create, entries, entry
from ferbench.specs import Spec, parse_spec

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]*", fullmatch=True)
parameters = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True).filter(lambda word: not keyword.iskeyword(word))
text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=6)
specs = st.builds(Spec, names, st.dictionaries(parameters, values, max_size=4))


@given(specs)
@example(Spec("x", {"text": "both quotes' \" and then, (some)"}))
def test_a_spec_reads_back_as_it_was_written(spec):
    assert parse_spec(str(spec)) == spec


@given(specs)
def test_equal_specs_have_equal_text_whatever_the_order_of_parameters(spec):
    again = Spec(spec.name, dict(reversed(list(spec.params.items()))))
    assert str(again) == str(spec)
    assert hash(again) == hash(spec)


@given(st.text(max_size=40) | st.builds("x({})".format, st.text(max_size=40)))
def test_any_text_is_a_spec_or_an_error_of_ours(arbitrary):
    try:
        spec = parse_spec(arbitrary)
    except ParameterError:
        return
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("written", "params"),
    [
        ("lbp", {}),
        (" lbp ( ) ", {}),
        ("lbp(grid=7)", {"grid": 7}),
        ("lbp(method=nri-uniform, grid=(7, 8))", {"method": "nri-uniform", "grid": (7, 8)}),
        ("x(path=/data/my-faces.zip)", {"path": "/data/my-faces.zip"}),
        ("x(path=./faces, on=True, off=None)", {"path": "./faces", "on": True, "off": None}),
        ('pca(of="hog(cell=8)")', {"of": "hog(cell=8)"}),
        ("""x(text='it is a "quote", no')""", {"text": 'it is a "quote", no'}),
        ("x(values=[a, b-c, 1e-3])", {"values": ["a", "b-c", 1e-3]}),
    ],
)
def test_values_are_literals_and_bare_words_are_strings(written, params):
    assert parse_spec(written).params == params


@pytest.mark.parametrize(
    "bad", ["", "(", "lbp(7)", "lbp(**x)", "lbp(grid=)", "lbp(grid=f(1))", "a) + f(b", "x() + (1)"]
)
def test_what_is_no_spec_is_an_error_that_shows_the_form(bad):
    with pytest.raises(ParameterError, match=r"name\(param=value"):
        parse_spec(bad)


@pytest.mark.parametrize("group", GROUPS)
def test_every_built_in_is_described_and_points_to_a_module_of_ferbench(group):
    for name, found in entries(group).items():
        assert found.name == name
        assert found.summary
        assert (found.extra is None) == (found.needs == "")
        if found.package == "ferbench":
            assert found.target.startswith("ferbench.")


@pytest.mark.parametrize("found", [e for group in GROUPS for e in entries(group).values()], ids=lambda e: e.name)
def test_every_component_loads_and_has_a_docstring(found):
    factory = found.load()
    assert callable(factory)
    assert (factory.__doc__ or "").strip()


def test_unknown_names_are_errors_with_suggestions():
    with pytest.raises(UnknownNameError, match="did you mean 'haar'"):
        entry("detectors", "hara")
    with pytest.raises(UnknownNameError, match="did you mean 'features'"):
        entries("feature")
    with pytest.raises(UnknownNameError, match="'grd'; did you mean 'grid'"):
        create("features", "lbp(grd=7)")


def test_a_spec_makes_its_component_with_its_parameters():
    assert create("features", "lbp(grid=5)").grid == 5


def test_defaults_apply_where_the_component_has_them_and_the_spec_does_not_set_them():
    assert create("features", "lbp", grid=3).grid == 3
    assert create("features", "lbp(grid=5)", grid=3, no_such_parameter=1).grid == 5


def test_a_missing_extra_is_an_error_with_its_pip_line(monkeypatch):
    def fail(self):
        raise ModuleNotFoundError("No module named 'dlib'", name="dlib")

    monkeypatch.setattr(EntryPoint, "load", fail)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ferbench\[dlib\]'"):
        entry("detectors", "dlib-hog").load()


def test_a_module_missing_for_another_reason_is_not_blamed_on_the_extra():
    broken = Entry("detectors", "broken", "ferbench.no_such_module:X", "", "dlib", needs="dlib")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        broken.load()


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a distribution on the import path that registers one detector under a given name."""

    def install(name: str) -> None:
        (tmp_path / "my_plugin.py").write_text('class Mine:\n    """My detector."""\n    crop_scale = 1.0\n')
        info = tmp_path / "my_plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ferbench.detectors]\n{name} = my_plugin:Mine\n")
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        registry.entries.cache_clear()

    yield install
    registry.entries.cache_clear()


def test_a_plugin_is_listed_and_made_by_name(plugin):
    plugin("mine")
    assert entry("detectors", "mine").package == "my-plugin"
    assert create("detectors", "mine").crop_scale == 1.0
    assert "haar" in entries("detectors")


def test_a_plugin_that_cannot_be_imported_names_its_package_and_disturbs_no_other(plugin, tmp_path):
    plugin("mine")
    (tmp_path / "my_plugin.py").write_text("import nothere\n")
    sys.modules.pop("my_plugin", None)
    with pytest.raises(FerbenchError, match=r"'mine' of the package my-plugin cannot be imported: got Module.*nothere"):
        create("detectors", "mine")
    (tmp_path / "my_plugin.py").write_text("")
    with pytest.raises(FerbenchError, match=r"got AttributeError: .*Mine"):
        create("detectors", "mine")
    sys.modules.pop("my_plugin", None)


def test_a_plugin_that_claims_a_taken_name_is_an_error_naming_both(plugin):
    plugin("haar")
    with pytest.raises(FerbenchError, match="ferbench and my-plugin"):
        entries("detectors")


@pytest.mark.parametrize(
    ("written", "params"),
    [
        ("union(of=[hog(cell=6), 'lbp(grid=2)', pixels])", {"of": ["hog(cell=6)", "lbp(grid=2)", "pixels"]}),
        ("pca(of=random-convolutions(step=2))", {"of": "random-convolutions(step=2)"}),
        ("a(of=b(of=[c(d=nri-uniform), e(f=(1, 2))]))", {"of": "b(of=[c(d=nri-uniform), e(f=(1, 2))])"}),
        ("a(of='b(  c = 1 )')", {"of": "b(  c = 1 )"}),
    ],
)
def test_specs_stand_within_specs(written: str, params: dict) -> None:
    spec = parse_spec(written)
    assert spec.params == params
    assert parse_spec(str(spec)) == spec
    assert str(parse_spec(str(spec))) == str(spec)


@pytest.mark.parametrize(
    "bad", ["a(of=b(1))", "a(of=b(**{}))", "a(of=(1)(c=1))", "a(of=b(c=1)(d=2))", "a(of=b(c=d+e))"]
)
def test_what_is_no_spec_within_a_spec_is_refused(bad: str) -> None:
    with pytest.raises(ParameterError, match="not a component spec"):
        parse_spec(bad)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("linear-svm(balanced=no)", "parameter balanced: got 'no', expected True or False"),
        ("rbf-svm(balanced=0)", "parameter balanced: got 0"),
        ("knn(calibrate=yes)", "parameter calibrate: got 'yes'"),
        ("linear-svm(random_state=-1)", "parameter random_state: got -1, expected an integer from 0 to 4294967295"),
        ("random-forest(random_state=None)", "parameter random_state: got None"),
    ],
)
def test_flags_and_seeds_are_told_from_other_values(spec: str, says: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(says)):
        create("classifiers", spec)


def test_flags_may_be_written_as_yaml_writes_them() -> None:
    assert create("classifiers", "linear-svm(balanced=false)").balanced is False
    assert str(parse_spec("linear-svm(balanced=true)")) == "linear-svm(balanced=True)"
    assert str(parse_spec("x(name='true')")) == "x(name='true')"
