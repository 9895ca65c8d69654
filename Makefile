SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV_STAMP := .venv/.installed
EXPLORER_STAMP := graph/static/explorer/explorer.html
NODE_TESTS_STAMP := tests/node/node_modules/.installed

.PHONY: help install run test check bench soak screenshots lock services clean

help: ## List what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
		printf 'make %-9s %s\n' "$$name" "$$text"; done

install: $(VENV_STAMP) $(EXPLORER_STAMP) ## Everything the project needs, in .venv, graph/static and dashboard/assets/uplot

run: install ## Start the API and the dashboard (ARGS="..." go to `process-monitor up`)
	@exec .venv/bin/process-monitor up $(ARGS)

test: install services $(NODE_TESTS_STAMP) ## The whole suite against real MariaDB, Redis and Chromium (ARGS="..." go to pytest)
	@.venv/bin/pytest $(ARGS)

check: install ## Format, lint, types and import rules
	@scripts/check

bench: install services ## Measure throughput and latency (ARGS="..." go to the benchmark)
	@.venv/bin/python -m bench $(ARGS)

soak: install services ## The ledger test for ten minutes (SOAK_SECONDS=... for longer)
	@SOAK_SECONDS=$${SOAK_SECONDS:-600} .venv/bin/pytest -o faulthandler_timeout=0 tests/e2e/test_ledger.py $(ARGS)

screenshots: install services ## Make the pictures of the README anew
	@scripts/screenshots docs/images

lock: ## Pin the dependencies of pyproject.toml (ARGS=--upgrade for newer releases)
	@scripts/lock $(ARGS)

services: ## Make sure that the programs the tests start are there
	@scripts/services

clean: ## Remove everything that can be made again
	rm -rf .venv graph/static dashboard/assets/uplot explorer/node_modules tests/node/node_modules dist bench-results \
		.mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV_STAMP): pyproject.toml requirements-dev.lock scripts/install
	@scripts/install
	@touch $@

# Without npm the script warns and leaves no stamp, so the next `make install` tries again.
$(EXPLORER_STAMP): $(wildcard explorer/*.* explorer/.npmrc) scripts/explorer
	@scripts/explorer

$(NODE_TESTS_STAMP): tests/node/package.json tests/node/package-lock.json
	@echo "==> Installing the Node.js clients that the tests run"
	@cd tests/node && npm ci --loglevel=error --no-progress >/dev/null
	@touch $@
