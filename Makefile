# Two commands do everything: `make demo` and `make test`. Both first make .venv if it is missing or out of date.
#
#   make demo [SCENE=path-or-url] [SIZE=4096] [OUT=demo-output]
#   make test          the tests that take seconds
#   make test-all      every test
#   make lint types    ruff, mypy
#   make bench         weft beside its peers, one table; see benchmarks/
#   make limits        the engine's own limits, one table
#
# PYTHON chooses the interpreter: python3.11 if there is one, otherwise a python3 that is new enough.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
SIZE ?= 4096
OUT ?= demo-output

.PHONY: demo test test-all lint types bench limits clean
.DEFAULT_GOAL := demo

$(VENV)/.stamp: pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "weft needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python" >&2; exit 2; }
	rm -rf $(VENV)
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $@

$(VENV)/.bench: $(VENV)/.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,bench]"
	touch $@

demo: $(VENV)/.stamp
	$(BIN)/weft demo --size $(SIZE) --out "$(OUT)" $(if $(SCENE),--scene "$(SCENE)")

test: $(VENV)/.stamp
	$(BIN)/python -m pytest -q -m "not slow"

test-all: $(VENV)/.stamp
	$(BIN)/python -m pytest -q

lint: $(VENV)/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy looks where it is started first, and our io/ would be Python's: it starts in a folder that holds weft alone.
types: $(VENV)/.stamp
	mkdir -p .mypy_cache/package
	ln -sfn ../../weft .mypy_cache/package/weft
	cd .mypy_cache/package && "$(CURDIR)/$(BIN)/mypy" --config-file ../../pyproject.toml --cache-dir .. -p weft

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

limits: $(VENV)/.bench
	$(BIN)/python -m benchmarks.engine

clean:
	rm -rf $(VENV) demo-output build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
