# Everything starts here: `make help` lists what there is.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all models sources docs lint format reference typecheck benchmark clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment is made anew whenever what it is made from changes.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "segbench needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

install: $(VENV)/.installed ## make the environment in .venv (a few minutes: PyTorch is large)

demo: install ## train a small U-Net on cells drawn by code and show the result (under 5 minutes)
	$(BIN)/python -m segbench experiment=demo

test: install ## the tests (under 10 minutes on two cores)
	$(BIN)/python -m pytest -n auto

test-all: install ## also the slow tests
	$(BIN)/python -m pytest -n auto -m "not slurm and not gpu"

models: install ## write docs/models.md, the table of all models (minutes)
	$(BIN)/python docs/models.py

sources: install ## write docs/data-sources.md: where each data set comes from
	$(BIN)/python docs/data_sources.py

docs: install ## the site, in site/: strictly, offline, links checked
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: install ## style, and which room imports from which, as the gate checks them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo

format: install ## put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: install ## write docs/reference.md: every key, its type, default and meaning
	$(BIN)/python -m segbench.commands.reference_page > docs/reference.md

typecheck: install ## types, as the gate checks them
	$(BIN)/mypy

benchmark: install ## run every benchmark; figures are in benchmarks/RESULTS.md
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## remove the environment and all caches of tools (not runs/)
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache .mypy_cache .hypothesis
