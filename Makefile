# `make` lists the targets. Everything is done in .venv; nothing outside this folder but recprofile's cache is written.

VENV     := .venv
BIN      := $(VENV)/bin
JOBS     ?= 2
ARGS     ?=
PEERS    := .peers
BENCH    := .bench
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)
PIP      := $(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet --constraint constraints.txt
PIP_BENCH := $(BENCH)/bin/python -m pip --disable-pip-version-check install --quiet --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint types layers spelling fragments pages docs fuzz crash recipes accuracy bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/installed ## make .venv with recprofile, its plugins and the tools (again only when their lists change)

# torch comes first and by itself: where a CPU build of it lies at hand, pip then takes that one and no CUDA packages.
$(VENV)/installed: constraints.txt $(PROJECTS)
	@PYTHON="$(PYTHON)" sh .ci/venv $(VENV)
	@echo 'installing the packages of constraints.txt; the first time this takes some minutes'
	@$(PIP) pip
	@$(PIP) torch
	@$(PIP) --build-constraint constraints.txt $(patsubst %pyproject.toml,--editable ./%,$(PROJECTS)) --group dev
	@touch $@

demo: install ## fetch MovieLens-100K and a sentence encoder (once), run recipes/quickstart.yaml, say where the report is
	$(BIN)/recprofile run recipes/quickstart.yaml $(ARGS)

test: install ## run every test; ARGS='-k word' picks some, JOBS=0 runs them in one process
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: lint types layers spelling fragments docs test ## all that CI checks; run it before every push

lint: install ## format and rules (ruff); `.venv/bin/ruff format` and `.venv/bin/ruff check --fix` mend most
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## mypy --strict on recprofile and the plugins
	$(BIN)/mypy

layers: install ## who may import whom (import-linter)
	$(BIN)/lint-imports --no-logo

spelling: install ## codespell on everything written
	$(BIN)/codespell

fragments: ## names in changes/: <issue>.<added|changed|fixed|removed|security>.md
	@wrong=$$(ls changes | grep -vxE 'README\.md|[0-9]+\.(added|changed|fixed|removed|security)\.md'); \
	if [ -n "$$wrong" ]; then echo "changes/: wrongly named, see changes/README.md:" $$wrong; exit 1; fi

pages: install ## write the generated parts of docs/ again: do it after a change of a model, component, command or error
	$(BIN)/python -m scripts.docs

docs: install ## hold docs/ against what is generated, then build the site in site/
	$(BIN)/python -m scripts.docs --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

fuzz: install ## 10,000 random and mutated recipes through validate, 500 random tables through run; prints its counts
	$(BIN)/python -m scripts.fuzz $(ARGS)

crash: install ## kill updates of a profile store 200 times and count what is lost (5 minutes)
	$(BIN)/python benchmarks/crash.py $(ARGS)

recipes: install ## run every recipe in recipes/
	$(BIN)/python -m scripts.digits
	@set -e; for recipe in recipes/*.yaml; do echo "$$recipe"; $(BIN)/recprofile run "$$recipe"; done

accuracy: install $(PEERS)/installed ## our recipes on MovieLens-100K beside other libraries (15 minutes); ARGS=--write puts it into docs/
	$(BIN)/python benchmarks/accuracy.py $(ARGS)

$(PEERS)/installed: benchmarks/peers/requirements.txt
	@PYTHON="$(PYTHON)" sh .ci/venv $(PEERS)
	@echo 'installing the libraries to compare with'
	@$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet --quiet --requirement benchmarks/peers/requirements.txt
	@touch $@

bench: $(BENCH)/installed ## speed and memory beside other libraries, at 10 million events; see docs/performance.md
	$(BENCH)/bin/python -m benchmarks.speed $(ARGS)

# torch first, as above; recprofile and its plugins as they stand here, and what they are compared with in one process.
$(BENCH)/installed: constraints.txt $(PROJECTS) benchmarks/peers/speed.txt
	@PYTHON="$(PYTHON)" sh .ci/venv $(BENCH)
	@echo 'installing recprofile and the libraries to compare with; the first time this takes some minutes'
	@$(PIP_BENCH) torch
	@$(PIP_BENCH) $(patsubst %pyproject.toml,--editable ./%,$(PROJECTS))
	@$(PIP_BENCH) --requirement benchmarks/peers/speed.txt
	@touch $@

clean: ## remove .venv, caches and run folders
	rm -rf $(VENV) $(PEERS) $(BENCH) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist site runs recipes/runs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
