# Two commands: `make demo` runs the main job, `make test` passes the tests. Each sets up all that it needs in .venv.
# PYTHON: any from 3.11 on; the first of these that runs, is new enough and can make an environment.
PYTHON ?= $(shell for one in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$one -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$one && break; done)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test test-quick lab docs bench check format lock dist clean

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(READY): requirements.txt pyproject.toml setup.py
	@test -n "$(PYTHON)" || { echo "no Python from 3.11 on with venv and ensurepip was found; next: make PYTHON=/path/to/python3"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(READY)  ## start the sandbox, run the notebooks headless, show findings and reports
	$(BIN)/netkit demo

test: $(READY) check  ## lint, types, all tests, every notebook
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

test-quick: $(READY) check  ## what a change of a line wants: lint, types, the tests without sandbox, kernel or browser
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --quick

lab: $(READY)  ## JupyterLab over this folder, at 00_start_here, on this machine only
	$(BIN)/netkit lab

docs: $(READY)  ## the documentation in site/, with a run of each notebook in the sandbox; opens from the disk
	$(BIN)/python docs/build.py

bench: $(READY)  ## ours beside its peers, as ratios
	$(BIN)/python -m bench

trino: $(READY)  ## all VPC queries on a real Trino beside DuckDB; skipped without Maven or a JDK from 24 on (JAVA_HOME)
	$(BIN)/python -m bench.trino

check: $(READY)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## format and sort
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY)  ## requirements.txt anew, with hashes, for Python 3.11 to 3.14; keeps the versions it has
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --all-extras --generate-hashes --no-annotate \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet -o requirements.txt

dist: $(READY)  ## the wheel and the source archive, in dist/
	rm -rf build
	$(BIN)/python -c 'import setuptools.build_meta as build; build.build_sdist("dist")' >/dev/null
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

clean:  ## remove runs, caches and the environment
	rm -rf .venv runs site build .pytest_cache .mypy_cache .ruff_cache .hypothesis
