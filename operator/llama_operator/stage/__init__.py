"""The stager: the init container that puts one verified model file where llama-server reads it.

It runs as `python -m llama_operator.stage`, knows nothing of Kubernetes, and imports nothing else of this package.
A file appears under its final name only after its content has been hashed and its structure checked; everything
else lives in a hidden folder and can be lost. So no moment of a kill needs a clean-up: the next run looks at what
is there and goes on. Why it is built like this: docs/decisions/0004-staging.md.
"""
