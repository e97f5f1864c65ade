# make demo    runs the main job on private servers and shows what became of each message
# make test    checks and tests everything (also what continuous integration runs)
# Both install first what is missing; see contrib/setup.sh.

PY := .venv/bin/python
# Tests on real servers mostly wait for them.
SIDE_BY_SIDE := --numprocesses 2 --dist worksteal

.PHONY: demo test lint unit postfix delivery setup clean

demo: setup
	$(PY) -m tests.demo

test: setup lint
	$(PY) -m pytest $(SIDE_BY_SIDE)

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy policy milter tests

unit: setup
	$(PY) -m pytest $(SIDE_BY_SIDE) tests/unit

postfix: setup
	$(PY) -m pytest $(SIDE_BY_SIDE) tests/postfix

delivery: setup
	$(PY) -m pytest $(SIDE_BY_SIDE) tests/delivery

setup:
	@contrib/setup.sh

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
