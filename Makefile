# Everything runs in .venv, made from requirements.txt on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export GRADIO_ANALYTICS_ENABLED ?= False
LINT := $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
# Its processes share the cores. Each imports all of the code, which is compiled once, also where
# the environment says that nobody keeps what is compiled.
PYTEST := OMP_WAIT_POLICY=PASSIVE PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help run serve-cluster check test lint audit tests quick-tests bench fuzz sweep load faults quality weights screenshots clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/installed ## install the requirements, start the page and print its address
	@$(BIN)/python app.py

serve-cluster: $(VENV)/installed-ray ## start replicas that compute for a page with GRADCAM_BACKEND=ray, until Ctrl-C
	@$(BIN)/python -m demo.serve_cluster

check: $(VENV)/installed-dev ## linter, formatter, types, and the tests that need no server, browser or Ray (3 minutes)
	@$(MAKE) --no-print-directory --jobs=2 lint quick-tests

test: $(VENV)/installed-dev ## everything in check, a vulnerability audit, and all other tests, with a real browser (10 minutes)
	@began=$$(date +%s); \
	$(BIN)/python -m scripts.chromium && $(MAKE) --no-print-directory --jobs=2 audit tests; \
	status=$$?; took=$$(($$(date +%s) - began)); \
	echo "make test took $$((took / 60)) min $$((took % 60)) s"; exit $$status

lint:
	@$(LINT)

audit:
	@$(LINT) && $(BIN)/python -m scripts.audit

tests:
	@$(PYTEST)

quick-tests:
	@$(PYTEST) -n 2 -m "not system"

bench: $(VENV)/installed-dev ## time engine, trust checks, batch, report, page and live view against pytorch-grad-cam and TorchCAM (20 minutes)
	@$(BIN)/python -m scripts.chromium
	@$(BIN)/python -m benchmarks.speed
	@$(BIN)/python -m benchmarks.own_module
	@$(BIN)/python -m benchmarks.trust
	@$(BIN)/python -m benchmarks.batch
	@$(BIN)/python -m benchmarks.report
	@$(BIN)/python -m benchmarks.page
	@$(BIN)/python -m benchmarks.live

fuzz: $(VENV)/installed-dev ## read 200,000 broken pictures and measure the time and memory of the worst (10 minutes)
	@$(BIN)/python -m benchmarks.fuzz
	@$(BIN)/python -m benchmarks.bad_pictures

sweep: $(VENV)/installed-dev ## check which layer is explained in every small network of timm and torchvision (an hour)
	@$(BIN)/python -m benchmarks.sweep

quality: $(VENV)/installed-dev ## measure the trust checks' verdicts, and how well every method and other libraries locate (an hour and a half)
	@$(BIN)/python -m benchmarks.verdicts
	@$(BIN)/python -m benchmarks.quality

load: $(VENV)/installed-dev ## serve 1 to 64 visitors at once, with and without replicas, then 2,000 explanations (12 minutes)
	@$(BIN)/python -m benchmarks.load

faults: $(VENV)/installed-dev ## break downloads, disks and servers and print what happens (5 minutes)
	@$(BIN)/python -m benchmarks.faults

weights: $(VENV)/installed ## download the weights of all networks, for a talk without internet
	@$(BIN)/python -m scripts.weights

screenshots: $(VENV)/installed-dev ## create the pictures and the animation in assets/screenshots
	@$(BIN)/python -m scripts.chromium
	@$(BIN)/python -m scripts.screenshots

clean: ## remove everything these targets made
	rm -rf $(VENV) build *.egg-info out test-results .pytest_cache .mypy_cache .ruff_cache .gradio
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed.")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv is needed (Debian: apt-get install python3-venv)." >&2; exit 1; }

# The stamps are written last, so an installation that was cut off is done again.
$(VENV)/installed: requirements.txt | $(BIN)/python
	$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/installed-ray: requirements-ray.txt $(VENV)/installed
	$(PIP) install -r requirements.txt -r requirements-ray.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements-ray.txt $(VENV)/installed
	$(PIP) install -r requirements.txt -r requirements-ray.txt -r requirements-dev.txt
	@touch $@
