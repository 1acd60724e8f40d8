"""For each CEL rule of the CRD values that break it; a test fails when a rule has none."""

from __future__ import annotations

from typing import Any

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
_IMAGE = {
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
}
_SPLIT = "-00001-of-00003.gguf"
_PARTS = ["-00002-of-00003.gguf", "-00000-of-00003.gguf", "-00001-of-00000.gguf", "-00001-of-00100.gguf"]
_FIRST_PART = "of a split model name the first part, -00001-of-0000N.gguf; it may have 99 parts"
_ONE_DIGEST = "sha256 is the digest of one file; a split model has several, so leave it out"
_OUTSIDE = ["..", "../m.gguf", "a/../../m.gguf", "a//m.gguf", "a/", "./m.gguf"]
_PATH = {
    "path must stay inside the volume: no empty, '.' or '..' parts": _OUTSIDE,
    _FIRST_PART: [f"a/m{part}" for part in _PARTS],
}
_MODEL_FLAGS = ["-m", "--model", "--model-url", "--model_url", "--docker-repo", "-hf", "--hf-repo", "--models-dir"]
_MODEL_FLAGS += ["--embd-gemma-default", "--fim-qwen-7b-spec", "--gpt-oss-20b-default", "--vision_gemma-4b_default"]
_OTHER_FILES = ["-mm", "--mmproj", "-mmu", "--mmproj-url", "--lora", "--lora-scaled", "--lora_scaled", "-md"]
_OTHER_FILES += ["--model-draft", "--spec-draft-model", "-hfd", "-hfrd", "--hf-repo-draft", "--spec_draft_hf"]
_ADDRESS_FLAGS = ["--host", "--port", "--reuse-port", "--api-prefix", "--api_prefix", "-a", "--path", "--ssl-key-file"]
_OPEN_FLAGS = [
    "--tools",
    "--agent",
    "-ag",
    "--no_agent",
    "--mcp-config",
    "--webui-mcp-proxy",
    "--ui_mcp_proxy",
    "--rpc",
]

VIOLATIONS: dict[str, dict[str, list[Any]]] = {
    "spec.source": {
        "exactly one of url, huggingFace, s3, oci, volume must be set": [
            {},
            {"url": {"url": "http://a/m"}, "volume": {"claimName": "a", "path": "b"}},
            {"s3": {"uri": "s3://abc/m"}, "oci": {"image": "a", "path": "b"}},
        ],
    },
    "spec.source.url": {
        _ONE_DIGEST: [{"url": f"https://a/{name}{_SPLIT}", "sha256": "0" * 64} for name in ("m", "%20")]
    },
    "spec.source.url.url": {
        _FIRST_PART: [f"http://a/m{part}" for part in _PARTS]
        + [f"http://a/m{_PARTS[0]}{end}" for end in ("?a=b", "#c")]
    },
    "spec.source.huggingFace": {
        "exactly one of file, quantization must be set": [
            {"repo": "a/b"},
            {"repo": "a/b", "file": "m.gguf", "quantization": "Q8_0"},
        ],
        "sha256 needs file: which file quantization finds is the repository's to say": [
            {"repo": "a/b", "quantization": "Q8_0", "sha256": "0" * 64},
        ],
        _ONE_DIGEST: [{"repo": "a/b", "file": f"m{_SPLIT}", "sha256": "0" * 64}],
    },
    "spec.source.huggingFace.file": {_FIRST_PART: [f"m{part}" for part in _PARTS]},
    "spec.source.s3": {_ONE_DIGEST: [{"uri": f"s3://abc/m{_SPLIT}", "sha256": "0" * 64}]},
    "spec.source.s3.uri": {
        "the key must not have empty, '.' or '..' parts": [f"s3://abc/{key}" for key in _OUTSIDE],
        _FIRST_PART: [f"s3://abc/m{part}" for part in _PARTS],
    },
    "spec.source.oci": {_ONE_DIGEST: [{"image": "a", "path": f"m{_SPLIT}", "sha256": "0" * 64}]},
    "spec.source.oci.image": _IMAGE,
    "spec.source.oci.path": _PATH,
    "spec.source.volume": {_ONE_DIGEST: [{"claimName": "a", "path": f"m{_SPLIT}", "sha256": "0" * 64}]},
    "spec.source.volume.path": _PATH,
    "spec.adapters[]": {
        "the path of an adapter must not have commas, colons or double quotes": [
            {"name": "a", "source": source}
            for path in ("a,b", "a:b", 'a"b')
            for source in ({"volume": {"claimName": "a", "path": path}}, {"oci": {"image": "a", "path": path}})
        ],
    },
    "spec.storage": {
        "exactly one of claim, cache must be set": [
            {},
            {"claim": {"size": "1Gi"}, "cache": {"claimName": "a"}},
        ],
    },
    "spec.storage.cache": {
        "exactly one of claimName, nodePath must be set": [{}, {"claimName": "a", "nodePath": "/a"}],
    },
    "spec.storage.cache.nodePath": {
        "nodePath must not have '.' or '..' parts": ["/..", "/a/../b", "/.", "/a/./b", "/a/.."],
    },
    "spec.storage.cache.quota": {"quota must be less than 1E": ["999999999999999Pi", "1000P", 2**63 - 1]},
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
        "projector, adapters and draft are chosen by their fields of spec, not by engine.args": [
            [flag, "x"] for flag in _OTHER_FILES
        ],
        "--host, --port, --api-prefix, --alias, --path, --ssl-* are set by the operator": [
            [flag, "x"] for flag in _ADDRESS_FLAGS
        ],
        "--tools, --agent, --mcp-*, --ui-mcp-*, --rpc would let clients reach beyond the model; they are refused": [
            [flag, "x"] for flag in _OPEN_FLAGS
        ],
        "--batch-size, --ubatch-size, --cache-type-k, --cache-type-v, --flash-attn, --cache-ram, --ctx-checkpoints are "
        "set by engine.batch, engine.kvCache, engine.flashAttention, engine.promptCache, engine.contextCheckpoints": [
            [flag, "x"]
            for flag in (
                *("-b", "-ub", "--ubatch_size", "-ctk", "--cache-type-v", "-fa", "-cram", "--cache_ram"),
                *("-ctxcp", "--ctx-checkpoints", "--swa_checkpoints"),
            )
        ],
        "--gpu-layers, --split-mode, --tensor-split, --main-gpu are set by engine.gpuLayers, engine.split": [
            [flag, "1"] for flag in ("-ngl", "--gpu-layers", "--n_gpu_layers", "-sm", "-ts", "--main-gpu")
        ],
        "--embeddings, --reranking, --reasoning, --reasoning-format, --reasoning-budget, --chat-template, "
        "--sleep-idle-seconds, --ui are set by engine.mode, engine.reasoning, engine.chatTemplate, engine.idleSleep, "
        "engine.webUI": [
            [flag]
            for flag in ("--embedding", "--rerank", "-rea", "--reasoning_budget", "--chat-template", "--no-webui")
        ],
        "--spec-draft-n-max, --spec-draft-n-min are set by draft.maxTokens, draft.minTokens": [
            [flag, "1"] for flag in ("--spec-draft-n-max", "--spec_draft_n_min")
        ],
        "secrets do not belong in engine.args; API keys are given by spec.auth": [
            [flag, "x"] for flag in ("--api-key", "--api_key", "--api-key-file", "--api_key_file", "-hft", "--hf-token")
        ],
        "args must not be longer than 128 KiB together": [_LONG_ITEMS],
    },
    "spec.engine": {
        "quantized kvCache.values need flash attention; flashAttention is disabled": [
            {"flashAttention": "disabled", "kvCache": {"values": type_}} for type_ in ("q8_0", "iq4_nl", "q5_1")
        ],
        "reasoning and chatTemplate are for mode chat": [
            {"mode": "embedding", "reasoning": {}},
            {"mode": "rerank", "chatTemplate": {"name": "chatml"}},
        ],
        "batch.micro must not be greater than batch.size (not given, it is 2048; in the modes embedding and rerank "
        "contextSize)": [
            {"batch": {"micro": 2049}},
            {"batch": {"size": 512, "micro": 513}},
            {"mode": "embedding", "contextSize": 1024, "batch": {"micro": 1025}},
            {"mode": "rerank", "contextSize": 8192, "batch": {"size": 512, "micro": 513}},
        ],
    },
    "spec.engine.idleSleep": {
        "idleSleep must not be more than 500h: llama-server counts milliseconds in 32 bits": ["501h", "999999h"],
    },
    "spec.engine.promptCache": {"promptCache must be less than 1P": ["1P", "1000T", 10**15]},
    "spec.engine.chatTemplate": {
        "exactly one of name, configMapKeyRef must be set": [
            {},
            {"name": "chatml", "configMapKeyRef": {"name": "a", "key": "b"}},
        ],
    },
    "spec.draft": {
        "minTokens needs maxTokens, and must not be greater": [
            {"source": {"url": {"url": "http://a/m"}}, **tokens}
            for tokens in ({"minTokens": 1}, {"minTokens": 9, "maxTokens": 8})
        ],
    },
    "spec.engine.env": {
        "this variable would override what the operator sets, or open the server; use the fields of spec": [
            [{"name": name, "value": "x"}]
            for name in (
                "LLAMA_ARG_MODEL",
                "LLAMA_ARG_HOST",
                "LLAMA_ARG_CTX_SIZE",
                "LLAMA_ARG_TOOLS",
                "AIP_MODE",
                "LLAMA_ARG_MMPROJ",
                "LLAMA_ARG_CACHE_TYPE_V",
                "LLAMA_ARG_CHAT_TEMPLATE",
                "LLAMA_ARG_NO_UI",
            )
        ],
        "API keys are given by spec.auth, so that they can be changed without an outage": [
            [{"name": name, "value": "x"}] for name in ("LLAMA_API_KEY", "LLAMA_ARG_API_KEY_FILE")
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
    "spec.image": _IMAGE,
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
    "spec.auth": {
        "exactly one of apiKeySecretRef, generate, none must be set": [
            {},
            {"generate": True, "none": True},
            {"none": True, "apiKeySecretRef": {"name": "keys", "key": "api"}},
        ],
    },
    "spec.networkPolicy.from[]": {
        "either ipBlock, or podSelector, namespaceSelector or both must be set": [
            {},
            {"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}},
            {"ipBlock": {"cidr": "10.0.0.0/8"}, "namespaceSelector": {}},
        ],
    },
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
