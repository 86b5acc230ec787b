"""What every test shares: a quiet, hermetic environment, and the real datasets where this machine has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
REAL_DATA_FILE = "fer2013.csv.xz"

# Set before any test module imports a library that reads them.
os.environ["MPLBACKEND"] = "Agg"
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# Workers of pytest-xdist inherit this process' environment, in which it goes by another name.
_given_data = os.environ.pop("FERBENCH_DATA", None) or os.environ.get("FERBENCH_DATA_OF_TESTS")
if _given_data:
    os.environ["FERBENCH_DATA_OF_TESTS"] = _given_data


def _find_real_data() -> Path | None:
    candidates = [Path(_given_data)] if _given_data else [PROJECT.parent / "shared" / "data"]
    return next((folder for folder in candidates if (folder / REAL_DATA_FILE).is_file()), None)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests out of the user's cache, and the user's cache out of the tests."""
    os.environ["FERBENCH_CACHE"] = str(tmp_path_factory.mktemp("ferbench-cache"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with FER2013, FER+, CK+ and LFW-emotions; skips where it is not on this machine.

    Tests that use it carry ``@pytest.mark.realdata``, which also sets ``FERBENCH_DATA`` for them.
    """
    folder = _find_real_data()
    if folder is None:
        pytest.skip(f"real data not found: set FERBENCH_DATA to a folder with {REAL_DATA_FILE}")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Set FERBENCH_DATA for tests marked ``realdata`` and for no others: they must not depend on the machine."""
    folder = _find_real_data()
    if folder is not None and item.get_closest_marker("realdata"):
        os.environ["FERBENCH_DATA"] = str(folder)
    else:
        os.environ.pop("FERBENCH_DATA", None)
