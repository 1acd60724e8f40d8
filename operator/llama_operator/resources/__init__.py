"""Builders of the children of a LlamaModel."""
