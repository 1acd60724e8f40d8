"""The sidecar: the container beside llama-server that knows whether it works, and lets it finish.

It runs as `python -m llama_operator.sidecar`, knows nothing of Kubernetes, and imports nothing of the operator. A
server that hangs is ended by it, so the kubelet starts it again. If the sidecar itself is gone, a server that runs is
only not watched. Why it is built like this: docs/decisions/0014-sidecar.md.
"""
