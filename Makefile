# Everything starts from here: each target makes its own environment. `make` alone shows the targets.

PYTHON ?= python3
JOBS ?= 3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
INSTALLED := $(VENV)/.installed

# Suites with real crashes, measurements or whole terminals: for `make test` and `make bench`, not for `make check`.
SLOW_SUITES := tests/crash tests/dev tests/soak tests/faults tests/bench tests/docs tests/tui tests/prove tests/scenarios tests/pytest_plugin tests/redaction

# $(call quietly,NAME,COMMAND): nothing but NAME if it works, everything it said if it does not.
define quietly
@mkdir -p build; if $(2) >build/$(1).log 2>&1; then echo "ok  $(1)"; else cat build/$(1).log; echo "FAILED  $(1)"; exit 1; fi
endef

.PHONY: help compiled demo dev test check lint types mutants bench soak clean

help:
	@echo "make demo    kill an agent mid-payment and watch it recover"
	@echo "make dev     the console, on a fresh project in build/dev"
	@echo "make test    all tests"
	@echo "make check   format, lint, import walls, types, fast tests"
	@echo "make mutants plant bugs in copies of the tree; the tests must catch each"
	@echo "make bench   figures, side by side with raw SQLite"
	@echo "make soak    10,000 kills, half an hour and more; SOAK='--kills 500 --seed 7' for another one"
	@echo "make clean   remove the environment and everything built"

$(INSTALLED): pyproject.toml
	@mkdir -p build
	@echo "setting up .venv, once: this takes about a minute" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q 'setuptools>=70.1' -e '.[dev]' >build/install.log 2>&1 || { cat build/install.log; exit 1; }
	@touch $@

# Where PYTHONDONTWRITEBYTECODE is set, each of the thousand processes that the tests start would compile all it imports.
compiled: $(INSTALLED)
	@$(BIN)/python -m compileall -q tape tests

demo: compiled
	@rm -rf build/demo && mkdir -p build/demo
	@cd build/demo && $(BIN)/tape init treasury >init.log || { cat init.log; exit 1; }
	@cd build/demo/treasury && $(BIN)/python -m pip install -q --no-build-isolation -e . >../install.log 2>&1 || { cat ../install.log; exit 1; }
	@cd build/demo/treasury && exec $(BIN)/tape dev --kill-resume-demo

dev: compiled
	@mkdir -p build/dev
	@test -e build/dev/treasury || { cd build/dev && $(BIN)/tape init treasury >init.log || { cat init.log; exit 1; }; }
	@cd build/dev/treasury && $(BIN)/python -m pip install -q --no-build-isolation -e . >../install.log 2>&1 || { cat ../install.log; exit 1; }
	@cd build/dev/treasury && exec $(BIN)/tape dev

test: compiled
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

check: lint types compiled
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal -m 'not slow' $(addprefix --ignore=,$(SLOW_SUITES))

lint: $(INSTALLED)
	$(call quietly,format,$(BIN)/ruff format --check .)
	$(call quietly,lint,$(BIN)/ruff check .)
	$(call quietly,walls,$(BIN)/lint-imports --no-logo)

types: $(INSTALLED)
	$(call quietly,types,$(BIN)/pyright)

mutants: $(INSTALLED)
	@$(BIN)/python -m tests.mutants --jobs $(JOBS)

bench: compiled
	@$(BIN)/python -m tests.bench

soak: compiled
	@$(BIN)/python -m tests.soak $(SOAK)

clean:
	@rm -rf $(VENV) build .pytest_cache .ruff_cache .import_linter_cache *.egg-info
