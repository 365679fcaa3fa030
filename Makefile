# Everything a person or a build machine needs: Python 3.11 to 3.13, make, and nothing else. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?=
BIN := .venv/bin
READY := .venv/.ready
MODELS := .venv/.models
DEMO_MODELS := .venv/.demo-models
SAMPLES := .samples/pytest_audioeval .samples/argon2-specs.pdf
PAPER := argon2-cffi-bindings==26.2.0 --hash=sha256:f21ab89bb9850f32b9ca038d9961424bb0d3669d579cbbbfed068cffa6fc0643
# The lock file and what is installed must not depend on this machine's uv settings.
UV := UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never $(BIN)/uv

.PHONY: help
help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(DEMO_MODELS) ## Show the main job on real photos and texts; KEEP=1 leaves the server up
	@PRISMHOUSE_DEMO_KEEP="$(KEEP)" $(BIN)/prismhouse demo

.PHONY: serve
serve: $(MODELS) ## Run the server on 127.0.0.1:8080 with its data in ./prismhouse-data
	@$(BIN)/prismhouse serve

.PHONY: test
test: $(MODELS) $(SAMPLES) ## Formatting, lint, types, layers, then every test but the slow ones and those of Ray; stops at the first that fails
	@./scripts/check "$(BIN)"

.PHONY: test-ray
test-ray: ROUNDS ?= 5
test-ray: $(MODELS) ## Everything that needs Ray, the slow tests too; SEED=n plays rounds of kill -9 again, ROUNDS=n fewer or more
	@PRISMHOUSE_FAULT_SEED=$(SEED) PRISMHOUSE_FAULT_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -q -m ray --durations 10

SEED ?= $(shell od -An -N3 -tu4 /dev/urandom | tr -d ' ')

.PHONY: test-faults
test-faults: ROUNDS ?= 50
test-faults: $(MODELS) ## Rounds of kill -9 at every point of a batch; SEED=n plays them again, ROUNDS=n fewer or more
	@PRISMHOUSE_FAULT_SEED=$(SEED) PRISMHOUSE_FAULT_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -v tests/fault/test_rounds.py

.PHONY: test-slow
test-slow: $(MODELS) $(SAMPLES) ## The slow tests that are neither rounds of kill -9 nor Ray: a folder of 60 files, courses, killed deployments
	@$(BIN)/python -m pytest -q -m "slow and not ray" --ignore tests/fault/test_rounds.py --durations 10

.PHONY: lint
lint: $(READY) ## Formatting, lint, types and layers, without the tests
	@./scripts/check "$(BIN)" --no-tests

.PHONY: fmt
fmt: $(READY) ## Format and sort imports
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format .

.PHONY: bench
bench: $(MODELS) ## Measure, with ratios to an exact scan; needs a quiet machine
	@$(BIN)/python -m bench

.PHONY: install
install: $(MODELS) ## Make .venv with everything in it; the other targets do this on their own

.PHONY: clean
clean: ## Remove .venv and caches; data folders stay
	rm -rf .venv .samples .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/uv:
	@./scripts/make-venv .venv "$(PYTHON)"

$(READY): $(BIN)/uv pyproject.toml uv.lock
	@$(UV) sync --frozen --quiet --inexact --all-extras --all-groups
	@touch $@

# The demo shows photos and texts: it does without the 226 MB of speech.
$(DEMO_MODELS): $(READY)
	@test -e $(MODELS) || $(BIN)/prismhouse models install all_minilm_l6_v2_v1 efficientnet_lite2_imagenet_v1
	@touch $@

$(MODELS): $(READY)
	@$(BIN)/prismhouse models install
	@touch $@

.PHONY: samples
samples: $(SAMPLES) ## Clips of speech and a paper for tests: files of packages whose code is not wanted

.samples/pytest_audioeval: $(READY)
	@$(UV) pip install --quiet --target .samples --no-deps pytest-audioeval==0.1.3

# The paper is in the source package alone, so this is not installed but unpacked.
.samples/argon2-specs.pdf: $(READY)
	@mkdir -p .samples/source && echo "$(PAPER)" > .samples/source/requirements.txt
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary argon2-cffi-bindings --require-hashes \
	  -r .samples/source/requirements.txt -d .samples/source
	@tar -xzf .samples/source/argon2_cffi_bindings-*.tar.gz -C .samples --strip-components=3 --wildcards '*/argon2-specs.pdf'
	@rm -r .samples/source && touch $@
