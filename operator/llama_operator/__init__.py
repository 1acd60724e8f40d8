"""llama-operator: run llama.cpp on Kubernetes from a `LlamaModel`."""

__version__ = "0.1.0"
