"""What servers say of themselves: what of it gets into the status, and which of them do not work. Pure.

`Told` has it by uid of the pod: None for one that does not answer, nothing for one that was not asked yet. While
somebody may still answer, what the status said before stays: a restart of the operator is no news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from llama_operator.api.conditions import DEVIATIONS, Reason, Type
from llama_operator.api.sidecar import Facts
from llama_operator.api.types import LlamaModel
from llama_operator.reconcile import advice, deviations, pods, respondents
from llama_operator.reconcile.deviations import Server
from llama_operator.reconcile.finding import Finding
from llama_operator.resources.files import files

Object = dict[str, Any]
Told = Mapping[str, Facts | None]

FIELDS = (
    "build",
    "model",
    "sha256",
    "architecture",
    "quantization",
    "contextSize",
    "slots",
    "contextTrained",
    "parameters",
    "bytes",
    "devices",
)
"""Members of `status.served`. The API server drops others."""


def problems(current: Iterable[Object], told: Told, before: Mapping[str, Object]) -> dict[str, Finding]:
    """By uid of the pod: servers that are up and do not complete a request. `before`: conditions, by type."""
    return {_uid(pod): problem for pod in current if (problem := _problem(pod, told, before))}


def _problem(pod: Object, told: Told, before: Mapping[str, Object]) -> Finding | None:
    name = pod["metadata"]["name"]
    begins = f"llama-server in pod {name} has loaded the model, and completes no request: "
    if _uid(pod) not in told:
        said = (c["message"] for c in before.values() if c["reason"] == Reason.NO_COMPLETION)
        old = next((message for message in said if message.startswith(begins)), None)
        return Finding(Reason.NO_COMPLETION, old) if old else None
    facts = told[_uid(pod)]
    if facts is None or not facts.problem:
        return None
    todo = advice.on_problem(facts.problem) or f"`kubectl logs {name} -c llama-server` has what it said"
    return Finding(Reason.NO_COMPLETION, f"{begins}{facts.problem}; {todo}", quotes=True)


def judged(
    asked: LlamaModel | None, current: Sequence[Object], told: Told, old: Object, before: Mapping[str, Object]
) -> tuple[Object, Finding | None]:
    """`status.served`, and how it differs from what was asked, if it does.

    `asked`: the model as the pods `current` were made for it; `old`: the status before, and `before` its conditions.
    """
    ready = [server.pod for server in respondents.servers(current) if server.ready]
    known = {uid: _believed(asked, facts) for uid in ready if (facts := told.get(uid)) is not None}
    waiting = not ready or any(uid not in told for uid in ready)
    if waiting and ("served" in old or not known):
        return old.get("served", {}), _remembered(before)
    if not known:
        return {}, None
    servers = [Server(known[_uid(pod)], _staged(pod)) for pod in current if _uid(pod) in known]
    servers.sort(key=deviations.least)
    return _served(servers[0]), deviations.worst(asked, servers) if asked else None


def _believed(asked: LlamaModel | None, facts: Facts) -> Facts:
    """A digest is a name that the stager has given: on a user's own volume anything may have it."""
    file = files(asked)[0] if asked else None
    staged = file is not None and len(file.links) == 1 and facts.model == file.path
    return facts if staged else msgspec.structs.replace(facts, sha256="")


def _staged(pod: Object) -> Object:
    """What its stager has read of the model, as a member of `status.files`; empty if it does not say."""
    return next((file for file in pods.staging(pod).files if file["role"] == "model"), {})


def _served(server: Server) -> Object:
    told = msgspec.json.decode(msgspec.json.encode(server.facts))  # as the API server gives it back: lists, no tuples
    if server.facts.sha256 == server.staged.get("sha256"):
        told["architecture"] = server.staged.get("architecture")  # the header is of the very bytes that are mapped
    return {name: told[name] for name in FIELDS if told.get(name)}


def _remembered(before: Mapping[str, Object]) -> Finding | None:
    old = before.get(Type.DEGRADED, {})
    return Finding(Reason(old["reason"]), old["message"]) if old.get("reason") in DEVIATIONS else None


def _uid(pod: Object) -> str:
    return str(pod["metadata"].get("uid", ""))
