# Every target sets up .venv by itself where it is missing; plain python3 (3.11 or newer) is enough.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

BENCHES := bench-throughput bench-details bench-growth bench-conditions
.PHONY: help setup demo test check fix bench $(BENCHES) simulation histories mutations fuzz crash soak proofs lock build audit clean
help:
	@echo "make demo    emulated Listrak and Segment, the real service between them, judged"
	@echo "make test    the whole test suite"
	@echo "make check   types, lint, format"
	@echo "make fix     let the linter mend what it can"
	@echo "make bench   what it can do, against a bare loop and what else there is (20 minutes);"
	@echo "             or a part of it: bench-throughput, -details, -growth, -conditions"
	@echo "make simulation  weeks of two retailers, on a virtual clock: calls, rows, freshness, judged"
	@echo "make histories SEEDS=1000  lives of the service that seeds draw, with crashes and all kinds of"
	@echo "             trouble, on a virtual clock; SEEDS=137:138 tells and lives one"
	@echo "make mutations   plants bugs into the running service, to see that histories find each of them"
	@echo "make fuzz MINUTES=5  tries answers, files and settings that nobody expects; what it finds"
	@echo "             is kept in tests/fuzz/corpus"
	@echo "make crash   kills, stops and fails real processes, loses the power and damages state files"
	@echo "make soak MINUTES=10  a real process in which nothing may grow"
	@echo "make proofs  the last five, and then the page bridge/PROOFS.md of what they tried"
	@echo "make build   wheel and source archive into dist/, the same bytes each time"
	@echo "make audit   look the locked packages up in advisories, and tell of what date these are"
	@echo "make lock    resolve both lock files again, and list what runs in the bill of materials"

setup: $(READY)
$(READY): requirements.lock pyproject.toml bridge/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python3 >= 3.11 is needed, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 ...")'
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	@$(VENV)/bin/python scripts/demo.py

test: $(READY)
	@scripts/test

check: $(READY)
	@scripts/check

fix: $(READY)
	@scripts/fix

BENCH_READY := .venv-bench/.ready
PEERS := scripts/bench/peers/requirements.lock
$(BENCH_READY): $(PEERS)
	@echo "setting up .venv-bench (once)"
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --require-hashes -r $(PEERS)
	@touch $@

bench: $(READY) $(BENCH_READY)
	@cd scripts && ../$(VENV)/bin/python -m bench

$(BENCHES): bench-%: $(READY) $(BENCH_READY)
	@cd scripts && ../$(VENV)/bin/python -m bench $*

simulation: $(READY) $(BENCH_READY)
	@cd scripts && ../$(VENV)/bin/python -m simulation

SEEDS ?= 200
KILLS ?= 200
STOPS ?= 50
INJECTIONS ?= 48
LOSSES ?= 60
DAMAGED ?= 100
MINUTES ?= 2
# What each trial has counted, for the page; one arena, as what many lives leave in more only grows.
TRIAL := @cd scripts && MALLOC_ARENA_MAX=1 ../$(VENV)/bin/python -m
KEEP := --keep ../.proofs
histories: $(READY)
	$(TRIAL) histories --seeds $(SEEDS) $(KEEP)

mutations: $(READY)
	$(TRIAL) histories.mutations $(KEEP)

SEED ?= 1
fuzz: $(READY)
	$(TRIAL) fuzz --minutes $(MINUTES) --seed $(SEED) $(KEEP)

crash: $(READY)
	$(TRIAL) crash --kills $(KILLS) --stops $(STOPS) --injections $(INJECTIONS) --losses $(LOSSES) \
	    --damaged $(DAMAGED) $(KEEP)

soak: $(READY)
	$(TRIAL) crash.soak --minutes $(MINUTES) $(KEEP)

proofs: histories mutations fuzz crash soak
	$(TRIAL) proofs ../.proofs ../bridge/PROOFS.md

lock: $(READY)
	@scripts/lock

build: $(READY)
	@scripts/build

audit: $(READY)
	@cd scripts && ../$(VENV)/bin/python -m supply.audit

clean:
	rm -rf $(VENV) .venv-bench .proofs .audit dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
