# krunner's development commands. `make` or `make help` lists them.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PATHS := executor runner tests integration

# What the integration tests drive: registries, second builders, and tools that read what we write.
DEBIAN_PACKAGES := buildah busybox-static ca-certificates chromium crun default-jre-headless docker-registry \
	docker.io fish gcc git groovy libc6-dev man-db mmdebstrap openssh-client openssl qemu-user-static skopeo tmux umoci zsh

.DEFAULT_GOAL := help
.PHONY: help venv demo image check fuzz format man integration bench clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/.stamp ## make .venv with krunner and executor in .venv/bin

$(VENV)/.stamp: pyproject.toml constraints.txt scripts/make-venv
	@echo "preparing $(VENV)"
	@PYTHON=$(PYTHON) scripts/make-venv $(VENV)
	@touch $@

demo: venv ## build and push three images to a registry started for it, pull one back and run it
	@scripts/demo

image: venv ## build our own images into dist/ for docker load (IMAGE_BASE=local: on a base made here, as root)
	@scripts/make-image

check: venv ## formatting, lint, types, import rules and the unit tests: no root, no server
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/ruff check $(PATHS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests -n 2 -q

fuzz: venv ## the properties of the Dockerfile's language, lint and .dockerignore over 10,000 inputs each
	$(BIN)/pytest tests/executor/dockerfile -n 2 -q --hypothesis-profile=fuzz -o timeout=1800

format: venv ## format the code and fix what the linter can fix
	$(BIN)/ruff format $(PATHS)
	$(BIN)/ruff check --fix $(PATHS)

man: venv ## write man/*.1 anew from the commands' own help
	$(BIN)/python scripts/manpages.py

integration: venv ## the tests against real registries, builders and mounts (root; installs Debian packages)
	@if [ "$$(id -u)" -ne 0 ]; then echo "make integration mounts and chroots: run it as root" >&2; exit 1; fi
	@scripts/apt-ensure $(DEBIAN_PACKAGES)
	$(BIN)/pytest integration -q -o timeout=600

bench: venv ## time and memory beside every builder that is found (root); BENCH="--workloads a,b --peers c --rounds 2"
	@if [ "$$(id -u)" -ne 0 ]; then echo "make bench mounts and chroots: run it as root" >&2; exit 1; fi
	@scripts/apt-ensure busybox-static docker-registry mmdebstrap skopeo
	$(BIN)/python -m compileall -q executor runner
	unshare --mount $(BIN)/python -m integration.bench $(BENCH)

clean: ## remove .venv, caches and build products
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
