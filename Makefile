# `make demo` and `make test` do all set-up themselves. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTHON_LIB := python3.11
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q
PYTEST_BESIDE := $(PYTEST) --numprocesses auto --maxprocesses 4

# Absolute, whatever was given: Dagster refuses a relative home. The shell resolves it, for make's abspath splits at spaces.
override PLATFORM_HOME := $(shell realpath -m -- '$(or $(PLATFORM_HOME),$(CURDIR)/.local)')
export PLATFORM_HOME
export DAGSTER_HOME := $(PLATFORM_HOME)/dagster
# Compiled modules are kept: the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE
# No telemetry, from any process started here.
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export EVIDENTLY_DISABLE_TELEMETRY := 1
export DAGSTER_DISABLE_TELEMETRY := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

.PHONY: demo
demo: setup ## the whole loop on real flights, told step by step
	@$(BIN)/python -m orchestration.demo

.PHONY: up
up: setup ## start the platform on this machine; Ctrl-C stops it
	@$(BIN)/python -m orchestration.embedded

.PHONY: train
train: setup ## ingest January to April, train, publish and serve the champion; the platform may be up or not
	@$(BIN)/python -m orchestration.embedded --run bash -euc ' \
	  $(BIN)/dagster asset materialize -m orchestration.definitions --partition-range 2013-01-01...2013-05-02 \
	    --select raw_flights,raw_weather,feature_views,training_rows; \
	  $(BIN)/dagster asset materialize -m orchestration.definitions \
	    --select feature_registry,champion_model,champion_on_triton,baseline_arm'

.PHONY: serve
serve: setup ## the gateway alone, in the foreground (needs Redis and Triton); CANARY_SPLIT=0.2 is applied once, before
	@$(BIN)/python -m serving_gateway.canary_split "$${CANARY_SPLIT-}"
	@$(BIN)/python -m serving_gateway

.PHONY: backtest
backtest: setup ## the year 2013 through the platform's own decisions, ten faults included, into docs/evidence.md; a quarter of an hour
	@$(BIN)/python -m orchestration.backtest

# No set-up first: whoever looks into a running platform must not rebuild the environment it runs in.
.PHONY: doctor
doctor: ## look at every part of the running platform; docs/runbook.md goes on from there
	@$(BIN)/python -m orchestration.doctor

# As with doctor, no set-up first.
.PHONY: backup
backup: ## back up PLATFORM_HOME, while the platform runs or not, into TO= (a folder; else beside the home)
	@$(BIN)/python -m orchestration.backup create $${TO:+--folder "$$TO"}

.PHONY: restore
restore: setup ## bring the backup FROM= (its folder, or its name) back into an empty PLATFORM_HOME
	@$(BIN)/python -m orchestration.backup restore "$${FROM:?say which backup: make restore FROM=...}"

.PHONY: simulate
simulate: setup ## the error rates of the tests by simulation, into docs/evidence.md; RUNS=1000, some minutes
	@$(BIN)/python -m orchestration.rollout.simulation --runs $(or $(RUNS),1000)

# A client without an engine is common: ask the engine.
define require_docker
docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1 || \
  { echo "No Docker engine with compose answers here. The same platform runs without Docker: make up" >&2; exit 1; }
endef

# One of the two profiles starts Triton; models are configured for where it runs.
WITH_TRITON = $(if $(filter 1,$(GPU)),COMPOSE_PROFILES=gpu TRITON_BACKENDS=gpu,COMPOSE_PROFILES=cpu)

.PHONY: compose-up
compose-up: ## the platform as containers (needs Docker with compose); GPU=1: Triton on a GPU; `make up` needs neither
	@$(require_docker)
	@sh orchestration/container/secrets.sh
	@$(WITH_TRITON) docker compose up --build --detach --wait

.PHONY: compose-down
compose-down: ## stop the containers; what they know stays in their volumes
	@$(require_docker)
	@docker compose --profile '*' down

.PHONY: test
test: check test-unit test-integration test-e2e ## everything that CI runs

.PHONY: check
check: setup ## format, lint, types, import rules
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: test-unit
test-unit: setup prometheus ## pure and fast
	@$(PYTEST_BESIDE) -m "not integration and not e2e and not regression and not full"

.PHONY: test-integration
test-integration: setup prometheus postgres ## each part against real Redis, Triton, MLflow
	@$(PYTEST_BESIDE) -m "integration and not full"

.PHONY: test-regression
test-regression: setup ## the champion against the metric gates, and a drift report; after `make train`
	@$(BIN)/python -m orchestration.embedded --run $(BIN)/python -m pytest -q -m regression tests/regression

.PHONY: test-e2e
test-e2e: setup chromium prometheus ## the whole stack, the demo included
	@$(PYTEST) --numprocesses 3 -m "e2e and not full"

.PHONY: test-full
test-full: setup prometheus postgres ## what is too long for every change: a whole year in one run, and the like
	@$(PYTEST) -m full

.PHONY: bench
bench: bench-gateway bench-features ## both benchmarks, a quarter of an hour; BENCH= takes options that both know

.PHONY: bench-gateway
bench-gateway: setup bench-tools .venv-bench/installed ## the gateway beside direct Triton, nginx and FastAPI, in minutes; BENCH=--help lists options
	@$(BIN)/python -m tests.bench.gateway $(BENCH)

.PHONY: bench-features
bench-features: setup ## reads, writes and joins of features beside Feast's own, in minutes; BENCH=--help lists options
	@$(BIN)/python -m tests.bench.features $(BENCH)

# Without nginx its targets are skipped by name, without wrk all. Debian starts nginx when it installs it: not wanted here.
.PHONY: bench-tools
bench-tools:
	@missing="$$(command -v wrk >/dev/null || echo wrk; PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || echo nginx)"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ]; then \
	  echo "Installing" $$missing; apt-get update -qq && apt-get install -qq -y $$missing >/dev/null; \
	  case "$$missing" in *nginx*) systemctl disable --quiet --now nginx 2>/dev/null || true;; esac; \
	elif [ -n "$$missing" ]; then \
	  echo "Not everything will be measured. As root: apt-get install" $$missing; \
	fi

.PHONY: screenshots
screenshots: setup chromium ## pictures of the running platform's Dagster and of the gateway's page, into docs/images
	@$(BIN)/python -m tests.e2e.screenshots

# Chromium draws the screenshots; without it their tests are skipped by name.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && echo "Installing chromium" && \
	  apt-get update -qq && apt-get install -qq -y chromium >/dev/null; } || \
	  echo "No chromium: what draws pictures is skipped. As root: apt-get install chromium"

# Prometheus and Alertmanager; without them the platform runs, and nobody is told of an alert. Debian starts them when it
# installs them, on ports that the platform's own want: not wanted here.
.PHONY: prometheus
prometheus:
	@missing="$$(command -v prometheus >/dev/null || echo prometheus; command -v prometheus-alertmanager alertmanager >/dev/null || echo prometheus-alertmanager)"; \
	[ -z "$$missing" ] || { [ "$$(id -u)" = 0 ] && echo "Installing" $$missing && \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null && \
	  { systemctl disable --quiet --now $$missing 2>/dev/null || true; }; } || \
	  echo "No alerts: what needs them is skipped. As root: apt-get install" $$missing

# What Dagster's and MLflow's databases are in the containers; here only a test of theirs needs it. Debian starts a server
# when it installs one: not wanted here.
POSTGRES_BIN := $(firstword $(wildcard /usr/lib/postgresql/*/bin))

.PHONY: postgres
postgres:
	@PATH="$$PATH:$(POSTGRES_BIN)" command -v initdb >/dev/null || { [ "$$(id -u)" = 0 ] && echo "Installing postgresql" && \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends postgresql >/dev/null && \
	  { systemctl disable --quiet --now postgresql 2>/dev/null || true; }; } || \
	  echo "No PostgreSQL: the containers' services are not started as processes. As root: apt-get install postgresql"

# What Python's wheels do not carry: LightGBM's OpenMP, the shared Python that Triton's backend embeds.
define missing_packages
$(PYTHON) -c 'import ensurepip' 2>/dev/null || echo python3.11-venv; \
$(PYTHON) -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null || echo libgomp1; \
$(PYTHON) -c 'import ctypes, sysconfig; ctypes.CDLL(sysconfig.get_config_var("LIBDIR") + "/libpython3.11.so.1.0")' 2>/dev/null || echo libpython3.11
endef

.PHONY: system-packages
system-packages: ## what Debian must provide; installed when root
	@missing="$$($(missing_packages))"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ]; then \
	  echo "Installing" $$missing; apt-get update -qq && apt-get install -qq -y $$missing >/dev/null; \
	elif [ -n "$$missing" ]; then \
	  echo "Missing Debian packages; as root: apt-get install" $$missing; exit 1; \
	fi

.PHONY: setup
setup: .venv/installed .venv-triton/installed ## both environments, from the hashed locks

# --no-deps: a lock is complete, and older pips stumble over the extras that its packages ask of one another.
.venv/installed: requirements.lock | system-packages
	@echo "Setting up .venv from requirements.lock (a minute or two, once)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv  # one interpreter for its lifetime, whichever PATH finds later
	@$(BIN)/pip install --quiet --use-pep517 --no-deps --require-hashes -r requirements.lock
	@pwd > .venv/lib/$(PYTHON_LIB)/site-packages/drift-platform.pth  # an editable install that needs no build tool
	@touch $@

.venv-triton/installed: triton_models/requirements.lock | system-packages
	@echo "Setting up .venv-triton from triton_models/requirements.lock"
	@[ -x .venv-triton/bin/python ] || $(PYTHON) -m venv .venv-triton
	@.venv-triton/bin/pip install --quiet --use-pep517 --no-deps --require-hashes -r triton_models/requirements.lock
	@touch $@

.venv-bench/installed: requirements-bench.lock
	@echo "Setting up .venv-bench from requirements-bench.lock"
	@[ -x .venv-bench/bin/python ] || $(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --use-pep517 --no-deps --require-hashes -r requirements-bench.lock
	@touch $@
