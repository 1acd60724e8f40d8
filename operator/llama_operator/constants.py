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

# On every child and pod: the LlamaModel's name. It is in the Deployment's selector, so it can never change.
MODEL_LABEL = f"{GROUP}/model"

# What a pod is for. Servers and the pods that only stage belong to one model, and the Service must not mix them up.
COMPONENT_LABEL = "app.kubernetes.io/component"
SERVER = "server"
STAGER = "stager"
COLLECTOR = "collector"

# Hash of the desired object as it was last applied: tells that something was taken out of it.
APPLIED_HASH = f"{GROUP}/applied-hash"

# On the Deployment: the number of replicas that the spec asked for when it was last applied.
REPLICAS = f"{GROUP}/replicas"

# On the Deployment: sources and storage that it is built with, as JSON. It may lag behind the spec (stage first).
SERVED = f"{GROUP}/served"

# On every pod that uses staged files: the names of their links, separated by commas. They are what keeps the files.
FILES = f"{GROUP}/files"

# On the Job that stages: the fingerprint of what it stages, and where to.
STAGES = f"{GROUP}/stages"

# uid and gid of every container: `nonroot` of the distroless images, known to many policies.
NON_ROOT = 65532

# Port of llama-server in the pod and in the image (the seed's `docker run -p 8000:8000`).
SERVER_PORT = 8000

# Port on which a stager tells how far it is.
PROGRESS_PORT = 8081
