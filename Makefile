# Every target sets up .venv by itself where it is missing; plain python3 (3.11 or newer) is enough.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test check fix bench bench-details bench-growth bench-conditions lock clean
help:
	@echo "make demo    emulated Listrak and Segment, the real service between them, judged"
	@echo "make test    the whole test suite"
	@echo "make check   types, lint, format"
	@echo "make fix     let the linter mend what it can"
	@echo "make bench   throughput, against a bare loop and against what else there is"
	@echo "make bench-details  state file, contacts, start, idleness, size (minutes)"
	@echo "make bench-growth   the same up to 10 million events in one go (minutes)"
	@echo "make bench-conditions   the same behind TLS and 100 ms, at growing concurrency (minutes)"
	@echo "make lock    resolve requirements.lock again"

setup: $(READY)
$(READY): requirements.lock pyproject.toml
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
PEERS := scripts/bench_peers/requirements.lock
$(BENCH_READY): $(PEERS)
	@echo "setting up .venv-bench (once)"
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --require-hashes -r $(PEERS)
	@touch $@

bench: $(READY) $(BENCH_READY)
	@$(VENV)/bin/python scripts/bench.py

bench-details: $(READY)
	@$(VENV)/bin/python scripts/bench_details.py

bench-growth: $(READY)
	@$(VENV)/bin/python scripts/bench.py --growth

bench-conditions: $(READY)
	@$(VENV)/bin/python scripts/bench_details.py --conditions

lock: $(READY)
	@scripts/lock

clean:
	rm -rf $(VENV) .venv-bench .mypy_cache .pytest_cache .ruff_cache .hypothesis
