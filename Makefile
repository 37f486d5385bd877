# Everything a person or a machine does with this repository goes through here.

VENV := .venv
PYTHON := $(VENV)/bin/python
RACE ?= local

# Without it the sandbox uses the kernel's namespaces by itself, and the tests for bubblewrap say why they skip.
BUBBLEWRAP := command -v bwrap || ! command -v apt-get || test `id -u` != 0 \
	|| timeout 120 sh -c 'apt-get update; apt-get install -y --no-install-recommends bubblewrap' || true

.PHONY: setup dev quickstart test lint bench nano docs gpu-check

setup: $(VENV)/.setup
dev: $(VENV)/.dev

# The stamps are newer than what they were made from, so a set-up that is up to date costs nothing. The lock is
# handed over as PIP_CONSTRAINT and not as -c, because pip then holds its build environment to it too.
$(VENV)/.setup: pyproject.toml requirements.lock
	test -x $(PYTHON) || python3 -m venv $(VENV)
	PIP_CONSTRAINT=requirements.lock $(PYTHON) -m pip install --quiet --disable-pip-version-check -e '.[local]'
	touch $@

$(VENV)/.dev: $(VENV)/.setup
	@{ $(BUBBLEWRAP); } </dev/null >/dev/null 2>&1
	PIP_CONSTRAINT=requirements.lock $(PYTHON) -m pip install --quiet --disable-pip-version-check -e '.[local,dev]'
	touch $@

quickstart: setup
	$(VENV)/bin/homeschool quickstart

lint: dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright
	$(VENV)/bin/lint-imports --no-logo

# Two workers with one thread each; what measures time runs first and alone, so that nothing else is timed.
test: lint
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -q -m timing
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -q -m "not timing" -n 2 --dist loadgroup

bench: setup
	$(PYTHON) benchmarks/$(RACE).py

nano: setup
	$(PYTHON) tools/make_nano.py

# The list of methods, from their docstrings; the other pages are written by hand.
docs: setup
	$(PYTHON) tools/make_papers.py

gpu-check: setup
	$(PYTHON) benchmarks/gpu_check.py
