"""Names that are part of the public API or visible on every object the operator writes."""

GROUP = "llama-operator.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "LlamaModel"
PLURAL = "llamamodels"

# Owns the fields of every child that the operator applies (server-side apply).
FIELD_MANAGER = "llama-operator"

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "llama-operator"

# On every child and pod: the LlamaModel's name. It is the Deployment's selector, so it can never change.
MODEL_LABEL = f"{GROUP}/model"

# What a pod is for: a model's servers and the pods that stage for it have the same MODEL_LABEL.
COMPONENT_LABEL = "app.kubernetes.io/component"
SERVER = "server"
STAGER = "stager"
COLLECTOR = "collector"

# On a Deployment: what its pod template was made from (resources.served).
SERVED = f"{GROUP}/served"

# On a Deployment: what to return to while a newer version is on trial, and what was rolled back, and why
# (reconcile.rollback).
FALLBACK = f"{GROUP}/fallback"
ROLLED_BACK = f"{GROUP}/rolled-back"

# On a Job: the sources that it stages (resources.sources).
SOURCES = f"{GROUP}/sources"

# On pod templates: names of the links on the volume that the pods use, with blanks between them. They are in use as
# long as a pod with them exists. On a Deployment itself: those of its fallback.
FILES = f"{GROUP}/files"

# Hash of the desired object as it was last applied: tells that something was taken out of it.
APPLIED_HASH = f"{GROUP}/applied-hash"

# On the Deployment: the number of replicas that the spec asked for when it was last applied.
REPLICAS = f"{GROUP}/replicas"

# uid and gid of every container: `nonroot` of the distroless images, known to many policies.
NON_ROOT = 65532

# Port of llama-server in the pod and in the image (the seed's `docker run -p 8000:8000`).
SERVER_PORT = 8000

# Port of the stager, on which it tells how far it is (api.staging.PROGRESS_PATH).
PROGRESS_PORT = 8081
