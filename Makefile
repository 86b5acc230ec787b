# Everything runs from one virtual environment in .venv, made on first use from the pins in requirements.lock.
PYTHON ?= python3
SUITE  ?= suites/quick.yaml
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
UV     := $(BIN)/uv
# uv installs the pins several times faster than pip; it is itself installed by pip, at this version.
UV_VERSION := 0.13.8
export UV_LINK_MODE ?= copy
# Some containers forbid Python to keep what it compiled: every process would compile thousands of files anew.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: help bench install test lint format build lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

bench: install ## environment, install, the quick suite on the built-in faces, report
	$(BIN)/ferbench run $(SUITE)
	@echo "Look at $(CURDIR)/runs/latest/report/index.html"

install: $(STAMP) ## the environment alone

$(STAMP): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) pip install --quiet --python $(BIN)/python -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

test: install ## every test; those on real data where FERBENCH_DATA points to it
	$(BIN)/python -m pytest -m alone
	$(BIN)/python -m pytest -m "not alone" --numprocesses auto --dist loadfile

lint: install ## style, types and import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: install ## source distribution and wheel in dist/
	rm -rf build dist
	$(BIN)/python -m build --installer uv

lock: install ## pin what pyproject.toml asks for at today's versions
	$(UV) pip compile --quiet --upgrade --python $(BIN)/python --extra dev --no-annotate --no-header \
		--output-file requirements.lock pyproject.toml

clean: ## remove the environment and everything derived; runs/ and models/ stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find ferbench tests -name __pycache__ -type d -prune -exec rm -rf {} +
