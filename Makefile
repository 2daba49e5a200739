# make demo   see agents act in containers, monitors judge every call, traces stored
# make test   all tests but the long ones on gVisor and those that measure time
# make test-perf    tests that measure time, one after the other
# make coverage     branches that a part of the tests takes; make test-rest plays the others
# make test-gvisor  those: contract and attack suites under runsc
# make check  format, lint, types, import contracts, docs
# make bench  speed and memory, side by side with bare docker and bare processes
# make bench-peers  the same workload in Inspect

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CACHE := .cache
USUAL := not load and not perf and not gvisor
# Tracing branches nearly doubles the processor time of tests (102 s became 194 s): so a part of them.
COVERED := tests/agents tests/cli/test_commands.py tests/detectors tests/gate tests/runs tests/scenario \
  tests/trace tests/views
# Tests wait for containers and processes now and then: one more than there are processors.
WORKERS := $(shell n=$$(( $$(nproc) + 1 )); echo $$(( n < 8 ? n : 8 )))

.PHONY: demo test test-rest coverage test-perf test-gvisor check format bench bench-peers image clean

demo: $(VENV)/.run
	@$(BIN)/sandbox --store $(CACHE)/demo.db run scenarios/demo.yaml --model scripted/unsafe --model scripted/safe --isolation bubblewrap
	@echo
	@echo "Two scripted models, every danger with its benign twin. The same with a model of yours:"
	@echo "  $(BIN)/sandbox run scenarios/demo.yaml --model ollama/llama3.1"
	@echo "  $(BIN)/sandbox --store $(CACHE)/demo.db runs list"

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "$(USUAL)"

test-rest: $(VENV)/.dev
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "$(USUAL)" $(addprefix --ignore=,$(COVERED))

coverage: $(VENV)/.dev
	@rm -rf $(CACHE)/coverage && mkdir -p $(CACHE)/coverage
	@$(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadgroup -m "$(USUAL)" $(COVERED)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-perf: $(VENV)/.dev
	@$(BIN)/python -m pytest -m perf

test-gvisor: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/contract tests/attacks -m gvisor

check: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mypy --explicit-package-bases tools/*.py monitors/*.py
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/check-docs
	@$(BIN)/python scripts/check-words
	@$(BIN)/sandbox monitor check --json > /dev/null || $(BIN)/sandbox monitor check
	@$(BIN)/python scripts/attack-table

format: $(VENV)/.dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only --quiet .

bench: $(VENV)/.dev
	@$(BIN)/python bench/run.py

bench-peers: $(VENV)/.dev $(CACHE)/peers/.done
	@$(BIN)/python bench/peers.py $(CACHE)/peers/bin/python

image: $(VENV)/.run
	@$(BIN)/sandbox image build --debian

$(VENV)/bin/python:
	@scripts/prepare
	@python3 -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	@scripts/prepare
	@echo "installing the package and what it needs into $(VENV)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "installing what its tests need"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

$(CACHE)/peers/.done:
	@mkdir -p $(CACHE)
	@python3 -m venv $(CACHE)/peers
	@echo "installing Inspect into $(CACHE)/peers"
	@$(CACHE)/peers/bin/python -m pip --disable-pip-version-check --quiet install inspect-ai
	@touch $@

clean:
	@rm -rf $(VENV) $(CACHE) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
