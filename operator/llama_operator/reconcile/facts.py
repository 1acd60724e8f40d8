"""What servers say of themselves, held against what was asked of them. Pure.

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
from llama_operator.reconcile import advice, respondents
from llama_operator.reconcile.finding import Finding
from llama_operator.resources.files import files

Object = dict[str, Any]
Told = Mapping[str, Facts | None]

FIELDS = ("build", "model", "contextSize", "slots", "contextTrained", "parameters", "bytes")
"""Members of `status.served`. The API server drops others."""
_PATH_SHOWN = 200


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
    known = [facts for uid in ready if (facts := told.get(uid)) is not None]
    waiting = not ready or any(uid not in told for uid in ready)
    if waiting and ("served" in old or not known):
        return old.get("served", {}), _remembered(before)
    return served(known), _deviation(asked, known) if asked else None


def served(known: Sequence[Facts]) -> Object:
    """Of several servers that differ, what the one says that has the least."""
    if not known:
        return {}
    told = msgspec.to_builtins(min(known, key=_least))
    return {name: told[name] for name in FIELDS if told.get(name)}


def _remembered(before: Mapping[str, Object]) -> Finding | None:
    old = before.get(Type.DEGRADED, {})
    return Finding(Reason(old["reason"]), old["message"]) if old.get("reason") in DEVIATIONS else None


def _deviation(asked: LlamaModel, known: Sequence[Facts]) -> Finding | None:
    """The worst that any of them says."""
    for judge in (_model, _slots, _context):
        for facts in sorted(known, key=_least):
            if found := judge(asked, facts):
                return found
    return None


def _model(asked: LlamaModel, facts: Facts) -> Finding | None:
    path = files(asked)[0].path
    if facts.model in ("", path):
        return None
    return Finding(
        Reason.OTHER_MODEL,
        f"llama-server serves {facts.model[:_PATH_SHOWN]} and not the staged file {path}; let spec.image be one that "
        "passes its arguments on to llama-server",
    )


def _slots(asked: LlamaModel, facts: Facts) -> Finding | None:
    wanted = asked.spec.engine.slots
    if facts.slots in (0, wanted):
        return None
    return Finding(
        Reason.SLOTS_DIFFER,
        f"llama-server has {facts.slots} slots, asked for {wanted}; see what spec.image and spec.engine make of "
        "--parallel",
    )


def _context(asked: LlamaModel, facts: Facts) -> Finding | None:
    wanted, got, trained = asked.spec.engine.context_size, facts.context_size, facts.context_trained
    if not 0 < got < wanted:
        return None
    if got == trained:
        why = f"the model was trained with no more; set spec.engine.contextSize to {trained}, or use another model"
    else:
        why = "see what spec.image and spec.engine make of --ctx-size"
    return Finding(Reason.CONTEXT_SMALLER, f"a request may use {got} tokens, asked for {wanted}: {why}")


def _least(facts: Facts) -> tuple[int, int, str, str]:
    return facts.context_size, facts.slots, facts.build, facts.model


def _uid(pod: Object) -> str:
    return str(pod["metadata"].get("uid", ""))
