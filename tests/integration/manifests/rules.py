"""For each CEL rule of the CRD manifests that break it; a test fails when a rule has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.integration.manifests.fields import SCHEMA, SPEC, Field, fields, schemas
from tests.integration.manifests.mutations import Case

_LONG_ITEMS = ["x" * 4096] * 33
_LONG_ENV = [{"name": f"N{number}", "value": "\u20ac" * 8192} for number in range(6)]  # three bytes each
_KEYS = {
    "keys must be names like example.com/name": [
        {key: "a"}
        for key in ("", "a b", "a/b/c", "/a", "a/", "-a", "a-", "x" * 64, "\u0430", "a\nb", "$(A)", "a..b/c", "x" * 400)
    ],
}
_ANNOTATIONS = {
    **_KEYS,
    "annotations of llama-operator.dev/ are set by the operator": [{"llama-operator.dev/applied-hash": "forged"}],
    "annotations must not be longer than 128 KiB together": [{f"k{n}": "\u20ac" * 8192 for n in range(6)}],
}
_RESOURCES = {
    "resources are cpu, memory, ephemeral-storage, hugepages-*, or have a domain, as nvidia.com/gpu": [
        {"cpus": 1},
        {"gpu": 1},
        {"": 1},
        {"storage": "1Gi"},
        {"pods": 1},
    ],
    "quantities must be less than 1E": [
        {"memory": "1E"},
        {"memory": "9Ei"},
        {"memory": "9" * 32},
        {"cpu": "1e99"},
        {"cpu": 2**63 - 1},
    ],
}
_MODEL_FLAGS = ["-m", "--model", "--model-url", "--model_url", "--docker-repo", "-hf", "--hf-repo", "--models-dir"]
_ADDRESS_FLAGS = ["--host", "--port", "--reuse-port", "--api-prefix", "--api_prefix", "-a", "--path", "--ssl-key-file"]
_OPEN_FLAGS = ["--tools", "--agent", "-ag", "--mcp-config", "--webui-mcp-proxy", "--ui_mcp_proxy", "--rpc"]

VIOLATIONS: dict[str, dict[str, list[Any]]] = {
    "spec.source": {
        "exactly one of url, huggingFace, volume must be set in spec.source": [
            {},
            {"url": {"url": "http://a/m"}, "volume": {"claimName": "a", "path": "b"}},
        ],
    },
    "spec.source.volume.path": {
        "path must stay inside the volume: no empty, '.' or '..' parts": [
            "..",
            "../m.gguf",
            "a/../../m.gguf",
            "a//m.gguf",
            "a/",
            "./m.gguf",
        ],
    },
    "spec.storage.claim.size": {"size must be less than 1E": ["999999999999999Pi", "1000P", "889Pi"]},
    "spec.storage.claim.accessModes": {
        "ReadWriteOncePod excludes other access modes": [["ReadWriteOnce", "ReadWriteOncePod"]],
    },
    "spec.accelerator": {
        "count and resourceName are for accelerators; type is cpu": [
            {"count": 1},
            {"type": "cpu", "resourceName": "nvidia.com/gpu"},
        ],
    },
    "spec.engine.args": {
        "--ctx-size, --parallel, --threads are set by engine.contextSize, engine.slots, engine.threads": [
            [flag] for flag in ("-c", "--ctx-size", "--ctx_size", "-np", "--parallel", "-t", "--threads")
        ],
        "the model is chosen by spec.source, not by engine.args": [[flag, "x"] for flag in _MODEL_FLAGS],
        "--host, --port, --api-prefix, --alias, --path, --ssl-* are set by the operator": [
            [flag, "x"] for flag in _ADDRESS_FLAGS
        ],
        "--tools, --agent, --mcp-*, --ui-mcp-*, --rpc would let clients reach beyond the model; they are refused": [
            [flag, "x"] for flag in _OPEN_FLAGS
        ],
        "secrets do not belong in engine.args; use engine.env with LLAMA_API_KEY from a Secret": [
            [flag, "x"] for flag in ("--api-key", "--api_key", "-hft", "--hf-token")
        ],
        "args must not be longer than 128 KiB together": [_LONG_ITEMS],
    },
    "spec.engine.env": {
        "this variable would override what the operator sets, or open the server; use the fields of spec": [
            [{"name": name, "value": "x"}]
            for name in ("LLAMA_ARG_MODEL", "LLAMA_ARG_HOST", "LLAMA_ARG_CTX_SIZE", "LLAMA_ARG_TOOLS", "AIP_MODE")
        ],
        "values must not be longer than 128 KiB together": [_LONG_ENV],
    },
    "spec.engine.env[]": {
        "exactly one of value, valueFrom must be set": [
            {"name": "A"},
            {"name": "A", "value": "", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
        ],
    },
    "spec.engine.env[].valueFrom": {
        "exactly one of secretKeyRef, configMapKeyRef must be set": [
            {},
            {"secretKeyRef": {"name": "a", "key": "b"}, "configMapKeyRef": {"name": "a", "key": "b"}},
        ],
    },
    "spec.image": {
        "image must be a reference like registry.example.com/name:tag or name@sha256:digest": [
            *(
                "a-",
                "a:",
                "a@",
                "a/",
                "a//b",
                "a:b:c",
                "a/B",
                "a:-x",
                "http://a/b",
                "a@sha256:zz",
                "a..b",
                "a:" + "b" * 129,
            ),
        ],
    },
    "spec.resources": {
        "requests must not be greater than limits": [
            {"limits": {"cpu": 1}, "requests": {"cpu": "1001m"}},
            {"limits": {"memory": "1G"}, "requests": {"memory": "1Gi"}},
        ],
    },
    "spec.resources.limits": _RESOURCES,
    "spec.resources.requests": _RESOURCES,
    "spec.service.annotations": _ANNOTATIONS,
    "spec.ingress.annotations": _ANNOTATIONS,
    "spec.ingress.host": {"host must be a name, not an IP address": ["192.0.2.1", "999.9.9.9"]},
    "spec.ingress.path": {"path must not have '.' or '..' parts": ["/..", "/a/../b", "/.", "/a/./b"]},
    "spec.pod.labels": {
        "labels of llama-operator.dev/ and app.kubernetes.io/ are set by the operator": [
            {"app.kubernetes.io/name": "a"},
            {"llama-operator.dev/model": "other"},
        ],
        **_KEYS,
    },
    "spec.pod.annotations": _ANNOTATIONS,
    "spec.pod.nodeSelector": _KEYS,
    "spec.pod.tolerations[]": {
        "without a key, operator must be Exists": [{}, {"operator": "Equal", "value": "a"}, {"key": "", "value": "a"}],
        "with operator Exists there is no value": [{"key": "a", "operator": "Exists", "value": "b"}],
        "tolerationSeconds needs effect NoExecute": [
            {"key": "a", "tolerationSeconds": 1},
            {"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1},
        ],
    },
}
"""By field and by the rule's message: values of the field that break the rule."""

OF_THE_WHOLE: dict[str, list[dict[str, Any]]] = {
    "spec.storage has no meaning with spec.source.volume: the file is served in place": [
        {"source": {"volume": {"claimName": "a", "path": "m.gguf"}}},
    ],
    "engine.env LLAMA_API_KEY needs ingress.path '/': below another path llama-server asks for the key on /health too, "
    "and the kubelet has none": [{"engine": {"env": [{"name": "LLAMA_API_KEY", "value": "x"}]}}],
}
"""Rules of `spec` itself: parts of the spec that break them in the first valid manifest."""

NAME_RULE = SCHEMA["x-kubernetes-validations"][0]["message"]
NAMES = ["1a", "a.b", "x" * 64, "0"]
"""Names that Kubernetes accepts for an object, and we do not."""


def cases() -> list[Case]:
    """All of them."""
    known = {field.kind: field for field in fields()}
    found = [case for kind, rules in VIOLATIONS.items() for case in _cases(known[kind], rules)]
    spec = known["spec"]
    found += _cases(spec, {message: [spec.value() | part for part in parts] for message, parts in OF_THE_WHOLE.items()})
    names = [spec.manifest | {"metadata": {"name": name}} for name in NAMES]
    return found + [Case(f"metadata.name-{n}", manifest, (NAME_RULE,)) for n, manifest in enumerate(names)]


def _cases(field: Field, rules: dict[str, list[Any]]) -> Iterator[Case]:
    for message, values in rules.items():
        words = "-".join(message.split()[:5]).rstrip(",:;")
        for number, value in enumerate(values):
            yield Case(f"{field.kind}-rule-{words}-{number}", field.replaced(value), (field.path, message))


def rules() -> set[tuple[str, str]]:
    """Field and message of each rule that one manifest alone can break: not by comparing with an older one."""
    return {
        (kind, rule["message"])
        for kind, schema in schemas("spec", SPEC)
        for rule in schema.get("x-kubernetes-validations", [])
        if "oldSelf" not in rule["rule"]
    }
