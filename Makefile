# Two commands set everything up on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
PYTHON312 ?= python3.12
VENV := .venv
BIN := $(VENV)/bin
# The build step has an environment of its own: the generator holds back packages that users get newer.
CODEGEN := .venv-codegen
# Files stay together on one worker, a module's server is started once; those that take longest start first.
PARALLEL ?= -n auto --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# One tier of the tests; the generator's run in its own environment meanwhile, and are shown afterwards.
define both
@mkdir -p build; $(CODEGEN)/bin/python -m pytest -q -m '$(1)' tests/codegen >build/codegen-tests.log 2>&1 & codegen=$$!; \
trap "kill $$codegen; exit 130" INT TERM; \
$(BIN)/python -m pytest -m '$(1)' $(PARALLEL) --ignore tests/codegen; status=$$?; \
wait $$codegen || status=1; cat build/codegen-tests.log; exit $$status
endef

.PHONY: help demo test test-slow test-all lint format types imports drift generate methods accept update-spec codegen-latest cassettes judge docs bench wheel check clean

help:  ## what this file can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/ready  ## the documented calls in the sandbox, an approval, a verified audit trail
	$(BIN)/arx-pagerduty demo $(if $(CI),--yes)

test: $(VENV)/ready $(CODEGEN)/ready  ## the tests, without the slow tier; says how long it took and what it left out
	$(call both,not slow)

test-slow: $(VENV)/ready $(CODEGEN)/ready  ## the slow tier: kills, soaking, real browsers, full-size listings
	$(call both,slow)

test-all: test test-slow  ## every test

lint: $(VENV)/ready  ## style and likely mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/ready  ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/ready $(CODEGEN)/ready  ## mypy, strict
	$(BIN)/mypy
	$(CODEGEN)/bin/mypy -p codegen

imports: $(VENV)/ready  ## imports point one way
	$(BIN)/lint-imports

drift: $(CODEGEN)/ready  ## generated/ is what spec/ says
	$(CODEGEN)/bin/python -m codegen check

generate: $(CODEGEN)/ready  ## regenerate the client from spec/pagerduty.json
	$(CODEGEN)/bin/python -m codegen generate

methods: $(CODEGEN)/ready  ## derive the connector's methods from the table and spec/pagerduty.json
	$(CODEGEN)/bin/python -m codegen methods

accept: $(VENV)/ready  ## write down the public names and the tables on a terminal as they are now; look at the difference
	$(BIN)/python -m tests.surface
	$(BIN)/python -m tests.cli.golden

update-spec: $(CODEGEN)/ready  ## PagerDuty's newest document -> spec/, generated/ and a report: make update-spec UPSTREAM=file ARGS=--dry-run
	$(CODEGEN)/bin/python -m codegen update $(if $(UPSTREAM),--upstream $(UPSTREAM)) $(ARGS)

codegen-latest: $(CODEGEN)/ready  ## try the newest release of the generator, and say what would break
	$(CODEGEN)/bin/python -m codegen.try_latest_generator

cassettes: $(VENV)/ready  ## record one cassette an operation: the sandbox, or a live account when PAGERDUTY_API_KEY is set
	$(BIN)/python -m tests.record

judge: $(VENV)/ready  ## Prism (npm) holds every request against an OpenAPI document: make judge OPENAPI=published.json
	$(BIN)/python -m tests.judge $(or $(OPENAPI),spec/pagerduty.json)

docs: $(VENV)/ready  ## the documentation, into build/docs
	$(BIN)/python -m tests.docs.site

bench: $(VENV)/ready  ## this client beside others; prints ratios, and missed goals as missed; redraws the README's chart
	@if $(PYTHON312) --version >/dev/null 2>&1; then \
	    test -x build/pagerduty-mcp/bin/python || { $(PYTHON312) -m venv build/pagerduty-mcp && \
	    build/pagerduty-mcp/bin/python -m pip install --quiet pagerduty-mcp==1.1.0; }; \
	else echo "$(PYTHON312) is not here: PagerDuty's MCP server is not measured (make bench PYTHON312=...)"; fi
	$(BIN)/python -m tests.bench $(if $(RECORDS),--records $(RECORDS)) $(if $(ONLY),$(ONLY),--chart docs/bench.svg)

wheel: $(VENV)/ready  ## build the wheel into dist/
	$(BIN)/python -m build --wheel

check: lint types imports drift test  ## what a change must pass before it is pushed

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	touch $@

$(CODEGEN)/ready: pyproject.toml codegen/constraints.txt
	$(PYTHON) -m venv $(CODEGEN)
	$(CODEGEN)/bin/python -m pip install --quiet --constraint codegen/constraints.txt pip
	$(CODEGEN)/bin/python -m pip install --quiet --constraint codegen/constraints.txt --editable '.[all]' --group codegen --group test
	touch $@

clean:  ## remove the environments and the wheels
	rm -rf $(VENV) $(CODEGEN) dist
