# Everything Python lies in .venv. A stamp per set-up step: what is up to date is skipped.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
DEMO_ARGS ?=
PYTEST_ARGS ?=
AUDIT ?=

.PHONY: help setup demo check test format lock clean outside

help: ## what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 16

setup: .venv/installed.stamp ## the environment, in .venv

demo: setup ## the whole way on the simulated lender; DEMO_ARGS="--lender home-credit --source DIR" for real records
	@$(BIN)/lendwell demo $(DEMO_ARGS)

check: setup ## formatting, lint, types, direction of imports, spelling, lock, known vulnerabilities
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "Run: make format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports > .venv/lint-imports.txt || { cat .venv/lint-imports.txt >&2; exit 1; }
	@$(BIN)/codespell
	@for notebook in $(NOTEBOOKS); do \
		$(BIN)/nbstripout --verify "$$notebook" || { echo "Run: make format" >&2; exit 1; }; \
	done
	@$(BIN)/python .ci/check_lock.py
	@$(BIN)/python .ci/audit.py $(AUDIT)
	@echo "All checks passed."

test: setup outside ## all tests, two at a time; PYTEST_ARGS="tests/features -k bureau" for some
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

format: setup ## format the code, empty the notebooks
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format
	@for notebook in $(NOTEBOOKS); do $(BIN)/nbstripout "$$notebook"; done

# PyTorch is resolved as its CPU build and pinned without the local version, which only its own index knows: 2.13.0,
# not 2.13.0+cpu. Out of reach of that index, with the wheel at hand and `torch==2.13.0+cpu` in a file:
# make lock LOCK_ARGS="--find-links FOLDER_OF_THE_WHEEL --constraint FILE"
LOCK_ARGS ?= --torch-backend cpu
lock: setup ## resolve the dependencies anew, keeping what still fits; UPGRADE=--upgrade for the newest
	@$(BIN)/uv --version > /dev/null 2>&1 || $(PIP) install uv
	@$(BIN)/uv pip compile pyproject.toml --all-extras --python-version 3.11 $(LOCK_ARGS) \
		--no-annotate --no-header --quiet $(UPGRADE) --output-file requirements.lock
	@sed -i.old 's/+cpu$$//' requirements.lock && rm requirements.lock.old
	@$(BIN)/python .ci/check_lock.py

clean: ## remove the environment, caches and what the demo wrote
	@rm -rf .venv demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/created.stamp:
	@python=$$(for name in python3.11 python3 python3.12 python3.13; do \
		"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo "$$name" && break; \
	done) || { echo "Lendwell needs Python 3.11 or newer: install python3.11, then run make again." >&2; exit 1; }; \
	echo "Making .venv with $$python ..."; "$$python" -m venv .venv
	@touch $@

.venv/locked.stamp: .venv/created.stamp requirements.lock
	@echo "Installing requirements.lock into .venv, a few minutes when it is new ..."
	@$(PIP) install -r requirements.lock
	@touch $@

.venv/installed.stamp: .venv/locked.stamp pyproject.toml
	@$(PIP) install --no-deps -e .
	@touch $@

# The report's tests look at it in a browser, and Spark needs Java. Without root to install them, those tests are skipped.
outside:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		packages=; \
		command -v chromium chromium-browser google-chrome > /dev/null || packages="chromium fonts-noto-cjk"; \
		command -v java > /dev/null || packages="$$packages openjdk-17-jre-headless"; \
		if [ -n "$$packages" ]; then \
			echo "Installing $${packages# } for the tests ..."; \
			export DEBIAN_FRONTEND=noninteractive; \
			timeout 120 apt-get update -qq > /dev/null 2>&1 || true; \
			for package in $$packages; do \
				timeout 480 apt-get install -yqq --no-install-recommends $$package > /dev/null 2>&1 \
					|| echo "$$package cannot be installed here: the tests that need it are skipped."; \
			done; \
		fi; \
	fi
