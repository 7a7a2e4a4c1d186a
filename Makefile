# Every target does its own set-up; a second run finds it done.
#   make lab      JupyterLab on the first notebook
#   make demo     the first notebook in this terminal, and demo.html
#   make test     every check and test
#   make docs     the documentation in build/docs
#   make test-wheel   the wheel in a clean environment, without Node
#   make screenshots  pictures of every widget in build/screenshots, and the README's
#   make bench    the benchmarks; results go to benchmarks/results/
#   make figures  all measured figures, what falls short first
#   make setup    only the set-up
#   make test-versions  the fast tests on the lowest and newest dependencies, other Pythons, ipykernel 7.3 and 7.4
#   make audit    known weaknesses of our code, of what it depends on and of what ships
#   make fuzz     files that are not what they should be, for MINUTES=2
#   make stress   50 fits started, paused and cancelled at random
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

# JAX compiles once, not once a run, nor once a process: small programs are kept too.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.venv/cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
# A test run must not depend on what else this machine has learnt.
export PYTHONHASHSEED := 0
# Tests compile many programs and run each for a moment: with fewer optimisations that takes less.
QUICK_COMPILE := XLA_FLAGS="$(XLA_FLAGS) --xla_backend_optimization_level=1"
# Tests run side by side, but not so many that their fits fill the memory.
SIDE_BY_SIDE := --numprocesses=auto --maxprocesses=4
# The data of notebooks 02 and 09, where they lie beside the checkout.
export PYTYCHE_HILLSTROM ?= $(wildcard $(abspath ../shared/data/hillstrom/hillstrom.csv.gz))
export PYTYCHE_SOCIAL_PRESSURE ?= $(wildcard $(abspath ../shared/data/social_pressure/social.parquet))

.PHONY: setup lab demo test check test-python test-notebooks test-js test-browser test-wheel \
	test-versions audit fuzz stress docs docs-links screenshots bench figures clean

setup: $(STAMPS)/js $(STAMPS)/python

$(STAMPS)/venv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found."; exit 1; }
	@echo "set-up: virtual environment in .venv ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv .venv || { echo "python -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

# The JS build is a step of its own here, so pip need not do it. It comes first: pip copies the tile of
# JupyterLab's launcher to where JupyterLab looks, and again when it is another one.
$(STAMPS)/python: $(STAMPS)/venv pyproject.toml hatch_build.py $(wildcard jupyter-config/*/*) $(wildcard js/src/launcher_tile/*) | $(STAMPS)/js
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
	$(MAKE) setup; $(MAKE) check; $(MAKE) docs; $(MAKE) test-js; $(MAKE) test-python; $(MAKE) test-notebooks; \
	$(MAKE) test-browser; \
	echo "make test: everything passed in $$((SECONDS - start)) s"

# Cheapest first.
check: setup
	@echo "== ruff"; $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "== import arrows"; $(BIN)/lint-imports --no-logo
	@echo "== mypy"; $(BIN)/mypy
	@echo "== bandit"; $(BIN)/bandit -q -c pyproject.toml -r engine pytyche_lab
	@echo "== TypeScript"; cd js && npm run --silent lint && npm run --silent typecheck

test-js: setup
	@echo "== JS unit tests"; cd js && npm test --silent

test-python: setup
	@echo "== engine, lab, server and trust tests"; $(BIN)/python tests/engine/databases.py
	@$(QUICK_COMPILE) $(BIN)/pytest -q --durations=12 $(SIDE_BY_SIDE) --dist loadfile --no-loadscope-reorder tests/engine tests/lab tests/server tests/trust

# Small rounds: the notebooks read this for the size of their first one. Their registry is their own.
test-notebooks: setup
	@echo "== notebooks"
	@$(if $(PYTYCHE_HILLSTROM),,echo "notebook 02 left out: set PYTYCHE_HILLSTROM to the CSV of Hillstrom's trial";) \
	$(if $(PYTYCHE_SOCIAL_PRESSURE),,echo "notebook 09 left out: set PYTYCHE_SOCIAL_PRESSURE to the turnout trial's Parquet";) \
	rm -rf build/jupyter-data; JUPYTER_DATA_DIR=$(CURDIR)/build/jupyter-data \
	PYTYCHE_INITIAL_VISITORS=1000 PYTYCHE_SOCIAL_PRESSURE_ROWS=1000 $(QUICK_COMPILE) $(BIN)/pytest -q --durations=12 $(SIDE_BY_SIDE) --dist loadfile --nbval-lax --nbval-current-env --nbval-cell-timeout=900 \
		$(if $(PYTYCHE_HILLSTROM),,--ignore=notebooks/02_replay_hillstrom.ipynb) \
		$(if $(PYTYCHE_SOCIAL_PRESSURE),,--ignore=notebooks/09_real_data_at_scale.ipynb) notebooks

test-browser: setup pytyche_lab/static/docs/index.html
	@echo "== browser tests"; $(BIN)/python tests/browser/chromium.py; $(BIN)/pytest -q tests/browser

# What `make test` has no time for: a new environment. NOTEBOOKS="01 05" runs these, not only the first.
test-wheel: setup docs
	@echo "== the wheel, elsewhere"; $(BIN)/python tests/wheel/try_wheel.py $(NOTEBOOKS)

$(STAMPS)/docs: $(STAMPS)/python
	@echo "set-up: Python packages for the documentation"
	@PYTYCHE_SKIP_JS=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

# A warning is an error, a link to a page that is not there too. Widgets lead to the package's copy.
docs: setup $(STAMPS)/docs
	@echo "== documentation"; rm -rf build/docs; $(BIN)/python -m sphinx -q -W --keep-going -b html -d build/doctrees docs build/docs
	@rm -rf pytyche_lab/static/docs; cp -r build/docs pytyche_lab/static/docs
	@echo "build/docs/index.html"

# For what needs the package's copy, but not that of this minute.
pytyche_lab/static/docs/index.html:
	@$(MAKE) docs

# Pages of others; without a network this only says so.
docs-links: setup $(STAMPS)/docs
	@$(BIN)/python -m sphinx -q -b linkcheck docs build/links || \
		echo "Some pages of others were not reached; build/links/output.txt says which."

test-versions: setup
	@$(QUICK_COMPILE) $(BIN)/python tests/versions.py lowest newest ipykernel-7.3 ipykernel-7.4
	@$(QUICK_COMPILE) $(BIN)/python tests/versions.py newest --python 3.12 --python 3.13

# What asks a service says so where there is none to ask, and goes on.
audit: setup
	@echo "== bandit"; $(BIN)/bandit -q -c pyproject.toml -r engine pytyche_lab
	@echo "== pip-audit"; mkdir -p build; \
	$(BIN)/pip-audit --skip-editable --progress-spinner off > build/pip-audit.txt 2>&1 || \
		{ grep -q "known vulnerabilit" build/pip-audit.txt && cat build/pip-audit.txt && exit 1; \
		echo "audit: NOT DONE: the service that knows of weaknesses in Python packages cannot be reached"; }; \
	unknown=$$(grep -c "could not be audited" build/pip-audit.txt || true); \
	test "$$unknown" = 0 || echo "audit: NOT DONE for $$unknown Python packages that the service does not know; see build/pip-audit.txt"
	@echo "== npm audit of what ships"; cd js && npm audit --omit=dev > ../build/npm-audit.txt 2>&1 || \
		{ grep -qE "[0-9]+ .*vulnerabilit" ../build/npm-audit.txt && cat ../build/npm-audit.txt && exit 1; \
		echo "audit: NOT DONE: the service that knows of weaknesses in JS packages gave no answer"; }

MINUTES ?= 2
fuzz: setup
	@$(BIN)/python tests/trust/fuzz.py --minutes $(MINUTES)

stress: setup
	@PYTYCHE_STRESS=50 $(BIN)/pytest -q -s tests/trust/test_stress.py

screenshots: setup
	@$(BIN)/python tests/browser/chromium.py; $(BIN)/python tests/browser/screenshots.py

bench: setup
	@for part in main_job sampler peers decisions classic console release; do echo "== $$part"; $(BIN)/python benchmarks/bench_$$part.py; done
	@for part in cockpit trust; do echo "== $$part"; $(BIN)/python benchmarks/bench_$$part.py --record; done
	@for study in coverage options; do $(BIN)/python benchmarks/bench_coverage.py $$study --minutes 90 --record; done
	@for part in policies trials intervals; do echo "== $$part"; $(BIN)/python benchmarks/bench_$$part.py --minutes 90 --record; done
	@$(BIN)/python benchmarks/bench_calibration.py coverage sweep killed cluster --record
	@$(BIN)/python benchmarks/peers_chart.py
	@$(MAKE) figures

figures: setup
	@$(BIN)/python benchmarks/figures.py

clean:
	rm -rf .venv js/node_modules pytyche_lab/static pytyche_lab/labextension build dist demo.html
