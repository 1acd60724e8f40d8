"""`LlamaModel` as frozen, typed data.

The CRD (`crds/`) is the public API and the truth; the API server has applied its schema, defaults and rules before
the operator sees an object. These types repeat its shape so that mypy checks the builders, and refuse what an older
or a hand-edited CRD might let through. `tests/unit/api/test_parity.py` holds the two together.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from llama_operator.api.engine import Engine

Quantity = str | int
"""A Kubernetes quantity as users write it: `2`, `"500m"`, `"8Gi"`."""


class SpecError(Exception):
    """The spec cannot be built; `field` is the JSON path a user would look for."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class _Base(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    pass


class SecretKeyRef(_Base, frozen=True):
    name: str
    key: str


class LocalObjectReference(_Base, frozen=True):
    name: str


class UrlSource(_Base, frozen=True):
    """`headers_secret_ref`: a Secret whose keys are request headers."""

    url: str
    sha256: str | None = None
    headers_secret_ref: LocalObjectReference | None = None


class HuggingFaceSource(_Base, frozen=True):
    """Exactly one of `file` and `quantization` is set."""

    repo: str
    file: str | None = None
    quantization: str | None = None
    revision: str = "main"
    endpoint: str = "https://huggingface.co"
    sha256: str | None = None
    token_secret_ref: SecretKeyRef | None = None


class S3Source(_Base, frozen=True):
    """`credentials_secret_ref`: a Secret with accessKeyID, secretAccessKey and perhaps sessionToken."""

    uri: str
    endpoint: str | None = None
    region: str | None = None
    sha256: str | None = None
    credentials_secret_ref: LocalObjectReference | None = None


class OciSource(_Base, frozen=True):
    """A file in an image, which the kubelet pulls and mounts (an image volume)."""

    image: str
    path: str
    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    sha256: str | None = None


class VolumeSource(_Base, frozen=True):
    claim_name: str
    path: str
    sha256: str | None = None


class Source(_Base, frozen=True):
    """Where a file comes from; exactly one member is set."""

    url: UrlSource | None = None
    hugging_face: HuggingFaceSource | None = None
    s3: S3Source | None = None
    oci: OciSource | None = None
    volume: VolumeSource | None = None


class Claim(_Base, frozen=True):
    size: str
    storage_class_name: str | None = None
    access_modes: tuple[str, ...] = ("ReadWriteOnce",)


class Cache(_Base, frozen=True):
    """A volume that many models share: exactly one of `claim_name` (it exists) and `node_path`."""

    claim_name: str | None = None
    node_path: str | None = None
    quota: Quantity | None = None
    when_unused: Literal["Keep", "Delete"] = "Keep"


class Storage(_Base, frozen=True):
    """Exactly one member is set."""

    claim: Claim | None = None
    cache: Cache | None = None


class Projector(_Base, frozen=True):
    source: Source


class Adapter(_Base, frozen=True):
    """LoRA; `scale` is a decimal number, as text: floating point has no one way to be written."""

    name: str
    source: Source
    scale: str = "1.0"


class Draft(_Base, frozen=True):
    source: Source
    max_tokens: int | None = None
    min_tokens: int | None = None


class Accelerator(_Base, frozen=True):
    type: Literal["cpu", "cuda"] = "cpu"
    count: int | None = None
    resource_name: str | None = None


class Rollout(_Base, frozen=True):
    surge: Literal["Auto", "Never"] = "Auto"


class Resources(_Base, frozen=True):
    limits: dict[str, Quantity] = {}
    requests: dict[str, Quantity] = {}


class Service(_Base, frozen=True):
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    port: int = 8000
    annotations: dict[str, str] = {}


class IngressTLS(_Base, frozen=True):
    secret_name: str


class Ingress(_Base, frozen=True):
    host: str
    class_name: str | None = None
    path: str = "/"
    tls: IngressTLS | None = None
    annotations: dict[str, str] = {}


class Auth(_Base, frozen=True):
    """Exactly one member is set. Without all of it a key is generated: a default would clash with an edit."""

    api_key_secret_ref: SecretKeyRef | None = None
    generate: bool | None = None
    none: bool | None = None


class NetworkPolicy(_Base, frozen=True):
    """`sources` are NetworkPolicyPeers, passed on as they are; without any, everybody may ask the model."""

    enabled: bool = True
    sources: tuple[dict[str, Any], ...] = msgspec.field(default=(), name="from")


class Pod(_Base, frozen=True):
    """Placement and decoration of the pods; members are PodSpec's, passed on as they are."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    node_selector: dict[str, str] = {}
    tolerations: tuple[dict[str, Any], ...] = ()
    affinity: dict[str, Any] = {}
    topology_spread_constraints: tuple[dict[str, Any], ...] = ()
    priority_class_name: str | None = None
    runtime_class_name: str | None = None
    service_account_name: str | None = None
    image_pull_secrets: tuple[LocalObjectReference, ...] = ()
    termination_grace_period_seconds: int = 300


class Spec(_Base, frozen=True):
    source: Source
    projector: Projector | None = None
    adapters: tuple[Adapter, ...] = ()
    draft: Draft | None = None
    storage: Storage | None = None
    accelerator: Accelerator = Accelerator()
    engine: Engine = Engine()
    image: str | None = None
    replicas: int = 1
    rollout: Rollout = Rollout()
    resources: Resources = Resources()
    service: Service = Service()
    ingress: Ingress | None = None
    auth: Auth | None = None
    network_policy: NetworkPolicy = NetworkPolicy()
    pod: Pod = Pod()


class LlamaModel(msgspec.Struct, frozen=True):
    """One object of the API: who it is, which version of its spec this is, and the spec."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: Spec


def parse(obj: dict[str, Any]) -> LlamaModel:
    """Read a LlamaModel as the API server returns it.

    Raises `SpecError`, naming the field, if the object does not have the CRD's shape.
    """
    meta = obj["metadata"]
    try:
        spec = msgspec.convert(obj.get("spec", {}), Spec)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise SpecError(f"spec{path.rstrip('`')}", message) from error
    _check(spec)
    return LlamaModel(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        spec=spec,
    )


def readable(obj: dict[str, Any]) -> LlamaModel | None:
    """The LlamaModel, or None where `parse` refuses it: for whoever has nothing to say about why."""
    try:
        return parse(obj)
    except SpecError:
        return None


def _check(spec: Spec) -> None:
    """What the types cannot say: that exactly one member of some objects is set."""
    for _, field, source in sources(spec):
        _exactly_one(field, source)
        if source.hugging_face:
            _exactly_one(f"{field}.huggingFace", source.hugging_face, ("file", "quantization"))
    if spec.auth:
        _exactly_one("spec.auth", spec.auth)
    if spec.storage:
        _exactly_one("spec.storage", spec.storage)
        if spec.storage.cache:
            _exactly_one("spec.storage.cache", spec.storage.cache, ("claim_name", "node_path"))
    if spec.engine.chat_template:
        _exactly_one("spec.engine.chatTemplate", spec.engine.chat_template)


def sources(spec: Spec) -> list[tuple[str, str, Source]]:
    """All sources, each with its role and its JSON path: the model's first, then projector, adapters and draft."""
    found = [("model", "spec.source", spec.source)]
    if spec.projector:
        found.append(("projector", "spec.projector.source", spec.projector.source))
    for number, adapter in enumerate(spec.adapters):
        found.append((f"adapter/{adapter.name}", f"spec.adapters[{number}].source", adapter.source))
    if spec.draft:
        found.append(("draft", "spec.draft.source", spec.draft.source))
    return found


def _exactly_one(field: str, holder: msgspec.Struct, members: tuple[str, ...] = ()) -> None:
    # Not msgspec.structs.fields: that evaluates the annotations anew each time, and models are parsed often.
    fields = dict(zip(holder.__struct_fields__, holder.__struct_encode_fields__, strict=True))
    names = members or tuple(fields)
    if sum(getattr(holder, name) is not None for name in names) != 1:
        raise SpecError(field, f"exactly one of {', '.join(fields[name] for name in names)} must be set")
