# Every target does its own set-up; a second run finds it done.
#   make lab      JupyterLab on the first notebook
#   make demo     the first notebook in this terminal, and demo.html
#   make test     every check and test
#   make screenshots  pictures of every widget in build/screenshots, and the README's
#   make bench    the benchmarks; results go to benchmarks/results/
#   make figures  all measured figures, what falls short first
#   make setup    only the set-up
# Python 3.11+ is searched for; name another one with `make PYTHON=/path/to/python setup`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMPS := .venv/stamps

# JAX compiles once, not once a run.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.venv/cache/jax
# A test run must not depend on what else this machine has learnt.
export PYTHONHASHSEED := 0
# The data of notebook 02, where they lie beside the checkout.
export PYTYCHE_HILLSTROM ?= $(wildcard $(abspath ../shared/data/hillstrom/hillstrom.csv.gz))

.PHONY: setup lab demo test check test-python test-notebooks test-js test-browser screenshots bench figures clean

setup: $(STAMPS)/python $(STAMPS)/js

$(STAMPS)/venv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found."; exit 1; }
	@echo "set-up: virtual environment in .venv ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv .venv || { echo "python -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

# The JS build is a step of its own here, so pip need not do it.
$(STAMPS)/python: $(STAMPS)/venv pyproject.toml hatch_build.py $(wildcard jupyter-config/*/*)
	@echo "set-up: Python packages"
	@PYTYCHE_SKIP_JS=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lab,test]'
	@touch $@

js/node_modules/.installed: js/package.json js/package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed to build the widgets; install Node 20 or newer."; exit 1; }
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || { echo "Node 20 or newer is needed, this is $$(node --version)."; exit 1; }
	@echo "set-up: JS packages (Node $$(node --version))"
	@cd js && npm ci --no-audit --no-fund --silent
	@touch $@

$(STAMPS)/js: js/node_modules/.installed $(shell find js -path js/node_modules -prune -o -type f -print 2>/dev/null) | $(STAMPS)/venv
	@echo "set-up: widgets"
	@cd js && npm run --silent build
	@touch $@

# In a container people are often root, which Jupyter wants to be told.
lab: setup
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/01_first_adaptive_experiment.ipynb

# Small enough for two cores; the notebook's own size is larger.
demo: export PYTYCHE_INITIAL_VISITORS ?= 2000
demo: setup
	@$(BIN)/python notebooks/run_demo.py

test:
	@start=$$SECONDS; \
	$(MAKE) setup; $(MAKE) check; $(MAKE) test-js; $(MAKE) test-python; $(MAKE) test-notebooks; $(MAKE) test-browser; \
	echo "make test: everything passed in $$((SECONDS - start)) s"

# Cheapest first.
check: setup
	@echo "== ruff"; $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "== import arrows"; $(BIN)/lint-imports --no-logo
	@echo "== mypy"; $(BIN)/mypy
	@echo "== TypeScript"; cd js && npm run --silent typecheck

test-js: setup
	@echo "== JS unit tests"; cd js && npm test --silent

test-python: setup
	@echo "== engine, lab and server tests"; $(BIN)/python tests/engine/databases.py
	@$(BIN)/pytest -q tests/engine tests/lab tests/server

# Small rounds: the notebooks read this for the size of their first one. Their registry is their own.
test-notebooks: setup
	@echo "== notebooks"
	@$(if $(PYTYCHE_HILLSTROM),,echo "notebook 02 left out: set PYTYCHE_HILLSTROM to the CSV of Hillstrom's trial";) \
	rm -rf build/jupyter-data; JUPYTER_DATA_DIR=$(CURDIR)/build/jupyter-data \
	PYTYCHE_INITIAL_VISITORS=1000 $(BIN)/pytest -q --nbval-lax --nbval-current-env --nbval-cell-timeout=900 \
		$(if $(PYTYCHE_HILLSTROM),,--ignore=notebooks/02_replay_hillstrom.ipynb) notebooks

test-browser: setup
	@echo "== browser tests"; $(BIN)/python tests/browser/chromium.py; $(BIN)/pytest -q tests/browser

screenshots: setup
	@$(BIN)/python tests/browser/chromium.py; $(BIN)/python tests/browser/screenshots.py

bench: setup
	@for part in main_job sampler peers decisions classic console; do echo "== $$part"; $(BIN)/python benchmarks/bench_$$part.py; done
	@echo "== cockpit"; $(BIN)/python benchmarks/bench_cockpit.py --record
	@for study in coverage options; do $(BIN)/python benchmarks/bench_coverage.py $$study --minutes 90 --record; done
	@for part in policies trials intervals; do echo "== $$part"; $(BIN)/python benchmarks/bench_$$part.py --minutes 90 --record; done
	@$(BIN)/python benchmarks/bench_calibration.py coverage sweep killed cluster --record
	@$(BIN)/python benchmarks/chart.py
	@$(MAKE) figures

figures: setup
	@$(BIN)/python benchmarks/figures.py

clean:
	rm -rf .venv js/node_modules pytyche_lab/static build dist demo.html
