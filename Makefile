# `make` alone prints this list. Everything else is done by small tools that the targets name.
.DEFAULT_GOAL := help
SHELL := /bin/bash
NODES ?= 1

# uv makes the virtual environment from uv.lock. Without one on PATH, a private one is installed from PyPI.
UV := $(shell command -v uv 2>/dev/null || echo $(CURDIR)/.ground/uv/bin/uv)
PY = $(UV) run --quiet --frozen python

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z0-9-]*:.*## / {printf "  \033[1mmake %-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv: uv.lock pyproject.toml
	@command -v $(UV) >/dev/null || { echo "installing uv into .ground/uv"; python3 -m venv .ground/uv && .ground/uv/bin/pip install --quiet uv; }
	@$(UV) sync --quiet --frozen
	@touch .venv

##@ Try it
.PHONY: demo cluster cluster-down doctor images
demo: .venv ## Cluster, images, helm install, a model, an answer. MODEL=org/repo/file.gguf takes one from Hugging Face
	@$(PY) -m demo

cluster: .venv ## A real Kubernetes cluster (kind) with Ingress, storage and metrics. NODES=2 for two nodes
	@$(PY) -m ground up --nodes $(NODES)

cluster-down: .venv ## Remove the cluster and everything that belongs to it
	@$(PY) -m ground down

doctor: .venv ## What is here, what is missing, and which way `make cluster` would take
	@$(PY) -m ground doctor

images: .venv ## Build the operator's and the server's image
	@$(PY) -m ground build operator llama-server

##@ Work on it
.PHONY: check fix test test-unit test-integration test-e2e bench-control-plane bench-staging bench-engine bench-memory generate
check: .venv ## Linters, types, layers
	@$(UV) run --quiet --frozen ruff check .
	@$(UV) run --quiet --frozen ruff format --check .
	@$(UV) run --quiet --frozen mypy operator ground demo hack models tests benchmarks
	@$(UV) run --quiet --frozen mypy images/llama-server/check_server.py images/llama-server/sbom.py
	@$(UV) run --quiet --frozen lint-imports

fix: .venv ## Let the linters repair what they can
	@$(UV) run --quiet --frozen ruff check --fix . ; $(UV) run --quiet --frozen ruff format .

test: .venv ## All tests: unit, integration (real API server), e2e (real cluster)
	@$(UV) run --quiet --frozen pytest

test-unit: .venv ## Tests of a few minutes, without network
	@$(UV) run --quiet --frozen pytest tests/unit

test-integration: .venv ## Tests against a real kube-apiserver and etcd, without a node
	@$(UV) run --quiet --frozen pytest tests/integration

test-e2e: .venv ## Tests on the real cluster
	@$(UV) run --quiet --frozen pytest tests/e2e

bench-control-plane: .venv ## Measure the operator at 1,000 and 5,000 models; about an hour, renews docs/benchmarks.md
	@$(PY) -m benchmarks.control_plane

bench-staging: .venv ## Measure the stager against curl and huggingface_hub with 1 GiB; renews docs/benchmarks-staging.md
	@$(UV) run --quiet --frozen --group bench python -m benchmarks.staging

bench-engine: .venv ## Measure the server's image beside Debian's, and what Kubernetes adds; renews docs/benchmarks-engine.md
	@$(PY) -m benchmarks.engine

bench-memory: .venv ## Predict and measure the memory of models with SERVER=/path/to/llama-server; renews docs/benchmarks-memory.md
	@$(PY) -m benchmarks.memory --server $(SERVER)

generate: .venv ## Derived files: API docs, the chart's copy of the CRD, the chart's README
	@for script in hack/*.py; do $(PY) $$script || exit 1; done
