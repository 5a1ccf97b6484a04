# Every target sets up its own .venv: a fresh machine needs Python 3.11 or newer, and make.

PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m
READY := .venv/.ready
PYTEST := $(RUN) pytest
# Much of what tests do is to wait. Files stay whole; PROCESSES=0 runs one test after the other.
PROCESSES ?= 2
PYTEST_BESIDE := $(PYTEST) --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check types rules format bench bench-forecast faults soak fuzz docs page test-page clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /|/' | while IFS='|' read -r name text; do \
		printf '  make %-14s %s\n' "$$name" "$$text"; done

setup: $(READY) ## set up .venv with everything that development needs

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Outgrow needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv ..."
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@$(RUN) pip install -qq --disable-pip-version-check --constraint constraints.txt pip
	@$(RUN) pip install -qq --constraint constraints.txt --group dev --editable '.[all]'
	@touch $(READY)

demo: $(READY) ## run the example shop, foresee its first limit and measure it: three minutes; DEMO_SECONDS=300 carries out a plan, too
	@$(RUN) examples.demo

test: $(READY) ## the tests, except slow ones and those that need a browser
	@$(PYTEST_BESIDE) -m "not slow and not browser"

test-all: $(READY) ## every test
	@$(PYTEST_BESIDE)

page: $(READY) ## build the page from dashboard/ into the package
	@$(RUN) scripts.page

test-page: $(READY) ## walk every view of the page in Chromium, with axe, and draw its pictures
	@PAGE_PICTURES=1 $(PYTEST) tests/page

check: $(READY) ## lint, format, types, layers and tidiness; under a minute
	@$(MAKE) --no-print-directory -j 2 types rules

# The half of a check that takes the longer, beside the other.
types: $(READY)
	@$(RUN) pyright --warnings --pythonpath $(BIN)/python

rules: $(READY)
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(BIN)/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-cache --no-logo
	@$(PYTEST) tests/tidy

format: $(READY) ## let ruff mend what it can
	@$(RUN) ruff check --fix
	@$(RUN) ruff format

bench: $(READY) ## measure against uvicorn, gunicorn and granian
	@$(RUN) benchmarks

bench-forecast: $(READY) ## forecasts of simulated systems against the truth; BENCH_QUICK=1 takes two minutes
	@$(RUN) benchmarks.forecast

faults: $(READY) ## the long form of the fault tests, with the ledger
	@OUTGROW_FAULTS=long $(PYTEST) tests/faults --timeout 3600 \
		tests/contracts/test_turmoil.py tests/contracts/test_losses.py \
		tests/contracts/test_durable_crashes.py tests/unit/telemetry/archive

soak: $(READY) ## run the shop for an hour under load and unrest: is memory flat? SOAK_SECONDS=120
	@$(RUN) tests.soak

fuzz: $(READY) ## feed the wire with what strangers may send; FUZZ_SECONDS=2000 for 10 million inputs
	@$(RUN) tests.fuzz $(FUZZ_SECONDS)

docs: $(READY) ## write docs/reference and docs/errors from the code
	@$(RUN) scripts.docs

clean: ## remove .venv, caches and built files
	@rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
