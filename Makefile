# Every target does its own set-up. Works with GNU make 3.81 (macOS) and POSIX sh.
#
#   PYTHON=/path/to/python3.12   the interpreter for a new .venv (otherwise one is looked for)
#   ARGS="..."                   passed on to what the target runs
#   JOBS=4                       how many test processes; three for two processors without it, for they wait as well

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check --quiet
JOBS ?= $(shell expr \( $$(getconf _NPROCESSORS_ONLN) \* 3 + 1 \) / 2)

# Neighbours share a process, and with it the gateways and browsers that stand already.
SHARED := -n $(JOBS) --dist worksteal
ATTACKS := tests/attacks tests/test_sandbox_guard.py tests/test_guard.py tests/test_connections.py tests/test_fair_delivery.py \
  tests/test_outages.py tests/test_unstorable.py tests/test_strict_control.py tests/test_secrets_scan.py tests/test_wallet.py \
  tests/journeys/test_clocks_that_differ.py tests/journeys/test_stopping.py \
  src/gerbang/channels/ovo/test_signing.py src/gerbang/channels/credit_card/test_numbers_elsewhere.py \
  tests/test_lock_order.py tests/journeys/test_card_twins.py

# The tests start some three hundred Pythons; each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

# A stamp says "installed for this pyproject.toml". The install is editable, so changed sources need none.
RUNTIME := $(VENV)/.installed-runtime
DEV     := $(VENV)/.installed-dev

.PHONY: help serve test quick proof prove-attacks check snapshots format bench browser clean

help:
	@echo 'make serve      start the sandbox on http://127.0.0.1:8080'
	@echo 'make test       run all tests, in parallel; ARGS="-k ledger" narrows them'
	@echo 'make quick      those that need no browser, no PostgreSQL, no kills and no waiting: for the inner loop'
	@echo 'make proof      the long ones: many kills, long outages, thousands of dead endpoints'
	@echo 'make prove-attacks  what was tried against it: foreign pages, forged pushes, guessing, endless requests, outages, wrong clocks'
	@echo 'make check      lint, formatting, types, import rules, generated files'
	@echo 'make snapshots  write the generated files anew (openapi.json, docs/settings.md, schema SQL)'
	@echo 'make format     let ruff format and mend what it can'
	@echo 'make bench      measure'
	@echo 'make clean      remove .venv and caches'

serve: $(RUNTIME)
	@exec $(BIN)/gerbang demo $(ARGS)

test: $(DEV) browser
	$(BIN)/python -m pytest $(SHARED) -m 'not proof and not attack' --durations=10 $(ARGS)

quick: $(DEV)
	$(BIN)/python -m pytest $(SHARED) -m 'not browser and not postgres and not kills and not slow and not proof and not attack' --durations=10 $(ARGS)

proof: $(DEV) browser
	$(BIN)/python -m pytest -n 2 -m proof --durations=10 $(ARGS)

prove-attacks: $(DEV) browser
	$(BIN)/python -m pytest $(SHARED) -m 'not proof' --durations=10 $(ATTACKS) $(ARGS)

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
