# make run    the whole way of a day's posts on a sandbox, then the UI   (ARGS=--no-ui: no UI)
# make live   the same on the real network, with your LLM
# make test   the tests of every part, in two processes
# make test-scenarios  those that take a browser, servers, kills, days of processes or many samples
# make test-real-llm  300 posts labelled by a real language model; some six minutes of a core
# make bench  the benchmarks; each ends with one line of JSON
# make chaos  a collector killed 200 times while its hosts commit every fault; four minutes
# make healing  days healed 200 times, each killed once in the middle and held against what is true
# make lint   ruff and mypy

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
IN_TWO := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: run live test test-scenarios test-real-llm bench chaos healing lint setup setup-dev clean

# Bytecode is kept whatever the shell says: it takes seconds to compile, in every process.
export PYTHONDONTWRITEBYTECODE :=

run: setup
	$(BIN)/bsky-assets run $(ARGS)

live: setup
	$(BIN)/bsky-assets run --live $(ARGS)

test: setup-dev
	$(IN_TWO) -m "not scenario and not real_llm" $(ARGS)

test-scenarios: setup-dev
	$(IN_TWO) -m "scenario and not real_llm" $(ARGS)

test-real-llm: setup-dev
	$(BIN)/python -m pytest -m real_llm $(ARGS)

bench: setup-dev
	$(BIN)/python -m benchmarks $(ARGS)

chaos: setup-dev
	$(BIN)/python -m testbed.chaos $(ARGS)

healing: setup-dev
	$(BIN)/python -m testbed.healing $(ARGS)

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Does nothing where .venv is as it should be; makes it anew where it is of another Python or folder.
setup:
	@$(PYTHON) make_environment.py run

setup-dev:
	@$(PYTHON) make_environment.py dev

clean:
	rm -rf .venv
