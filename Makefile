# Everything a clone needs. `make demo` and `make test` set up the environment themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTS_READY := $(VENV)/.ready-tests
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-failures test-slurm test-browser test-gpu lint clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(BIN)/scalestudy submit demo --wait
	$(BIN)/scalestudy table demo
	$(BIN)/scalestudy plot frontier demo -o runs/demo/frontier.png
	$(BIN)/scalestudy plot data-scale demo -o runs/demo/data_scale.png
	@printf '%s\n' '' \
	  'ledger        runs/demo/*/run.parquet' \
	  'compute       runs/demo/frontier.png' \
	  'data          runs/demo/data_scale.png' \
	  'type next     $(BIN)/scalestudy status demo' \
	  '              $(BIN)/scalestudy plot frontier demo --with-published -o runs/demo/with_paper.png' \
	  '              $(BIN)/scalestudy submit demo --set seed=[0,1,2] --wait   # error bars'

test: $(TESTS_READY) lint
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term

test-failures: $(TESTS_READY)
	$(BIN)/python -m pytest -n 2 tests/failures

test-slurm: $(TESTS_READY)
	$(BIN)/python -m pytest tests/slurm

test-browser: $(TESTS_READY)
	$(BIN)/python -m pytest tests/browser

# Skips itself where there is no GPU.
test-gpu: $(TESTS_READY)
	$(BIN)/python -m pytest tests/gpu

lint: $(TESTS_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable .
	touch $@

# What only the tests need: the demo does without.
$(TESTS_READY): $(READY)
	$(INSTALL) --editable '.[test]'
	$(INSTALL) --no-deps timm  # torchvision, which it names, has no build for this torch
	touch $@
