"""Which model the demo serves: the hand-made one of examples/01-minimal.yaml, or one from Hugging Face."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demo.cluster import StepError
from ground.paths import REPO, STATE
from models import tiny_gguf

EXAMPLE = REPO / "examples" / "01-minimal.yaml"


@dataclass(frozen=True)
class Choice:
    """The manifest of a LlamaModel, and the file it is in."""

    manifest: dict[str, Any]
    path: Path

    @property
    def handmade(self) -> bool:
        """Whether the demo's file server has to serve the model."""
        return self.path == EXAMPLE

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def host(self) -> str:
        return str(self.manifest["spec"]["ingress"]["host"])


def example() -> Choice:
    """The first example."""
    return Choice(yaml.safe_load(EXAMPLE.read_text()), EXAMPLE)


def hugging_face(address: str) -> Choice:
    """A LlamaModel for `org/repo/path/to/file.gguf`. Raises StepError for anything else."""
    parts = address.split("/", 2)
    if len(parts) != 3 or not all(parts) or not address.endswith(".gguf"):
        raise StepError(
            f"MODEL={address} is not a file of a Hugging Face repository",
            "write it as org/repo/file.gguf, for example "
            "Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
        )
    name = _label(Path(parts[2]).stem)
    manifest = {
        "apiVersion": "llama-operator.dev/v1alpha1",
        "kind": "LlamaModel",
        "metadata": {"name": name},
        "spec": {
            "source": {"huggingFace": {"repo": f"{parts[0]}/{parts[1]}", "file": parts[2]}},
            "ingress": {"host": f"{name}.localhost"},
        },
    }
    return Choice(manifest, STATE / "demo" / f"{name}.yaml")


def write(choice: Choice) -> None:
    """Put the manifest where a person can see it."""
    choice.path.parent.mkdir(parents=True, exist_ok=True)
    choice.path.write_text(yaml.safe_dump(choice.manifest, sort_keys=False))


def _label(text: str) -> str:
    """A DNS label out of a file's name: lower-case letters, digits and dashes, first a letter, at most 40."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    named = words if words[:1].isalpha() else f"model-{words}"
    return named[:40].rstrip("-")


def handmade_file() -> bytes:
    """The test model, made here: the same bytes everywhere, 160 KB."""
    target = STATE / "demo" / "tiny.gguf"
    target.parent.mkdir(parents=True, exist_ok=True)
    tiny_gguf.write(target)
    return target.read_bytes()
