"""LlamaModels for tests: the examples, and variations of the smallest one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from llama_operator.api.types import LlamaModel, parse
from llama_operator.config import Config
from llama_operator.flags import table

EXAMPLES = sorted(Path("examples").glob("*.yaml"))
UID = "5c1f6a52-0a4e-4f0e-9a51-3d7a8a4e9c11"
CONFIG = Config(
    stage_image="localhost/llama-operator:0.1.0",
    server_images={"cpu": "localhost/llama-server:0.1.0", "cuda": "localhost/llama-server:0.1.0-cuda"},
    server_builds=dict.fromkeys(("cpu", "cuda"), table.builds()[-1]),
)


def example(path: Path) -> dict[str, Any]:
    """The example as an API server would return it, but for the defaults, which `parse` knows as well."""
    raw: dict[str, Any] = yaml.safe_load(path.read_text())
    raw["metadata"] |= {"namespace": "default", "uid": UID, "generation": 1}
    return raw


def raw(**spec: Any) -> dict[str, Any]:
    """The smallest LlamaModel that everybody may ask, `tiny` in `default`, with these members of its spec."""
    return {
        "apiVersion": "llama-operator.dev/v1alpha1",
        "kind": "LlamaModel",
        "metadata": {"name": "tiny", "namespace": "default", "uid": UID, "generation": 1},
        "spec": {"source": {"url": {"url": "http://files/tiny.gguf"}}, "auth": {"none": True}, **spec},
    }


def model(**spec: Any) -> LlamaModel:
    return parse(raw(**spec))


def expand(text: str, variables: dict[str, str]) -> str:
    """What the kubelet does to args: k8s.io/kubernetes third_party/forked/golang/expansion."""

    def one(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", one, text)
