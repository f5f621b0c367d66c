# One machine: everything is installed in .venv, everything that is kept lies under PIPELINE_HOME (./var).

# The interpreter that .venv is made with: 3.11 or newer.
PYTHON ?= python3
# The environment of the peers, where there is one: `make .venv-peers`.
PEERS ?= $(wildcard .venv-peers)
# Where torch comes from, unless pip finds a wheel of it on this machine. The default has no CUDA and is small.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

BIN := .venv/bin
TORCH := $(shell grep '^torch==' requirements.in)
# A stamp carries the digest of the lock it stands for: another lock is another stamp, so it is installed.
INSTALLED := .venv/.installed-$(shell cat requirements.in requirements.txt | cksum | tr ' ' '-')
INSTALLED_DEV := .venv/.installed-dev-$(shell cat requirements.txt requirements-dev.txt | cksum | tr ' ' '-')
# Quiet but for errors. A lock is its own constraint too: older versions of pip otherwise look for the newest of a package
# that something wants with an extra.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# One worker per core, and none for one named file (tests/conftest.py).
WORKERS := -n logical --dist worksteal
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate

COMPOSE := COMMIT="$$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)" docker compose

.PHONY: help run stop status install secrets up down backup restore test test-slow test-fire test-browser test-distributed bench bench-store bench-training bench-skill bench-stack check audit scan lock

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-14s %s\n", $$1, $$2 }'
	@echo
	@echo 'make run takes AS_OF=2013-02-28 SYMBOLS=AAPL,IBM SOURCE=sample FILES=prices.csv NETWORK=rnn LATEST=1, all optional,'
	@echo 'and AIRFLOW_PORT=8080 MLFLOW_PORT=5000; everything reads PIPELINE_* from the environment or from .env.'

run: $(INSTALLED) ## set everything up, start Airflow and MLflow, do one daily run and show the forecasts
	@$(BIN)/python -m local run

stop: ## end every process of this set-up, left-overs of a crash included
	@if [ -e $(BIN)/python ]; then $(BIN)/python -m local stop; else echo 'nothing is installed, nothing is running'; fi

status: $(INSTALLED) ## say which services run
	@$(BIN)/python -m local status

install: $(INSTALLED) ## make .venv and install the lock, nothing more

secrets: ## random passwords and keys for docker-compose.yml into .env, for those that are missing
	@$(PYTHON) docker/make_secrets.py

up: ## build docker-compose.yml's images, start all of it, and wait until it is well
	@$(COMPOSE) config --quiet
	@$(COMPOSE) build --quiet
	@$(COMPOSE) up --detach --wait --wait-timeout 900
	@$(COMPOSE) ps --format 'table {{.Service}}\t{{.Status}}\t{{.Ports}}'

down: ## end docker-compose.yml's services; their data stay in volumes
	@$(COMPOSE) down

backup: ## copy what the running stack keeps into backups/, or into BACKUP=FOLDER
	@docker/backup.sh $(BACKUP)

restore: ## bring a back-up into an empty stack: BACKUP=FOLDER
	@docker/restore.sh "$(BACKUP)"

test: $(INSTALLED_DEV) ## run the tests on all cores; ARGS='-k gate' is passed on to pytest
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-slow: $(INSTALLED_DEV) ## what `make test` leaves out: real processes, days on end, every cut-off point; minutes
	@$(BIN)/python -m pytest -m slow $(WORKERS) $(ARGS)

test-fire: $(INSTALLED_DEV) ## the store under fire: kill -9, full disks, many writers, a real PostgreSQL
	@$(BIN)/python -m pytest -m fire $(ARGS)

test-browser: $(INSTALLED_DEV) ## Airflow and MLflow as a person sees them, in a headless Chromium; two minutes
	@$(BIN)/python -m pytest -m browser $(ARGS)

test-distributed: $(INSTALLED_DEV) ## docker-compose.yml's stack with plugs pulled; half an hour, needs a Docker engine
	@$(BIN)/python -m pytest -m distributed $(ARGS)

bench: bench-store bench-training ## measure everything: the store, then training beside others

bench-store: $(INSTALLED_DEV) ## the store: appends, as-of reads, unchanged days; ARGS='--quick' for small sizes
	@$(BIN)/python -m benchmarks $(ARGS)

bench-training: $(INSTALLED_DEV) ## training beside the usual loop, and beside neuralforecast and darts after make .venv-peers
	@$(BIN)/python -m benchmarks.training $(if $(PEERS),--peers $(PEERS)/bin/python) $(ARGS)

bench-skill: $(INSTALLED_DEV) ## how well it forecasts, beside peers after make .venv-peers; hours, or ARGS='--quick'
	@$(BIN)/python -m benchmarks.skill $(if $(PEERS),--peers $(PEERS)/bin/python) $(ARGS)

bench-stack: $(INSTALLED_DEV) ## 500 symbols a day through docker-compose.yml's stack; ten minutes, needs a Docker engine
	@$(BIN)/python -m benchmarks.stack $(ARGS)

.venv-peers: ## the environment of the peers that training and skill are measured beside
	@$(PYTHON) -m venv $@
	@$@/bin/python -m pip -q install --no-index --no-deps $(TORCH) 2>/dev/null \
	|| $@/bin/python -m pip -q install --no-deps --index-url $(TORCH_INDEX) $(TORCH)
	@$@/bin/python -m pip -q install -r benchmarks/requirements.txt

check: $(INSTALLED_DEV) ## ruff, mypy and import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: ## look the locked packages up among known weaknesses (pip-audit)
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; "$$tools/bin/python" -m pip --disable-pip-version-check -qq install pip-audit; \
	for lock in requirements.txt docker/airflow.txt docker/mlflow.txt; do \
	"$$tools/bin/pip-audit" --progress-spinner off --disable-pip --require-hashes -r $$lock; done

scan: ## look the packages of the built images up: newer ones in Debian, and what trivy finds where it is installed
	@docker/scan.sh

lock: ## renew the locks from their .in files
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; "$$tools/bin/python" -m pip --disable-pip-version-check -qq install uv; \
	PATH="$$tools/bin:$$PATH"; export UV_CUSTOM_COMPILE_COMMAND='make lock'; \
	$(LOCK) -o requirements.txt requirements.in; \
	$(LOCK) -o requirements-dev.txt requirements-dev.in; \
	$(LOCK) -o docker/mlflow.txt docker/mlflow.in; \
	$(LOCK) -o docker/airflow.txt docker/airflow.in

$(INSTALLED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo 'error: $(PYTHON) is missing or older than Python 3.11; name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; \
	exit 1; }
	@echo 'installing requirements.txt into .venv, which takes some minutes the first time'
	@rm -f .venv/.installed-*
	@$(PYTHON) -m venv .venv
	@$(PIP) install --no-index --no-deps $(TORCH) 2>/dev/null \
	|| $(PIP) install --no-deps --index-url $(TORCH_INDEX) $(TORCH)
	@$(PIP) install --require-hashes -r requirements.txt -c requirements.txt
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	@echo 'installing requirements-dev.txt'
	@$(PIP) install --require-hashes -r requirements-dev.txt -c requirements-dev.txt
	@touch $@
