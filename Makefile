# Two commands on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
# Needed: Linux, git, make, and a Python (3.10 or newer) with its venv module.

PYTHON = python3
VENV = .venv
BIN = $(VENV)/bin
ARGS =
PYTEST_ARGS =
# BROWSER=no leaves the tests in a real browser out, and says so.
BROWSER = yes
# FRONTEND=no leaves the JupyterLab extension out, what is tested in a browser or packed with it too.
FRONTEND = yes

SOURCES = setup.cfg pyproject.toml jupyter_mig/etc/jupyter_mig.json \
  $(shell find labextension/*.py labextension/*.json labextension/src labextension/style \
  labextension/schema -type f)
WITHOUT_BROWSER = --ignore=tests/browser
WITHOUT_FRONTEND = $(WITHOUT_BROWSER) --ignore=tests/test_build.py
LEFT_OUT_BROWSER_no = $(WITHOUT_BROWSER)
LEFT_OUT_FRONTEND_no = $(WITHOUT_FRONTEND)
LEFT_OUT = $(LEFT_OUT_BROWSER_$(BROWSER)) $(LEFT_OUT_FRONTEND_$(FRONTEND))

.NOTPARALLEL:
.PHONY: help demo test shells check unit browser docs openapi bench bursts soak upstream-tests install chromium clean \
  frontend lint-frontend node clean-installs

help:
	@echo "make demo     JupyterLab on a simulated node with two A100 (ARGS='--no-browser --port 8899')"
	@echo "make test     everything: check, docs, all tests (PYTEST_ARGS, BROWSER=no, FRONTEND=no)"
	@echo "make check    ruff, mypy, import-linter; prettier and eslint for the front end"
	@echo "make unit     the tests that need no browser"
	@echo "make browser  the tests in JupyterLab and Chromium"
	@echo "make clean-installs  the wheel alone, driven in JupyterLab 4.2, the newest, and Notebook 7"
	@echo "make frontend the JupyterLab extension: build it and run its own tests"
	@echo "make docs     the manual, into docs/_build/html"
	@echo "make openapi  the description of the broker's door, after a change to it"
	@echo "make bench    kernel starts with and without a slice, timed"
	@echo "make soak     a thousand starts while everything is killed and fails"
	@echo "make bursts   32 kernels at once, five times, with the stock provisioner and with ours"
	@echo "make upstream-tests  the kernel and session tests of jupyter_client and jupyter_server, likewise"
	@echo "make clean    remove what was built (the virtual environment too)"

demo: $(VENV)/.demo
	$(BIN)/jupyter-mig demo --dir .demo $(ARGS)

test: check docs
	@$(MAKE) say-left-out
	@if [ "$(FRONTEND)" != no ]; then $(MAKE) frontend; fi
	@if [ -z "$(strip $(LEFT_OUT))" ]; then $(MAKE) chromium; fi
	@$(MAKE) shells
	$(BIN)/python -m pytest $(LEFT_OUT) $(PYTEST_ARGS)
	@$(MAKE) say-left-out

say-left-out:
	@if [ "$(FRONTEND)" = no ]; then \
	  echo "*** FRONTEND=no: the JupyterLab extension and the tests of it are LEFT OUT ***"; \
	elif [ "$(BROWSER)" = no ]; then echo "*** BROWSER=no: the browser tests are LEFT OUT ***"; fi

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@if [ "$(FRONTEND)" != no ]; then $(MAKE) lint-frontend; fi

lint-frontend: node
	$(BIN)/python labextension/frontend.py lint

unit: install
	$(BIN)/python -m pytest $(WITHOUT_BROWSER) $(PYTEST_ARGS)

browser: install chromium frontend
	$(BIN)/python -m pytest tests/browser $(PYTEST_ARGS)

clean-installs: install chromium frontend
	JUPYTER_MIG_CLEAN_INSTALLS=all $(BIN)/python -m pytest tests/browser/test_clean_install.py $(PYTEST_ARGS)

frontend: node
	$(BIN)/python labextension/frontend.py test

# Node.js is the one thing that only building needs; where there is none, pip has one.
node: install
	@cd labextension && ../$(BIN)/python -c 'import sys, node; sys.exit(node.find() is None)' || \
	  ../$(BIN)/python -m pip install --quiet "$$(../$(BIN)/python -c 'import node; print(node.PACKAGE)')"

docs: install
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

openapi: install
	$(BIN)/python tools/openapi.py

bench: install
	$(BIN)/python benchmarks/kernel_start.py $(ARGS)

bursts: install
	$(BIN)/python benchmarks/bursts.py $(ARGS)

soak: install
	$(BIN)/python -m benchmarks.soak $(ARGS)

upstream-tests: install
	$(BIN)/python tools/upstream_tests.py $(ARGS)

install: $(VENV)/.test

$(VENV)/.test: $(VENV)/.made $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[demo,docs,test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.demo: $(VENV)/.made $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and \
	  "jupyter_mig needs Python 3.10 or newer, and $(PYTHON) is " + sys.version.split()[0] + \
	  ". Name another one: make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Chromium is the one thing that only the tests need and pip cannot bring.
chromium:
	@for name in chromium chromium-browser google-chrome; do \
	  if command -v $$name >/dev/null; then exit 0; fi; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core && exit 0; \
	fi; \
	echo "The browser tests need Chromium, and it is not here. Install it (Debian: apt-get install chromium),"; \
	echo "run this as root on Debian and it is installed for you, or leave those tests out on purpose:"; \
	echo "make test BROWSER=no"; \
	exit 1

# The Tab key is tried in zsh and fish where they are; nothing else needs them.
shells:
	@if command -v zsh >/dev/null && command -v fish >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends zsh fish && exit 0; \
	fi; \
	echo "*** zsh and fish are not here: their tests of the Tab key are skipped ***"

clean:
	rm -rf $(VENV) build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	  .import_linter_cache *.egg-info jupyter_mig/labextension \
	  labextension/build labextension/lib labextension/node_modules labextension/*.tsbuildinfo
