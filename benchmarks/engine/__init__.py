"""`python -m benchmarks.engine`: the server's image beside Debian's, and what Kubernetes adds to it."""
