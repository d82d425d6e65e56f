# make install   .venv with hvae-sweep and hvae-plot in it
# make demo      the whole tool in minutes on two CPU cores: sweep, figure
# make test      lint, types, docs, tests
# make docs      the pages of docs/ as a site, docs/_build/html; a broken link is an error
# make test-faults   kills, full disks, damaged and hostile directories: half an hour at most
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: install demo test test-faults lint types docs unit clean

install: .venv/installed

demo: install
	$(BIN)/hvae-sweep rho --quick --out results/quick
	$(BIN)/hvae-plot phase-transition results/quick
	@echo "The figure: results/quick/figures/phase-transition.png"

test: lint types docs unit

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	$(BIN)/mypy

docs: .venv/installed-dev
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html

unit: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadgroup

test-faults: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -q --durations=10 tests/faults tests/cluster/faults

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv build docs/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
