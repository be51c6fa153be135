# `make demo` and `make test` do all set-up themselves. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
PYTHON_LIB := python3.11
BIN := .venv/bin

# No telemetry, from any process started here.
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export EVIDENTLY_DISABLE_TELEMETRY := 1
export DAGSTER_DISABLE_TELEMETRY := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

.PHONY: setup
setup: .venv/installed .venv-triton/installed ## both environments, from the hashed locks

.venv/installed: requirements.lock
	@echo "Setting up .venv from requirements.lock (a few minutes, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@pwd > .venv/lib/$(PYTHON_LIB)/site-packages/drift-platform.pth  # an editable install that needs no build tool
	@touch $@

.venv-triton/installed: triton_models/requirements.lock
	@echo "Setting up .venv-triton from triton_models/requirements.lock"
	@$(PYTHON) -m venv .venv-triton
	@.venv-triton/bin/pip install --quiet --require-hashes -r triton_models/requirements.lock
	@touch $@
