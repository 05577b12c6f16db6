# The commands that others rely on. Each one installs what it needs first, so a fresh machine needs only Python, make and git.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup dev sdks programs serve test soak check bench ddl lock format clean

setup: $(VENV)/.core

dev: $(VENV)/.dev

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tollgate needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.python requirements.txt pyproject.toml
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core requirements-dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# The vendors' official SDKs: the majors before the newest ones lie beside the environment, over its packages.
sdks: .sdks/.python .sdks/.javascript

.sdks/.python: tests/sdks/requirements-before.txt tests/sdks/requirements-older.txt | dev
	@rm -rf .sdks/before .sdks/older
	@for age in before older; do $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--target .sdks/$$age -r tests/sdks/requirements-$$age.txt || exit 1; done
	@touch $@

.sdks/.javascript: tests/sdks/js/package-lock.json
	@mkdir -p .sdks
	@command -v npm >/dev/null || { echo "npm is missing: the JavaScript SDKs are not installed, install Node 20 or newer"; exit 0; }; \
		cd tests/sdks/js && npm ci --silent --ignore-scripts --no-audit --no-fund && touch $(CURDIR)/$@

# The official programs that judge what we serve, under .state: installed here, because a test that installs waits for a registry.
programs: dev
	@$(BIN)/python -m tests.fakes.npm

serve: setup
	@$(BIN)/tollgate serve --demo $(if $(PORT),--port $(PORT))

test: dev
	@$(MAKE) --no-print-directory -j3 sdks programs
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

# Hours: hundreds of kills, a million commands.
soak: dev
	@TOLLGATE_SOAK=1 $(BIN)/python -m pytest tests/soak

check: dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: dev
	@$(BIN)/python -m tests.bench

# The embedded file's tables as SQL, after a change of storage/sql/tables.py.
ddl: dev
	@$(BIN)/python -c 'from storage.sql.sqlite.rendering import module; print(module(), end="")' > .ddl && mv .ddl storage/sql/sqlite/ddl.py

# Resolve pyproject.toml anew. Needs a registry that the machine's own pip is set up for; no address is written down.
lock:
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv; }
	@.venv-lock/bin/python tests/tidy/lock.py .venv-lock/bin/uv

clean:
	@rm -rf $(VENV) .venv-lock .sdks tests/sdks/js/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
