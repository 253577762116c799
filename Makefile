# Every target does its own set-up. Works with GNU make 3.81 (macOS) and POSIX sh.
#
#   PYTHON=/path/to/python3.12   the interpreter for a new .venv (otherwise one is looked for)
#   ARGS="..."                   passed on to what the target runs
#   JOBS=4                       how many test processes; one per processor without it

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check --quiet
JOBS ?= logical

# A stamp says "installed for this pyproject.toml". The install is editable, so changed sources need none.
RUNTIME := $(VENV)/.installed-runtime
DEV     := $(VENV)/.installed-dev

.PHONY: help serve test check snapshots format bench browser clean

help:
	@echo 'make serve      start the sandbox on http://127.0.0.1:8080'
	@echo 'make test       run all tests, in parallel; ARGS="-k ledger" narrows them'
	@echo 'make check      lint, formatting, types, import rules, generated files'
	@echo 'make snapshots  write the generated files anew (openapi.json, docs/settings.md, schema SQL)'
	@echo 'make format     let ruff format and mend what it can'
	@echo 'make bench      measure'
	@echo 'make clean      remove .venv and caches'

serve: $(RUNTIME)
	@exec $(BIN)/gerbang demo $(ARGS)

test: $(DEV) browser
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m gerbang.snapshots --check

snapshots: $(DEV)
	$(BIN)/python -m gerbang.snapshots

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV)
	$(BIN)/python -m benchmarks $(ARGS)

browser: $(DEV)
	@$(BIN)/python scripts/ensure_browser.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache

# Make follows the link, so an interpreter that was removed from the machine counts as missing and .venv is made anew.
$(BIN)/python:
	@sh scripts/make_venv.sh $(VENV)

$(RUNTIME): pyproject.toml | $(BIN)/python
	@echo 'Installing Gerbang into $(VENV) ...'
	@$(PIP) install -e .
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	@echo 'Installing Gerbang and its test tools into $(VENV) ...'
	@$(PIP) install -e '.[dev]'
	@touch $@ $(RUNTIME)
