"""load_dataset takes names, specs, paths and datasets, and says what it did not understand."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ferbench.datasets import load_dataset
from ferbench.datasets.fer2013 import FER2013
from ferbench.datasets.images import ImageTree
from ferbench.errors import DatasetNotFoundError, ParameterError, UnknownNameError
from ferbench.specs import parse_spec


@pytest.fixture
def tree(tmp_path, save, noise):
    for name in ("train/happy/a", "train/sad/b", "test/happy/c"):
        save(tmp_path / "my faces" / f"{name}.png", noise())
    return tmp_path / "my faces"


def test_names_specs_and_parameters(fer_csv, tree):
    assert isinstance(load_dataset("fer2013", path=fer_csv), FER2013)
    assert isinstance(load_dataset(f"fer2013(path={str(fer_csv)!r})"), FER2013)
    assert isinstance(load_dataset(parse_spec("fer2013")), FER2013)
    assert load_dataset(f"images(path={str(tree)!r}, size=32, kind=crops)", "train").images.shape == (2, 32, 32)
    assert len(load_dataset("fer2013", "val", path=fer_csv)) == 2


def test_paths_of_folders_archives_and_tables(fer_csv, tree, as_zip, tmp_path, monkeypatch):
    assert isinstance(load_dataset(tree), ImageTree)
    assert len(load_dataset(str(tree), "train")) == 2
    assert len(load_dataset(as_zip(tree, tmp_path / "faces.zip"), "test")) == 1
    assert isinstance(load_dataset(str(fer_csv)), FER2013)
    monkeypatch.chdir(tmp_path)
    assert load_dataset("./my faces").info.name == "my-faces"


def test_a_registered_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "fer2013").mkdir()
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_dataset("fer2013"), FER2013)


def test_a_dataset_is_passed_on_without_reading_it(tmp_path):
    dataset = FER2013(tmp_path / "not there.csv")
    assert load_dataset(dataset) is dataset
    with pytest.raises(ParameterError, match="takes no parameters: got path"):
        load_dataset(dataset, path="x")


def test_what_is_not_understood_is_told():
    with pytest.raises(UnknownNameError, match="did you mean 'fer2013'"):
        load_dataset("fer2031")
    with pytest.raises(UnknownNameError, match="did you mean 'path'"):
        load_dataset("fer2013", pth="x")
    for path in ("./nothing", "faces.zip", "a/b", "missing.csv"):
        with pytest.raises(DatasetNotFoundError, match="no such file or folder"):
            load_dataset(path)
    with pytest.raises(ParameterError, match="not a dataset: got int"):
        load_dataset(3)


def test_importing_datasets_is_light():
    heavy = ("cv2", "sklearn", "PIL", "pandas", "scipy")
    code = f"import sys, ferbench.datasets; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"
