"""What servers serve, held against what was asked of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llama_operator.api.conditions import Reason
from llama_operator.api.sidecar import Facts
from llama_operator.api.types import LlamaModel
from llama_operator.reconcile.finding import Finding
from llama_operator.resources.files import files
from llama_operator.resources.server import accelerators

_PATH_SHOWN = 200


@dataclass(frozen=True)
class Server:
    """What one says, and what its pod's stager has read of the model's file; empty if that is not known."""

    facts: Facts
    staged: Mapping[str, Any] = field(default_factory=dict)


def worst(asked: LlamaModel, servers: Sequence[Server]) -> Finding | None:
    """The worst that any of them says; None if all have what was asked."""
    for judge in (_model, _file, _accelerator, _slots, _context):
        for server in servers:
            if found := judge(asked, server):
                return found
    return None


def least(server: Server) -> tuple[Any, ...]:
    """To sort by: who has the least comes first, and of the same ones always the same."""
    said = server.facts
    has = said.context_size, said.slots, said.devices or ()
    return *has, said.build, said.model, said.quantization, said.sha256, server.staged.get("sha256", "")


def _model(asked: LlamaModel, server: Server) -> Finding | None:
    path, told = files(asked)[0].path, server.facts.model
    if told in ("", path):
        return None
    return Finding(
        Reason.OTHER_MODEL,
        f"llama-server serves {told[:_PATH_SHOWN]} and not the staged file {path}; let spec.image be one that "
        "passes its arguments on to llama-server",
    )


def _file(_: LlamaModel, server: Server) -> Finding | None:
    told, staged = server.facts.sha256, server.staged.get("sha256")
    if not told or not staged or told == staged:
        return None
    return Finding(
        Reason.OTHER_MODEL,
        f"llama-server serves a file with the SHA-256 {told}, and {staged} was staged and verified for its pod; delete "
        "the pod, and the next one verifies what it serves",
    )


def _accelerator(asked: LlamaModel, server: Server) -> Finding | None:
    wanted = accelerators(asked.spec.accelerator)
    if not wanted or server.facts.devices != ():
        return None
    told = ", ".join(f"{count} {name}" for name, count in wanted.items())
    return Finding(
        Reason.ACCELERATOR_UNUSED,
        f"llama-server has no accelerator open and computes on the CPU, asked for {told}; the first lines of its log "
        "say why. Mostly the node's driver is not in the container (see spec.pod.runtimeClassName), or spec.image has "
        "no backend for it",
    )


def _slots(asked: LlamaModel, server: Server) -> Finding | None:
    wanted, got = asked.spec.engine.slots, server.facts.slots
    if got in (0, wanted):
        return None
    return Finding(
        Reason.SLOTS_DIFFER,
        f"llama-server has {got} slots, asked for {wanted}; see what spec.image and spec.engine make of --parallel",
    )


def _context(asked: LlamaModel, server: Server) -> Finding | None:
    wanted, got, trained = asked.spec.engine.context_size, server.facts.context_size, server.facts.context_trained
    if not 0 < got < wanted:
        return None
    if got == trained:
        why = f"the model was trained with no more; set spec.engine.contextSize to {trained}, or use another model"
    else:
        why = "see what spec.image and spec.engine make of --ctx-size"
    return Finding(Reason.CONTEXT_SMALLER, f"a request may use {got} tokens, asked for {wanted}: {why}")
