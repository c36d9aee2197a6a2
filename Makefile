# Bare `make` prints this page. Everything runs in .venv, which the first target that needs it creates.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	command -v $$python >/dev/null 2>&1 && $$python -c '' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
# Found by their first lines, since most have no suffix.
SHELL_SCRIPTS := $$(git grep -lE '^(\#!.*sh$$|\# shellcheck shell=)')
SHELLCHECK := PATH="$(BIN):$$PATH" shellcheck
SHFMT := $(BIN)/shfmt --indent 4 --case-indent
# Two workers, each with a Postgres and a Spark. Each takes its half of the tests, then from the end of the other half.
IN_PARALLEL := --numprocesses 2 --dist worksteal

# On the stack, the pipeline's command line runs in a container; nothing is installed here.
ifeq ($(TARGET),docker)
LAKEHOUSE := docker compose run --rm cli
LAKEHOUSE_TO_FILE := docker compose run --rm -T cli
else
LAKEHOUSE := $(BIN)/lakehouse
endif

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run status sql report stop doctor test test-quick test-nightly test-mutants lint format docs bench clean \
	up down logs ps backfill backup restore psql credentials new-secret fake-slack images base-image sbom bundle load-bundle \
	insights pictures powerbi test-powerbi test-stack bench-stack bench-airflow bench-backlog

##@ Use it
run: $(if $(filter docker,$(TARGET)),,setup)  ## Process DATA=path (folder, files or zip); without DATA, a small generated source
	@$(if $(filter docker,$(TARGET)),stack/run $(DATA),$(LAKEHOUSE) run $(if $(DATA),$(DATA),--demo))

status: $(if $(filter docker,$(TARGET)),,setup)  ## Show what is loaded, what is pending and why
	@$(LAKEHOUSE) status

sql: $(if $(filter docker,$(TARGET)),,setup)  ## Query the marts: make sql QUERY="select count(*) from marts.fct_orders"
	@$(LAKEHOUSE) sql "$(QUERY)"

report: $(if $(filter docker,$(TARGET)),,setup)  ## Write the report, a page that any browser opens; OPEN=1 shows it
	@$(if $(filter docker,$(TARGET)),$(LAKEHOUSE_TO_FILE) report --output - >report.html && echo report.html,$(LAKEHOUSE) report $(if $(OPEN),--open))

doctor: $(if $(filter docker,$(TARGET)),,setup)  ## Check this machine, or with TARGET=docker the stack, and say what to fix
	@$(LAKEHOUSE) doctor
	@$(if $(filter docker,$(TARGET)),stack/neighbours,:)

stop: setup  ## Stop the embedded warehouse (its data stays)
	@$(BIN)/lakehouse stop

clean:  ## Remove all data of the embedded target, its warehouse and .venv
	@if [ -x $(BIN)/lakehouse ]; then $(BIN)/lakehouse clean --yes; fi
	@rm -rf .lakehouse .venv dist dbt/target dbt/logs .pytest_cache .mypy_cache .ruff_cache .hypothesis

##@ The stack: everything in Docker (docs/stack.md)
up:  ## Build what is missing, start everything, wait until healthy; then: make run TARGET=docker
	@stack/up

down:  ## Stop the stack (its data stays)
	@docker compose --profile '*' down

logs:  ## Follow the logs of all services, or of one: make logs SERVICE=postgres
	@docker compose logs --follow --tail 100 $(SERVICE)

ps:  ## Show the state of each service
	@docker compose ps --all --format 'table {{.Service}}\t{{.Status}}\t{{.Ports}}'

backfill:  ## Process the landed batches of a range again, through Airflow: make backfill FROM=2018-01-01 TO=2018-03-31
	@stack/backfill $(FROM) $(TO)

psql:  ## Open psql in the stack's warehouse, as the role bi_reader
	@stack/psql

backup:  ## Save everything that the stack keeps to a new folder; stops and restarts the stack: make backup DIR=backups/monday
	@stack/backup $(DIR)

restore:  ## Restore a backup where there is no stack: make restore DIR=backups/monday, then make up
	@stack/restore $(DIR)

credentials:  ## Print the address, user and password of each service
	@stack/addresses --passwords

new-secret:  ## Forget a generated secret: make new-secret NAME=loader_password; then `make up` generates and distributes a new one
	@docker compose run --rm --no-deps -T secrets-init forget $(NAME)

fake-slack:  ## Run a local substitute for Slack and show the messages it receives; prints what to put into secrets/slack_webhook
	@$(if $(PYTHON),$(PYTHON) stack/fake_slack.py $(if $(PORT),--port $(PORT)),echo "python3 is needed." >&2; exit 1)

images:  ## Build all images (what has not changed comes from the cache) and print their sizes
	@stack/images

base-image:  ## Make the base image from Debian's packages, for a machine that cannot reach a registry
	@stack/base-image --make

bundle:  ## Pack images and project into an archive in dist/, for a machine without a network
	@stack/bundle

sbom:  ## List the packages in each image as CycloneDX, in dist/sbom (a bundle contains the lists)
	@stack/sbom

load-bundle:  ## Load the images of an unpacked bundle; then: make up
	@stack/load-bundle

##@ Work on it
setup:  ## Create .venv from uv.lock (targets that need it do so themselves)
	@$(if $(PYTHON),$(PYTHON) bootstrap.py,echo "Python 3.11 to 3.13 is needed, no python3 was found." >&2; exit 1)

setup-dev:  ## Create .venv with the tools of test and lint, too
	@$(if $(PYTHON),$(PYTHON) bootstrap.py --dev,echo "Python 3.11 to 3.13 is needed, no python3 was found." >&2; exit 1)

test-quick: setup-dev  ## Find a typo in half a minute: ruff, then the unit tests to the first failure beside mypy, sqlfluff last
	@$(BIN)/ruff check .
	@$(BIN)/mypy --no-error-summary & types=$$!; \
		$(BIN)/pytest $(IN_PARALLEL) -m "not nightly" -x -q tests/unit $(ARGS); tests=$$?; \
		wait $$types && exit $$tests
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt/models dbt/analyses dbt/tests

test: setup-dev  ## Run all tests but those of the whole stack; without Docker some are skipped
	@$(BIN)/pytest $(IN_PARALLEL) -m "not nightly" $(ARGS)

test-nightly: setup-dev  ## Run all tests, also the long ones and those of the stack
	@stack/images
	@$(BIN)/pytest $(IN_PARALLEL) $(ARGS)
	@$(BIN)/pytest tests/stack $(ARGS)

test-stack: setup-dev  ## Test the stack: from nothing to the marts, faults, Airflow, messages (builds images, takes forty minutes)
	@stack/images
	@$(BIN)/pytest tests/stack -m "not nightly" $(ARGS)

test-mutants: setup-dev  ## Apply each defect kept in tests/mutants to a copy; its tests must fail (minutes; ARGS="--list", names, --changed-since)
	@$(BIN)/python -m tools.mutants $(ARGS)

lint: setup-dev  ## Check Python, shell, Dockerfiles, workflows and SQL, and that the models would run on Redshift
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python tools/lint/words.py
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	@$(SHFMT) --diff $(SHELL_SCRIPTS)
	@if $(SHELLCHECK) --version >/dev/null 2>&1; then $(SHELLCHECK) $(SHELL_SCRIPTS); \
		else echo "shellcheck did not run: install this system's package of it (PyPI has none for this processor)." >&2; fi
	@$(BIN)/hadolint $$(git ls-files '*Dockerfile')
	@$(BIN)/zizmor --offline --quiet .github
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt/models dbt/analyses dbt/tests
	@$(BIN)/sqlfluff lint --disable-progress-bar --config report/sqlfluff.cfg report/insights
	@$(BIN)/python dbt/lint_portability.py

format: setup-dev  ## Format the code with ruff, shfmt and sqlfluff
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(SHFMT) --write $(SHELL_SCRIPTS)
	@$(BIN)/sqlfluff fix --quiet dbt/models dbt/analyses dbt/tests
	@$(BIN)/sqlfluff fix --quiet --config report/sqlfluff.cfg report/insights

docs: setup-dev  ## Regenerate the generated pages of docs/ and dbt's sources files
	@$(BIN)/python -m tools.generate

pictures: setup-dev  ## Write docs/pictures again: without DATA the diagrams; with DATA=archive.zip all, on a run and a stack of its own
	@$(BIN)/python -m tools.pictures $(ARGS) $(if $(DATA),--data $(DATA))

insights: setup-dev  ## Write docs/insights.md and the README's findings again; LAKEHOUSE_WORKSPACE names one with the Olist archive
	@$(BIN)/python -m tools.insights

powerbi: setup-dev  ## Write the Power BI project powerbi/ again, from report/ and dbt's yml files
	@$(BIN)/python -m tools.powerbi

test-powerbi: setup-dev  ## Check powerbi/ with Microsoft's tools, which it fetches for these tests only
	@$(BIN)/python -m tools.powerbi.checks.toolbox
	@$(BIN)/pytest tests/powerbi $(ARGS)

bench: setup-dev  ## Measure the pipeline; results go to benchmarks/results.md (twenty minutes; ARGS=--quick takes five)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-stack: setup-dev  ## Measure the stack: build, start, memory, the real archive (ten minutes; ARGS=--cold builds from nothing)
	@$(BIN)/python -m benchmarks.stack $(ARGS)

bench-airflow: setup-dev  ## Measure Airflow: a day to the marts, its own share, an empty day, memory (ten minutes)
	@$(BIN)/python -m benchmarks.airflow

bench-backlog: setup-dev  ## Measure Airflow: 30 and 60 batches that were dropped together (forty minutes)
	@$(BIN)/python -m benchmarks.airflow_backlog

##@ Variables: make TARGET NAME=value
## DATA    What `run` processes: a folder, CSV files or a zip; several in quotes (paths without spaces). Unset: a small generated source. For `pictures`, the Olist archive
## QUERY   The statement that `sql` runs
## OPEN    1: `report` opens the page in the browser
## TARGET   docker: on the stack instead of on this machine (run, status, sql, doctor)
## SERVICE  The only service whose logs to follow
## FROM     First day of a backfill, YYYY-MM-DD
## TO       Its last day
## DIR      The folder of the backup
## NAME     The secret to forget
## PORT     Where `fake-slack` listens. Unset: 8099
## ARGS    Arguments for pytest, the mutants, the benchmark or the pictures: ARGS="tests/unit -x", ARGS=--list, ARGS=--quick, ARGS=diagrams
## PYTHON  The Python to make .venv with, 3.11 to 3.13: PYTHON=python3.12. Unset: the newest on the PATH

##@ Help
help:  ## Print this page
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^## [A-Z]+ / {split($$0, word, " "); sub(/^## [A-Z]+ +/, ""); printf "  \033[36m%-14s\033[0m %s\n", word[2], $$0} \
		/^[a-z-]+:.*## / {printf "  \033[36m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
