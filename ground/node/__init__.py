"""The node image: what a container of kind needs to be a Kubernetes node, from Debian packages and Go modules."""
