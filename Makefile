# Two commands matter: `make demo` and `make test`. Both set up everything they need in .venv, from Python >= 3.10, pip and make.
#   make PYTHON=python3.12 ...   another Python for .venv (remove .venv first if it exists)
#   make test ARGS="-k losses"   further arguments for pytest
#   make demo OUT=/tmp/demo      another folder for what the demo writes

PYTHON ?= python3
VENV   ?= .venv
OUT    ?= demo
JOBS   ?= 2
ARGS   ?=

BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

# A PYTHONPATH of the caller would shadow what is installed in .venv.
unexport PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow hf-tests check format clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

install: $(STAMP)  ## set up .venv with the package and what its development needs

demo: $(STAMP)  ## make a corpus, train LE-MER on it, score it, predict, draw the figures
	$(BIN)/hf-mer demo --out "$(OUT)"

test: $(STAMP)  ## run the tests
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		echo "no Chromium here: the tests of the page in a browser are skipped (on Debian: apt-get install chromium)"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-slow: $(STAMP)  ## run the tests that take long: kills, several processes, exports, a browser's longer paths
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "slow and not gpu and not corpus" $(ARGS)

hf-tests: $(STAMP)  ## run transformers' own suites on the models and the processor (fetches their source distribution)
	OMP_NUM_THREADS=1 $(BIN)/python tests/hf_suites/run.py -n $(JOBS) $(ARGS)

check: $(STAMP)  ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## put the code in the house's format and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove .venv, caches and what the demo wrote
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml hf_mer/version.py .ci/install
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh .ci/install
	@touch $@
