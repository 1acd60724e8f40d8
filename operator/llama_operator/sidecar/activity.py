"""What the engine says of its work when asked: /slots, or /metrics. Pure.

/slots is asked where that may be: it has what each slot has counted, to the token. It wakes a model that sleeps, so
where one may sleep /metrics is asked, which does not. But each answer of /metrics ends the interval over which
llama-server has its two averages (tokens per second), so somebody else who reads them sees less.
"""

from __future__ import annotations

import msgspec

from llama_operator.sidecar.judge import Activity

_PREFIX = "llamacpp:"
_TOTAL = "_total"
_PENDING = ("requests_processing", "requests_deferred")


class _Token(msgspec.Struct, frozen=True):
    n_decoded: int = 0


class _Slot(msgspec.Struct, frozen=True):
    is_processing: bool
    id_task: int = -1
    n_prompt_tokens_processed: int = 0
    next_token: list[_Token] | _Token = []


def of_slots(body: bytes) -> Activity | None:
    """None if it is nothing that can be read."""
    try:
        slots = msgspec.json.decode(body, type=list[_Slot])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    counts: list[float] = []
    for slot in slots:
        tokens = slot.next_token if isinstance(slot.next_token, list) else [slot.next_token]
        counts += [slot.id_task, slot.n_prompt_tokens_processed, sum(token.n_decoded for token in tokens)]
    return Activity(sum(slot.is_processing for slot in slots), tuple(counts))


def of_metrics(body: bytes) -> Activity | None:
    """None if it is nothing that can be read. Large counters are told with six digits, so one may seem to stand."""
    found = counters(body)
    if not all(name in found for name in _PENDING):
        return None
    totals = tuple(value for name, value in sorted(found.items()) if name.endswith(_TOTAL))
    return Activity(int(sum(found[name] for name in _PENDING)), totals)


def has_worked(body: bytes) -> bool:
    """Whether /metrics tells that the engine has computed for somebody since it was started."""
    return counters(body).get("n_decode_total", 0.0) > 0


def counters(body: bytes) -> dict[str, float]:
    """Values without labels, by name without llama-server's prefix."""
    found = {}
    for line in body.decode(errors="replace").splitlines():
        name, _, value = line.partition(" ")
        if name.startswith(_PREFIX):
            try:
                found[name.removeprefix(_PREFIX)] = float(value)
            except ValueError:
                continue
    return found
