# One machine: everything is installed in .venv, everything that is kept lies under PIPELINE_HOME (./var).

# The interpreter that .venv is made with: 3.11 or newer.
PYTHON ?= python3
# The environment of the peers, where there is one: `make .venv-peers`.
PEERS ?= $(wildcard .venv-peers)
# Where torch comes from, unless pip finds a wheel of it on this machine. The default has no CUDA and is small.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

BIN := .venv/bin
TORCH := $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' requirements.txt)
# Stamps. Each carries the digest of the files that it stands for, so that a changed file means another stamp and a new
# installation.
INSTALLED := .venv/.installed-$(shell cksum < requirements.txt | tr ' ' '-')
INSTALLED_DEV := .venv/.installed-dev-$(shell cat requirements.txt requirements-dev.txt | cksum | tr ' ' '-')
# The package itself, editable: its version, its requirements and its command `closing-bell`.
PROJECT := .venv/.project-$(shell cat pyproject.toml pipeline/__init__.py | cksum | tr ' ' '-')
DEV := $(INSTALLED_DEV) $(PROJECT)
# Quiet except for errors. A lock is also its own constraint: otherwise older versions of pip look for the newest version of
# a package that is required with an extra.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# One worker per core, and none for one named file (tests/conftest.py).
WORKERS := -n logical --dist worksteal
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate

COMPOSE := COMMIT="$$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)" docker compose

.DEFAULT_GOAL := help
.PHONY: help run stop status install install-dev wheel secrets up down backup restore docs check test test-slow test-fire \
	test-browser test-wheel test-distributed bench bench-store bench-training bench-skill bench-stack audit scan lock

help: ## list the targets
	@echo 'Usage: make TARGET [VARIABLE=VALUE]...'
	@awk 'BEGIN { FS = ":.*## " } \
	/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	/^[a-z.-]+:.*## / { printf "  make %-16s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables, all optional'
	@echo '  of make run:   AS_OF=2013-02-28 SYMBOLS=AAPL,IBM SOURCE=sample FILES=prices.csv NETWORK=rnn LATEST=1'
	@echo '                 AIRFLOW_PORT=8080 MLFLOW_PORT=5000'
	@echo '  of the tests and benchmarks:   ARGS="-k gate"'
	@echo '  of make bench-skill:   FILES=prices.parquet EVENTS=events.csv FROM=2020-06-01 TO=2023-06-30'
	@echo '  PIPELINE_* are read from the environment or from .env.'

##@ One machine

run: $(PROJECT) ## install, start Airflow and MLflow, do one daily run and show the forecasts
	@$(BIN)/python -m local run

stop: ## end all processes of this set-up, including those left by a crash
	@if [ -e $(BIN)/python ]; then $(BIN)/python -m local stop; else echo 'nothing is installed, nothing is running'; fi

status: $(PROJECT) ## show the state of each service
	@$(BIN)/python -m local status

install: $(PROJECT) ## create .venv with the locked packages and the command closing-bell

##@ Many machines (Docker compose)

secrets: ## add missing passwords and keys for docker-compose.yml to .env
	@$(PYTHON) docker/make_secrets.py

up: ## build the images, start all services and wait until they are healthy
	@$(COMPOSE) config --quiet
	@$(COMPOSE) build --quiet
	@$(COMPOSE) up --detach --wait --wait-timeout 900
	@$(COMPOSE) ps --format 'table {{.Service}}\t{{.Status}}\t{{.Ports}}'

down: ## stop the services; their data stay in volumes
	@$(COMPOSE) down

backup: ## copy the data of the running stack to backups/, or to BACKUP=FOLDER
	@docker/backup.sh $(BACKUP)

restore: ## restore a back-up into an empty stack: BACKUP=FOLDER
	@docker/restore.sh "$(BACKUP)"

##@ Development

install-dev: $(DEV) ## add the tools of tests and checks to .venv

docs: $(DEV) ## write the layout of the package into docs/architecture.md
	@$(BIN)/python -m tools.layout

check: $(DEV) ## ruff, mypy, import-linter, retired words, the layout page
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.wording
	@$(BIN)/python -m tools.layout --check

test: $(DEV) ## run the fast tests on all cores (4 minutes)
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-slow: $(DEV) ## real processes, several days in a row, every cut-off point (3 minutes)
	@$(BIN)/python -m pytest -m slow $(WORKERS) $(ARGS)

test-fire: $(DEV) ## store: kill -9, full disks, concurrent writers, a real PostgreSQL (minutes)
	@$(BIN)/python -m pytest -m fire $(ARGS)

test-browser: $(DEV) ## Airflow and MLflow in a headless Chromium (2 minutes)
	@$(BIN)/python -m pytest -m browser $(ARGS)

test-distributed: $(DEV) ## the stack of docker-compose.yml with failures injected (30 minutes, Docker)
	@$(BIN)/python -m pytest -m distributed $(ARGS)

test-wheel: $(DEV) ## build the wheel, install it without the checkout and use it (2 minutes)
	@$(BIN)/python -m pytest -m wheel $(ARGS)

wheel: $(PROJECT) ## build the wheel and the source distribution into dist/
	@$(BIN)/python -m hatchling build --clean

##@ Benchmarks

bench: bench-store bench-training ## bench-store and bench-training

bench-store: $(DEV) ## store: appends, as-of reads, unchanged days; ARGS=--quick for small sizes
	@$(BIN)/python -m benchmarks $(ARGS)

bench-training: $(DEV) ## training against a plain loop; also against peers after make .venv-peers
	@$(BIN)/python -m benchmarks.training $(if $(PEERS),--peers $(PEERS)/bin/python) $(ARGS)

bench-skill: $(DEV) ## forecast skill, also of peers after make .venv-peers (hours; ARGS=--quick)
	@$(BIN)/python -m benchmarks.skill $(if $(PEERS),--peers $(PEERS)/bin/python) $(if $(FILES),--files $(FILES)) \
	$(if $(EVENTS),--events $(EVENTS)) $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO)) $(ARGS)

bench-stack: $(DEV) ## 500 symbols a day through the stack (10 minutes, Docker)
	@$(BIN)/python -m benchmarks.stack $(ARGS)

.venv-peers: ## create the environment of the peers for bench-training and bench-skill
	@$(PYTHON) -m venv $@
	@$@/bin/python -m pip -q install --no-index --no-deps $(TORCH) 2>/dev/null \
	|| $@/bin/python -m pip -q install --no-deps --index-url $(TORCH_INDEX) $(TORCH)
	@$@/bin/python -m pip -q install -r benchmarks/requirements.txt

##@ Dependencies

audit: ## check the locked packages for known vulnerabilities (pip-audit)
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; "$$tools/bin/python" -m pip --disable-pip-version-check -qq install pip-audit; \
	for lock in requirements.txt docker/airflow.txt docker/mlflow.txt; do \
	"$$tools/bin/pip-audit" --progress-spinner off --disable-pip --require-hashes -r $$lock; done

scan: ## check the built images for outdated packages (Debian, trivy)
	@docker/scan.sh

lock: ## compile the locks from pyproject.toml and docker/*.in
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; "$$tools/bin/python" -m pip --disable-pip-version-check -qq install uv; \
	PATH="$$tools/bin:$$PATH"; export UV_CUSTOM_COMPILE_COMMAND='make lock'; \
	$(LOCK) -o requirements.txt pyproject.toml --extra airflow --group services --group build; \
	$(LOCK) -o requirements-dev.txt --group dev -c requirements.txt; \
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

$(PROJECT): $(INSTALLED)
	@rm -f .venv/.project-*
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
