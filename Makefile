# Everything runs inside .venv, which the first target that needs it makes.
PYTHON ?= $(shell sh -c 'command -v python3.11 || command -v python3')
VENV := .venv
BIN := $(VENV)/bin
STORAGE ?= runs

.PHONY: run test lint docs clean venv

run: venv  ## the main job on real data: three datasets, local Ray, results in ./runs
	$(BIN)/python jobs/full_grid.py --profile laptop --storage $(STORAGE)

test: venv  ## all tests: first one a core, then those that start clusters, two at a time
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not ray"
	$(BIN)/python -m pytest -n 2 --dist loadfile -m ray

lint: venv  ## style, format, types, imports that point down only, unsafe calls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --severity-level medium --configfile pyproject.toml erase_ray jobs

docs: venv  ## the documentation as a site, build/site/index.html; needs no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open build/site/index.html"

venv: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "erase_ray needs Python 3.11 or newer; run: make PYTHON=/path/to/python3.11"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,dev]'
	touch $@

clean:  ## remove the environment and caches; results in ./runs stay
	rm -rf $(VENV) build .pytest_cache .ruff_cache .hypothesis erase_ray.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
