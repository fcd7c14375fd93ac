# Two commands do all set-up on a machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
CLIENTS := .venv-clients
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test clients nightly bench bench-grouping lock clean

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@echo "Making the environment in $(VENV) (once; about half a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; try: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing; try: apt-get install python3-venv"; exit 1; }
	@$(PIP) install --require-hashes -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "Adding what the tests need ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(CLIENTS)/.python: requirements/clients.txt
	@echo "Installing the clients from PyPI in $(CLIENTS) (once; about a minute, 350 MB) ..."
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip --disable-pip-version-check --quiet install --no-compile --require-hashes -r requirements/clients.txt
	@touch $@

$(CLIENTS)/.npm: $(CLIENTS)/.python .clients/package-lock.json
	@echo "Installing the clients from npm in .clients/node_modules ..."
	@command -v npm >/dev/null || { echo "npm is missing; try: apt-get install nodejs npm"; exit 1; }
	@cd .clients && npm ci --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

# Public clients that the tests run against the server, each unmodified; without them those tests are skipped.
clients: $(CLIENTS)/.npm

demo: $(VENV)/.runtime
	@$(BIN)/tocsin demo

test: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q -m "not nightly"

nightly: $(VENV)/.dev
	$(BIN)/pytest -q

# Figures beside a limit or a peer of the same run; see benchmarks/README.md. The machine should have nothing else to do.
bench: $(VENV)/.dev
	$(BIN)/python benchmarks/ingest.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/feed.py

bench-grouping: $(VENV)/.dev
	$(BIN)/python benchmarks/grouping.py
	$(BIN)/python benchmarks/priority.py

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url pyproject.toml --group build -o requirements/runtime.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url pyproject.toml --group build --group dev -c requirements/runtime.txt -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url requirements/clients.in -o requirements/clients.txt

clean:
	rm -rf $(VENV) $(CLIENTS) .clients/node_modules
