# Bare `make` prints this page. Everything runs in .venv, which the first target that needs it creates.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	command -v $$python >/dev/null 2>&1 && $$python -c '' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
LAKEHOUSE := $(BIN)/lakehouse
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run status sql stop doctor test test-nightly lint format docs bench clean

##@ Use it
run: setup  ## Bring DATA=path (folder, files or zip) through the pipeline; without DATA, a small generated source
	@$(LAKEHOUSE) run $(if $(DATA),$(DATA),--demo)

status: setup  ## What is loaded, what is pending and why
	@$(LAKEHOUSE) status

sql: setup  ## Ask the marts: make sql QUERY="select count(*) from marts.fct_orders"
	@$(LAKEHOUSE) sql "$(QUERY)"

doctor: setup  ## Check this machine and say what to mend
	@$(LAKEHOUSE) doctor

stop: setup  ## Stop the embedded warehouse (its data stays)
	@$(LAKEHOUSE) stop

clean:  ## Remove all data, the warehouse and .venv
	@if [ -x $(LAKEHOUSE) ]; then $(LAKEHOUSE) clean --yes; fi
	@rm -rf .lakehouse .venv dist dbt/target dbt/logs .pytest_cache .mypy_cache .ruff_cache .hypothesis

##@ Work on it
setup:  ## Create .venv from uv.lock (other targets do it by themselves)
	@$(if $(PYTHON),$(PYTHON) bootstrap.py,echo "Python 3.11 to 3.13 is needed, no python3 was found." >&2; exit 1)

setup-dev:  ## The same, with the tools of test and lint
	@$(if $(PYTHON),$(PYTHON) bootstrap.py --dev,echo "Python 3.11 to 3.13 is needed, no python3 was found." >&2; exit 1)

test: setup-dev  ## All tests that need no Docker
	@$(BIN)/pytest -m "not nightly" $(ARGS)

test-nightly: setup-dev  ## Those that take long, too
	@$(BIN)/pytest $(ARGS)

lint: setup-dev  ## ruff, mypy --strict, sqlfluff, and whether the models would run on Redshift
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt/models dbt/analyses dbt/tests
	@$(BIN)/python dbt/lint_portability.py

format: setup-dev  ## Let ruff and sqlfluff format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/sqlfluff fix --quiet dbt/models dbt/analyses dbt/tests

docs: setup-dev  ## Write the generated pages of docs/ and dbt's sources files anew
	@$(LAKEHOUSE) docs

bench: setup-dev  ## Measure; results go to benchmarks/results.md (twenty minutes; ARGS=--quick takes five)
	@$(BIN)/python -m benchmarks $(ARGS)

##@ Variables: make TARGET NAME=value
## DATA    What `run` takes in: a folder, CSV files or a zip; several in quotes (paths without spaces). Unset: a small generated source
## QUERY   The statement that `sql` asks
## ARGS    Arguments for pytest or the benchmark: ARGS="tests/unit -x", ARGS=--quick
## PYTHON  The Python to make .venv with, 3.11 to 3.13: PYTHON=python3.12. Unset: the newest on the PATH

##@ Help
help:  ## This page
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^## [A-Z]+ / {split($$0, word, " "); sub(/^## [A-Z]+ +/, ""); printf "  \033[36m%-14s\033[0m %s\n", word[2], $$0} \
		/^[a-z-]+:.*## / {printf "  \033[36m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
