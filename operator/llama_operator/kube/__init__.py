"""The Kubernetes API as this operator uses it: list, get, apply, delete, report an event."""
