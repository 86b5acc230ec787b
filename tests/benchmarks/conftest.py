"""What tests of runs share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ferbench import registry

_METADATA = "Metadata-Version: 2.1\nName: stalling\nVersion: 1\n"
_ENTRY_POINTS = "[ferbench.classifiers]\nstalling = stalling_plugin:Stalling\n"
_MODULE = '''
import os, signal, subprocess, sys, time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Stalling(ClassifierMixin, BaseEstimator):
    """Says the first label of all faces; how it fits, a file in the folder named STALLING_FOLDER says."""

    def fit(self, X, y):
        folder = Path(os.environ["STALLING_FOLDER"])
        how = (folder / "how").read_text() if (folder / "how").is_file() else "at once"
        (folder / f"{os.getpid()}.worker").touch()
        if how == "never":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            (folder / f"{child.pid}.child").touch()
            time.sleep(600)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "killed once" and not (folder / "killed").exists():
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "waits":
            deadline = time.monotonic() + 120
            while not (folder / "go").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.eye(len(self.classes_), dtype=np.float32)[np.zeros(len(X), int)]

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
'''


@pytest.fixture(scope="module")
def stalling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose file ``how`` says what fits of the classifier ``stalling`` do, here and in processes started here.

    ``at once`` (or no file), ``never`` (with a child process), ``killed``, ``killed once``, or ``waits`` for a file
    ``go``. Fits leave ``<process id>.worker`` there, and their children ``<process id>.child``.
    """
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("stalling")
    (site / "stalling-1.dist-info").mkdir()
    (site / "stalling-1.dist-info" / "METADATA").write_text(_METADATA)
    (site / "stalling-1.dist-info" / "entry_points.txt").write_text(_ENTRY_POINTS)
    (site / "stalling_plugin.py").write_text(_MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
        patch.setenv("PYTHONPATH", path)
        patch.setenv("STALLING_FOLDER", str(folder))
        registry.entries.cache_clear()
        yield folder
    registry.entries.cache_clear()


@pytest.fixture
def how(stalling: Path) -> Callable[[str], None]:
    """Say what fits of ``stalling`` do from now on; traces of earlier ones are gone."""
    for trace in stalling.iterdir():
        trace.unlink()
    return lambda text: (stalling / "how").write_text(text) and None
