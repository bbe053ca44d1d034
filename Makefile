# Two commands set everything up on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint types imports drift generate cassettes judge docs bench wheel check clean

demo: $(VENV)/ready  ## the reference's calls in the sandbox, an approval, a verified audit trail
	$(BIN)/arx-pagerduty demo $(if $(CI),--yes)

test: $(VENV)/ready  ## all tests
	$(BIN)/python -m pytest

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy

imports: $(VENV)/ready  ## imports point one way
	$(BIN)/lint-imports

drift: $(VENV)/ready  ## generated/ is what spec/ says
	$(BIN)/python -m codegen check

generate: $(VENV)/ready  ## regenerate the client from spec/pagerduty.json
	$(BIN)/python -m codegen generate

cassettes: $(VENV)/ready  ## record one cassette an operation: the sandbox, or a live account when PAGERDUTY_API_KEY is set
	$(BIN)/python -m tests.record

judge: $(VENV)/ready  ## Prism (npm) holds every request against an OpenAPI document: make judge OPENAPI=published.json
	$(BIN)/python -m tests.judge $(or $(OPENAPI),spec/pagerduty.json)

docs: $(VENV)/ready  ## the documentation, into build/docs
	$(BIN)/python -m mkdocs build --quiet

bench: $(VENV)/ready
	$(BIN)/python -m tests.bench

wheel: $(VENV)/ready
	$(BIN)/python -m build --wheel

check: lint types imports drift test

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	touch $@

clean:
	rm -rf $(VENV) dist
