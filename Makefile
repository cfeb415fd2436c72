# Two commands: `make demo` runs the main job, `make test` passes the tests. Each sets up all that it needs in .venv.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test lab bench check format clean

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(READY): requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/jupyter labextension disable "@jupyterlab/apputils-extension:announcements" --level=sys_prefix >/dev/null 2>&1
	touch $@

demo: $(READY)  ## start the sandbox, run the notebooks headless, show findings and reports
	$(BIN)/python -m netkit demo

test: $(READY) check  ## lint, types, all tests, every notebook
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

lab: $(READY)  ## JupyterLab at 00_start_here, on this machine only
	$(BIN)/jupyter lab --ip=127.0.0.1 --LabApp.news_url="" --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate notebooks/00_start_here.ipynb

bench: $(READY)  ## ours beside its peers, as ratios
	$(BIN)/python -m bench

check: $(READY)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## format and sort
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove runs, caches and the environment
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
