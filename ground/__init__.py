"""The ground this project stands on while it is developed: a real Kubernetes cluster made by kind.

Standard library and PyYAML only: the tool must run before anything else of the project does.
"""
