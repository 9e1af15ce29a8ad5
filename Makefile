# Needs GNU make, Python 3.11 or newer with its venv module, and (the first time) a package index.

VENV := .venv
BIN := $(VENV)/bin

# The interpreter for .venv. Name another one with `make clean && make setup PYTHON=python3.12`.
PYTHON ?=
# Tried in this order when none is named.
PYTHONS := python3.13 python3.12 python3.11 python3

# Options for pytest, such as `make test-redis7 PYTEST_ARGS="-k cron"`.
PYTEST_ARGS ?=
# Twice as many test processes as processors: tests wait for servers, workers and leases more than they compute.
export PYTEST_XDIST_AUTO_NUM_WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
# Work is stolen, so that nobody is idle while another has the last long tests before it.
PYTEST = pytest -q -n auto --dist worksteal $(PYTEST_ARGS)
# Markers of what runs without coverage: pyproject.toml says why.
UNTRACED := interrupts or untraced
# What has nothing to do with the kind of server, or brings its own, is tested once, by `make test`.
ONCE := -m "not once" \
	$(addprefix --ignore=tests/,unit typing docs cli embedded demo mutants benchmarks concurrency cache cache_comparison)
# Processes under fault take long; they are tested on Valkey and on the oldest server.
FAULTS := $(addprefix --ignore=tests/,chaos sentinel)

# The tool that resolves requirements.lock; it is installed for `make lock` alone.
UV_VERSION := 0.13.8

# Says where .venv was made and from what. Where, because scripts and editable installs hold absolute paths: a
# copied .venv would run the code of the place it came from.
STAMP := $(VENV)/tidemill-setup
STAMP_TEXT = printf '%s\n' "$(CURDIR)" "$$(cat requirements.lock pyproject.toml | cksum)"

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Pyright's wrapper asks the network for a newer release, unless it is told that nobody wants to know.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# Prints the first interpreter that runs, is new enough and can make a virtual environment. It is run and not
# only looked for, since version managers install launchers for versions that are not there.
FIND_PYTHON = for python in $(or $(PYTHON),$(PYTHONS)); do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$python && break; done

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup install check format demo lock clean
.PHONY: test test-servers test-redis7 test-redis8 test-cluster coverage-html
.PHONY: bench bench-quick bench-setup scenarios concurrency cache properties simulate chaos chaos-drain sentinel mutants

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv with the locked versions; does nothing when it is up to date
	@$(BIN)/python -c '' 2>/dev/null && $(STAMP_TEXT) | cmp -s - $(STAMP) || \
	$(MAKE) --no-print-directory install

# The stamp is gone while anything is being installed, so that a broken-off run is begun anew.
install:
	@if ! $(BIN)/python -c '' 2>/dev/null || ! grep -qsxF "$(CURDIR)" $(STAMP); then \
		python=$$($(FIND_PYTHON)); \
		if [ -z "$$python" ]; then \
			echo "No Python 3.11 or newer that can make a virtual environment was found" \
				"(tried: $(or $(PYTHON),$(PYTHONS)))." >&2; \
			echo "Install one (on Debian: python3 and python3-venv), or name it: make PYTHON=..." >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$python ($$($$python -c 'import platform; print(platform.python_version())'))"; \
		rm -rf $(VENV) && $$python -m venv $(VENV) || exit 1; \
	fi
	@rm -f $(STAMP)
	@echo "Installing the $$(grep -c == requirements.lock) packages of requirements.lock; the first time takes a minute or so"
	@$(BIN)/python -m pip install -qq -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@$(STAMP_TEXT) > $(STAMP)
	@echo "Ready: $(BIN)/tidemill"

check: setup ## Formatting, lint, types (mypy and pyright) and import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

format: setup ## Format the code, and fix what ruff can fix by itself
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

test: setup ## The test suite on the embedded Valkey, with branch coverage of every process
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m $(PYTEST) -m "not ($(UNTRACED))"
	$(BIN)/$(PYTEST) -m "$(UNTRACED)"
	@$(BIN)/coverage combine -q
	$(BIN)/coverage report

test-servers: test-redis7 test-redis8 test-cluster ## The test suite on each of the other servers

test-redis7: setup ## The test suite on Redis 7 (the machine's redis-server)
	TIDEMILL_TEST_SERVER=redis7 $(BIN)/$(PYTEST) $(ONCE)

test-redis8: setup ## The test suite on Redis 8
	TIDEMILL_TEST_SERVER=redis8 $(BIN)/$(PYTEST) $(ONCE) $(FAULTS)

test-cluster: setup ## The test suite on a cluster of one node
	TIDEMILL_TEST_SERVER=cluster $(BIN)/$(PYTEST) $(ONCE) $(FAULTS)

# Those below look for what the test suite, which runs a little of each, has no time to find.

EXAMPLES ?= 1000
properties: setup ## Histories of script calls against a model: EXAMPLES=1000
	TIDEMILL_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q -o faulthandler_timeout=0 --timeout 0 tests/properties

SEEDS ?= 2000
simulate: setup ## Deterministic simulation: SEEDS=2000, or SEED=7 to see one history
	PYTHONPATH=tests $(BIN)/python -m simulation --counters $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

SECONDS ?= 60
SERVER ?= valkey
chaos: setup ## Faults for real processes: SECONDS=60 SEED=1 SERVER=valkey (or redis7, redis8, cluster)
	$(BIN)/python tests/chaos/run.py --seconds $(SECONDS) --seed $(or $(SEED),1) --server $(SERVER)

JOBS ?= 100000
chaos-drain: setup ## Memory before and after a drain with faults: JOBS=100000 SERVER=valkey
	$(BIN)/python tests/chaos/run.py --jobs $(JOBS) --seed $(or $(SEED),1) --server $(SERVER)

sentinel: setup ## What a failover loses at each durability level: SERVER=valkey
	TIDEMILL_TEST_SERVER=$(SERVER) $(BIN)/python tests/sentinel/measure.py

mutants: setup ## Planted bugs, each of which a layer must catch
	PYTHONPATH=tests $(BIN)/python -m mutants

# The figures of a full run stand in docs/performance.md. ONLY="drain idle" measures these alone; JOBS=1000000 is the
# largest backlog.
BENCH = PYTHONPATH=tests $(BIN)/python -m benchmarks --server $(SERVER) $(addprefix --only=,$(ONLY))
bench: bench-setup ## Benchmarks beside their limits and the peers, in ten to fifteen minutes: ONLY="drain idle"
	$(if $(filter command line,$(origin JOBS)),JOBS=$(JOBS)) $(BENCH) \
		$(if $(ONLY),,--plots docs/images --markdown docs/performance.md)

bench-quick: bench-setup ## Every benchmark with small counts, in a minute: shows that they run, not how fast
	$(BENCH) --quick

# A stamp of its own: even with nothing to do, pip takes longer than most of the quick measurements.
BENCH_STAMP := $(VENV)/tidemill-bench-setup

scenarios: bench-setup ## Flow control on real processes, checked and drawn: SERVER=valkey ONLY=overload
	PYTHONPATH=tests $(BIN)/python -m scenarios --server $(SERVER) --plots docs/images $(if $(ONLY),--only $(ONLY))

concurrency: bench-setup ## Algorithms of concurrency limits in simulated worlds: writes docs/concurrency.md and its plots
	PYTHONPATH=tests $(BIN)/python -m concurrency --markdown docs/concurrency.md --plots docs/images

# Without TRACES, only those that are made by rule are compared. REFERENCE=policies.py has more policies to compare with.
cache: bench-setup ## The worker's cache beside other policies: writes docs/cache.md and its plots: TRACES=DIRECTORY
	PYTHONPATH=tests $(BIN)/python -m cache_comparison --markdown docs/cache.md --plots docs/images \
		$(addprefix --traces=,$(TRACES)) $(addprefix --reference=,$(REFERENCE))

bench-setup: setup
	@$(STAMP_TEXT) | cmp -s - $(BENCH_STAMP) || { \
		$(BIN)/python -m pip install -qq --no-build-isolation --constraint requirements.lock --editable ".[bench]" && \
		$(STAMP_TEXT) > $(BENCH_STAMP); }

coverage-html: setup ## The last test run's coverage as pages, line by line
	@$(BIN)/coverage html -q --fail-under=0
	@echo "Open htmlcov/index.html"

demo: setup ## Index Python's standard library with scheduler, workers, retries and dead letters
	@$(BIN)/tidemill demo

# Versions that still fit are kept; UPGRADE=1 takes the newest of everything.
lock: setup ## Write the lock files anew from pyproject.toml (UPGRADE=1: newest versions)
	@$(BIN)/python -m pip install -qq --target $(VENV)/uv --upgrade uv==$(UV_VERSION)
	@$(COMPILE) --extra dev $(if $(UPGRADE),--upgrade) --output-file requirements.lock pyproject.toml
	@$(COMPILE) --constraint requirements.lock --output-file compose/requirements.lock pyproject.toml

COMPILE = $(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-annotate \
	--custom-compile-command "make lock"

clean: ## Remove .venv, caches and reports; jobs in .tidemill are kept
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf build dist htmlcov
	find producers consumers scheduler tests -name __pycache__ -type d -prune -exec rm -rf {} +
