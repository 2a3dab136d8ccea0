# Everything runs in a virtual environment of its own; the first target that is asked for makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Half of the tests wait for sockets or other processes while they run, so there are two for each core, within reason.
WORKERS := $(shell $(PYTHON) -c 'import os; print(min(2 * os.cpu_count(), 16))')

.PHONY: demo test bench lint docs clean

demo: $(VENV)/demo
	$(BIN)/migratectl demo

# Tests start hundreds of interpreters, which would compile all that they import, each anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

bench: $(VENV)/test $(VENV)/bench
	PYTHONPATH=tests BENCHMARKS_PYTHON=$(VENV)/bench/bin/python $(BIN)/python -m benchmarks > docs/.benchmarks.md
	mv docs/.benchmarks.md docs/benchmarks.md

lint: $(VENV)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/api.py
	$(BIN)/pyright

docs: $(VENV)/docs
	$(BIN)/sphinx-build -W --keep-going --quiet -b html docs build/docs

clean:
	rm -rf $(VENV) build

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "migrate-core needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cli,simulators]'
	@touch $@

$(VENV)/test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

$(VENV)/bench: pyproject.toml | $(BIN)/python
	$(PYTHON) -m venv $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check -e '.[fast]' huaweicloudsdksms
	@touch $@

$(VENV)/lint: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint]'
	@touch $@

$(VENV)/docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@
