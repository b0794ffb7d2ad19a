# Outrider. `make help` lists what can be done; each target sets up what it needs by itself.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
FUZZ_SECONDS ?= 20
NATIVE := $(shell find native -name '*.[ch]' -o -name '*.py' 2>/dev/null)
export PYTHON

.PHONY: help setup demo test hil evaluate evaluate-lost lint type fuzz bench bench-hil bench-uplink year cuts docs clean
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# --- environments: one stamp per set of packages; the extension is rebuilt when native/ changes -------------------
$(PY):
	@.ci/need gcc=gcc /usr/include/stdio.h=libc6-dev python:ensurepip=python3-venv python-h=python3-dev
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install -q --disable-pip-version-check -U pip

$(VENV)/.setup: $(PY) pyproject.toml setup.py $(NATIVE)
	@echo "Setting up (a minute the first time) ..."
	@$(PY) -m pip install -q --disable-pip-version-check -e '.[ingest,demo]'
	@touch $@

$(VENV)/.dev: $(PY) pyproject.toml setup.py $(NATIVE)
	@.ci/need /usr/include/dbus-1.0/dbus/dbus.h=libdbus-1-dev /usr/include/glib-2.0/glib.h=libglib2.0-dev pkg-config=pkg-config
	@echo "Setting up for development (some minutes the first time) ..."
	@$(PY) -m pip install -q --disable-pip-version-check -e '.[ingest,demo,workstation,test,lint]'
	@touch $@ $(VENV)/.setup

setup: $(VENV)/.setup ## Make .venv with the `outrider` command
	@echo "Ready: $(VENV)/bin/outrider --help"

demo: $(VENV)/.setup ## Simulate a drive that ends in a crash and follow it to the receiver
	@$(VENV)/bin/outrider demo

test: $(VENV)/.dev ## Run all tests
	@.ci/need mosquitto=mosquitto openssl=openssl dbus-daemon=dbus-daemon nats-server=nats-server /usr/lib/postgresql=postgresql \
		ModemManager=modemmanager
	@PATH="$$PATH:/usr/sbin" $(PY) -m pytest -n 2 --dist loadgroup -p no:rerunfailures tests || { [ $$? = 1 ] && \
		echo "Once more, alone: what failed beside other tests (see docs/internals/hacking.md)" && \
		PATH="$$PATH:/usr/sbin" $(PY) -m pytest -rA -p no:rerunfailures --last-failed --last-failed-no-failures=none tests; }

hil: $(VENV)/.dev ## Run the tests of the rig on virtual CAN, in a virtual machine where the kernel has none (HIL_ARGS=...)
	@PATH="$$PATH:/usr/sbin:/sbin" PYTHONPATH=. $(PY) -m hil.run $(HIL_ARGS)

evaluate: $(VENV)/.dev ## Score the detector on recordings (OUTRIDER_DATA=..., default ../shared/data); writes detector-scores.md
	@mkdir -p build && $(VENV)/bin/outrider evaluate "$${OUTRIDER_DATA:-../shared/data}" --html build/evaluation.html \
		--json build/evaluation.json --markdown $(if $(EVALUATE_ARGS),build,docs/reference)/detector-scores.md $(EVALUATE_ARGS)

evaluate-lost: $(VENV)/.dev ## Score cars lost at speed at length (simulated, some minutes); writes lost.md
	@$(VENV)/bin/outrider evaluate "$${OUTRIDER_DATA:-../shared/data}" --rows J --seed 2 --full --lost docs/reference/lost.md

lint: $(VENV)/.dev ## Check style of Python and C; warnings are errors
	@.ci/need cppcheck=cppcheck
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@$(VENV)/bin/clang-format --dry-run -Werror $$(find native -name '*.[ch]')
	@$(MAKE) -s -C native lint

type: $(VENV)/.dev ## Check types (mypy --strict)
	@$(VENV)/bin/mypy

fuzz: $(VENV)/.dev ## Fuzz the native code under sanitizers for FUZZ_SECONDS per target
	@.ci/need clang=clang
	@$(MAKE) -s -C native fuzz FUZZ_SECONDS=$(FUZZ_SECONDS)

bench: $(VENV)/.dev ## Measure beside the peers; writes docs/reference/benchmarks.md
	@$(PY) tests/bench/run.py --write docs/reference/benchmarks.md

bench-hil: $(VENV)/.dev ## Measure on the rig beside candump and python-can; writes its part of the same page
	@.ci/need candump=can-utils mosquitto=mosquitto
	@PATH="$$PATH:/usr/sbin:/sbin" PYTHONPATH=. $(PY) -m hil.bench.run $(BENCH_ARGS)

bench-uplink: $(VENV)/.dev ## Measure delivery (bytes, flash, faults, receiver) beside the peers; writes its part of the same page
	@.ci/need mosquitto=mosquitto openssl=openssl
	@PATH="$$PATH:/usr/sbin:/sbin" $(PY) tests/bench/run_uplink.py --write docs/reference/benchmarks.md $(BENCH_ARGS)

year: $(VENV)/.dev ## A simulated year of a commuter's car: the receiver's store against the truth (some minutes; YEAR_ARGS=...)
	@PYTHONPATH=. $(PY) tests/bench/run_year.py $(YEAR_ARGS)

cuts: $(VENV)/.dev ## Cut the power at 10,000 and more states of the journal (some minutes; CUTS_ARGS=...)
	@PYTHONPATH=. $(PY) tests/bench/run_cuts.py $(CUTS_ARGS)

docs: $(VENV)/.dev ## Build the documentation as HTML into build/docs
	@$(PY) -m pip install -q --disable-pip-version-check 'mkdocs>=1.6'
	@$(VENV)/bin/mkdocs build -q --strict -f docs/mkdocs.yml -d ../build/docs && echo "build/docs/index.html"

clean: ## Remove what was built
	rm -rf build dist $(VENV) daemon/*.egg-info daemon/outrider/_native*.so
