# Needs only python3 (3.11 or newer, with venv); everything else is installed into .venv.

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# Without bytecode, each process compiles Django and all tests again.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z-]*:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(VENV)/.demo ## serve the demo on http://127.0.0.1:8000/ (or PORT=...)
	PORT=$(PORT) $(BIN)/python manage.py demo

.PHONY: test
test: $(VENV)/.dev ## test the package, in a minute or two; ARGS="tests/test_crypto.py -x" passes arguments to pytest
ifdef ARGS
	$(PYTEST) $(ARGS)
else
	$(PYTEST) -n auto -m package
	@echo "This was the package alone, on SQLite unless DATABASE_URL names another database. Other tests: make help"
endif

.PHONY: test-demo
test-demo: $(VENV)/.dev ## test the demo, with its own settings
	$(PYTEST) tests/demo $(ARGS)

.PHONY: test-browser
test-browser: $(VENV)/.dev ## test the pages in Chromium
	$(PYTEST) -m browser $(ARGS)

.PHONY: test-docs
test-docs: $(VENV)/.dev ## compare the documentation with the code, and follow its instructions
	$(PYTEST) -n auto -m docs $(ARGS)

.PHONY: test-processes
test-processes: $(VENV)/.dev ## run tests that start processes: sites with other settings, processes that are killed
	$(PYTEST) -n auto -m processes $(ARGS)

.PHONY: test-thorough
test-thorough: $(VENV)/.dev ## send generated input, raise at each line of the paths of a secret, count objects in memory
	$(PYTEST) -n auto -m thorough $(ARGS)

.PHONY: test-integrations
test-integrations: $(VENV)/.ci ## test sites with third-party packages, such as django-oauth-toolkit
	$(BIN)/nox --session integrations

.PHONY: test-races
test-races: $(VENV)/.dev ## send requests at the same time; needs DATABASE_URL, because SQLite has no row locks
	$(PYTEST) -m races $(ARGS)

.PHONY: test-repository
test-repository: $(VENV)/.dev ## check translations, packaging and the tests themselves
	$(PYTEST) -n auto -m repository $(ARGS)

.PHONY: test-all
test-all: $(VENV)/.dev ## run all of these tests on one database; `make matrix` runs them on all
	$(PYTEST) -n auto $(ARGS)
	$(PYTEST) tests/demo

.PHONY: lint
lint: $(VENV)/.dev ## check style, format and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=. $(BIN)/lint-imports --cache-dir .cache/imports

.PHONY: types
types: $(VENV)/.dev ## check types, and those that a user's site sees
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/mypy --config-file tests/typed_site/mypy.ini
	$(BIN)/pyright --project tests/typed_site --pythonpath $(BIN)/python

.PHONY: format
format: $(VENV)/.dev ## format the code and apply automatic fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: matrix
matrix: ## run everything that CI runs: all tests on every Python, Django and database
	.ci/run

.PHONY: wheel
wheel: $(VENV)/.dev ## build the wheel and the sdist into dist/ and check them
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/python .ci/wheel_contents.py dist/*.whl dist/*.tar.gz

.PHONY: docs
docs: $(VENV)/.dev ## build the documentation into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

.PHONY: sites
sites: $(VENV)/.dev ## add the package to Wagtail and to ARA as docs/how-to/drf.md says, and use a token there
	PYTHONPATH=. $(BIN)/python .ci/sites.py "$$(mktemp -d)"

.PHONY: bench
bench: $(VENV)/.bench ## compare with other packages and write the figures into the docs (10 min)
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-steps
bench-steps: $(VENV)/.bench ## measure the steps of authentication, on SQLite (1 min)
	$(BIN)/python -m benchmarks --steps $(ARGS)

.PHONY: bench-check
bench-check: $(VENV)/.bench ## check that the benchmarks work, without measuring
	$(BIN)/python -m benchmarks --check

.PHONY: bench-load
bench-load: $(VENV)/.bench ## measure gunicorn under load on PostgreSQL with prepared statements; needs wrk
	$(BIN)/python -m benchmarks.load $(ARGS)

.PHONY: stress
stress: $(VENV)/.dev ## test with thousands of examples and of races (also at POSTGRES_URL, MYSQL_URL)
	$(PYTEST) -m "package or races" --hypothesis-profile=stress --rounds 1000 $(ARGS)
	@for url in $(POSTGRES_URL) $(MYSQL_URL); do \
		DATABASE_URL=$$url $(PYTEST) -v -m races --rounds 1000 || exit; \
		DATABASE_URL=$$url $(PYTEST) tests/test_refused_in_processes.py --rounds 1000 || exit; \
	done

.PHONY: coverage
coverage: $(VENV)/.dev ## measure which lines and branches the tests reach, and fail below 97 %
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -m "not browser" $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

.PHONY: mutants
mutants: $(VENV)/.mutants ## change the code in small ways, and list changes that no test detects
	$(BIN)/mutmut run $(ARGS)
	$(BIN)/mutmut results

.PHONY: screenshots
screenshots: $(VENV)/.dev ## take the screenshots in docs/ from the running demo
	$(BIN)/python -m docs.screenshots

.PHONY: messages
messages: $(VENV)/.demo ## collect the strings to translate and compile the translations (needs gettext)
	cd pat_tokens && ../$(BIN)/django-admin makemessages --all --no-location
	cd pat_tokens && ../$(BIN)/django-admin compilemessages
	cd demo_project && ../$(BIN)/django-admin makemessages --all --no-location
	cd demo_project && ../$(BIN)/django-admin compilemessages

.PHONY: clean
clean: ## remove all generated and installed files
	rm -rf $(VENV) .cache .nox .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov
	rm -rf build dist mutants staticfiles test-results docs/_build db.sqlite3*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(VENV)/.demo, .dev, .bench, .ci, .mutants: that dependency group of pyproject.toml is installed.
# uv takes seconds and pip a minute; if uv isn't available, pip is used.
$(VENV)/.%: pyproject.toml $(VENV)/pyvenv.cfg
	@echo "Installing what $* needs into $(VENV)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --editable . --group $* || \
	{ $(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' && \
	$(BIN)/python -m pip install --quiet --editable . --group $*; }
	@touch $@

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=...")'
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || echo "No uv to be had; going on with pip"
