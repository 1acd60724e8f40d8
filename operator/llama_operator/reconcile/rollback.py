"""Which version of the spec the pods are made from: the newest, or the last one that answered. Pure.

The Deployment remembers, so the operator needs no memory, and a restart in the middle is no special case: annotations
say what its template was made from (S), while a newer version is on trial the last one that answered (L, `fallback`),
and after a rollback which version failed (F), in the words of its pods, which are gone by then.

    L    F     the spec asks for    its servers                    then
    -    -     S                    (whatever they do)             nothing: it has answered once, or is the first
    -    -     W                    S answers                      W on trial, L = S
    -    -     W                    S does not answer              W, without a net: nobody is served
    L    -     S                    S answers                      the trial is over: L is forgotten
    L    -     S                    S fails for good (`blame`)     rolled back: L's template, F = S and why
    L    -     S                    neither of both, or asleep     it waits
    L    -     W                    (whatever they do)             W on trial, L stays (is forgotten, if W is L)
    L    -     W, held (`ahead`)    S fails for good               L's template, until the files of W are there
    -    F     F                    (whatever they do)             nothing: rolled back, until the spec is another
    -    F     W                    answers, or starts anew        W on trial, L = S: it has answered before F
    -    F     W, held (`ahead`)    as without F                   as without F

"Answers" means that no pod of another version is left, and at least one is available. That is not asked of more than
one, for an autoscaler may add pods faster than nodes; and a version that has answered is not rolled back later, for
what happens to it then is not the rollout's fault. So a rollback happens once for each version that is asked for, and
nothing flaps. Who takes the annotation F from the Deployment has the same version tried again.

No case of its own: `replicas: 0` and an autoscaler at 0 (a trial goes on when a pod is there; a change while all is
asleep has no net), Recreate and a GPU that is replaced in place (L starts anew after a rollback).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.api.types import Spec
from llama_operator.resources import served as record

Object = dict[str, Any]

LIMIT = 1024
"""Characters of the cause that are kept."""


class Failed(msgspec.Struct, frozen=True):
    """A version that was rolled back: its fingerprint, and what its pods said."""

    version: str
    reason: str
    message: str


@dataclass(frozen=True)
class Standing:
    """What a Deployment says of its versions: S, L and F. A Deployment that says nothing has none of them."""

    serves: Spec | None = None
    fallback: Spec | None = None
    failed: Failed | None = None


def standing(deployment: Object) -> Standing:
    told = deployment.get("metadata", {}).get("annotations") or {}
    serves = record.read(told.get(constants.SERVED, ""))
    fallback = record.read(told.get(constants.FALLBACK, ""))
    return Standing(serves, fallback if serves else None, _failed(told.get(constants.ROLLED_BACK, "")))


def marks(of: Standing) -> dict[str, str]:
    """Annotations, as `standing` reads them; the builders write S."""
    fallback = record.written(of.fallback) if of.fallback else None
    failed = {constants.ROLLED_BACK: msgspec.json.encode(of.failed).decode()} if of.failed else {}
    return failed | ({constants.FALLBACK: fallback} if fallback else {})


def still(before: Standing, wanted: Spec) -> Standing:
    """Without F, if that is not what the spec asks for."""
    if before.failed and before.failed.version != record.fingerprint(wanted):
        return replace(before, failed=None)
    return before


def stays(before: Standing, wanted: Spec, cause: Failed | None) -> Spec | None:
    """What the pods may be made from until the spec's files are there; None after a rollback, when that is no question.

    `wanted` is what the spec asks for: one that fails while another is asked for is not worth to be held.
    """
    if before.failed:
        return None
    return before.fallback if cause and before.fallback and before.serves != wanted else before.serves


def after(
    before: Standing, wanted: Spec, *, answers: bool, cause: Failed | None = None, waits: bool = False
) -> Standing:
    """The next line of the table. `cause`: why S fails for good; `waits`: the spec's files are not there yet."""
    returned = before.failed is not None
    before = still(before, wanted)
    if before.failed:
        return before
    if answers:
        before = replace(before, fallback=None)
    fails = cause if before.fallback else None
    if waits and fails:
        return Standing(before.fallback)
    if waits:
        return before
    if wanted == before.serves:
        return Standing(before.fallback, failed=fails) if fails else before
    last = before.fallback or (before.serves if answers or returned else None)
    return Standing(wanted, last if last != wanted and record.written(wanted) else None)


def answers(deployment: Object) -> bool:
    """Whether servers of this template answer, and no others are left.

    On trial only an account counts that is of this template. Else all pods are of it, and an older account, of before
    somebody has scaled, is good enough: not to have a net would be worse.
    """
    status: Object = deployment.get("status", {})
    seen = status.get("observedGeneration", 0) >= deployment.get("metadata", {}).get("generation", 0)
    return bool(
        (seen or standing(deployment).fallback is None)
        and status.get("availableReplicas")
        and status.get("updatedReplicas")
        and status["updatedReplicas"] == status.get("replicas")
    )


def failed(serves: Spec, reason: str, message: str) -> Failed:
    return Failed(record.fingerprint(serves), str(reason), message[:LIMIT])


def _failed(text: str) -> Failed | None:
    try:
        return msgspec.json.decode(text, type=Failed)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
