# The two commands to know: `make demo` (no root) and `make lab` (root on Debian 12). `ONCE=1` ends them by themselves.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup packages demo lab test lint format docs bench lock wheel clean

BIN := .venv/bin
ONCE_FLAG := $(if $(filter-out 0,$(ONCE)),--once)
# Two workers: every lab runs on one of them (group "labs", see tests/conftest.py), the others on both.
WORKERS ?= 2
T ?=

help:  ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup:  ## Make .venv with everything in it; runs nothing
	@deploy/setup

packages:  ## Install the Debian packages of the real parts (as root), or say which are missing
	@deploy/packages

demo: setup  ## The whole loop on loopback: no root (ONCE=1 ends by itself)
	@$(BIN)/trunkline demo $(ONCE_FLAG)

lab: setup  ## The same on real routers and a real BNG: root on Debian 12 (ONCE=1 ends by itself)
	@if [ "$$(id -u)" != 0 ]; then echo "make lab needs root: it makes network namespaces; run: sudo make lab" >&2; exit 3; fi
	deploy/packages
	$(BIN)/trunkline lab $(ONCE_FLAG)

test: setup  ## All tests (as root also those on real parts); T="tests/core -k money" picks some
	@deploy/packages
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(T)

lint: setup  ## ruff, mypy, import contracts, documents
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.documents

format: setup  ## Let ruff lay out the code
	@$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: setup  ## Write docs/reference from the code
	@$(BIN)/python -m tests.documents --write

bench: setup  ## Times, as tables (B="index" picks some)
	@$(BIN)/python -m bench $(B)

lock:  ## Resolve pyproject.toml into requirements/*.lock (hashes, no addresses)
	@[ -x $(BIN)/uv ] || deploy/setup
	requirements/compile

wheel: setup  ## Build dist/*.whl
	@$(BIN)/python -m pip wheel --quiet --no-index --no-build-isolation --no-deps --wheel-dir dist .

clean:  ## Remove caches and what was built; keeps .venv
	@rm -rf dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
