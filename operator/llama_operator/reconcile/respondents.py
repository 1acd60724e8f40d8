"""Who in a model's pods can be asked over HTTP, and when again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llama_operator.api.sidecar import Facts
from llama_operator.api.staging import Progress
from llama_operator.reconcile import pods

Object = dict[str, Any]

PAUSE_SECONDS = 10.0
"""Between two questions while answers change. Each brings one write of the status at most, so also between those."""
TROUBLE_SECONDS = 60.0
"""Between two questions to a server that has said what is wrong, and when it gets well its pod tells that by itself; or
that is ready and says nothing."""
MOST = 16
"""Servers of one model that are asked. All have the same template, and what they say is told once."""


@dataclass(frozen=True)
class Respondent:
    """A pod in which somebody answers at this moment: its uid and its address.

    `start`: which start of the container it is, and `ready` whether it counts; after another one things may be other.
    """

    pod: str
    address: str
    start: str = ""
    ready: bool = False


def stager(candidates: Sequence[Object]) -> Respondent | None:
    """The first of these pods whose stager runs."""
    for pod in candidates:
        address = pod.get("status", {}).get("podIP")
        if address and pods.stages(pod):
            return Respondent(pod["metadata"].get("uid", ""), address)
    return None


def servers(candidates: Sequence[Object]) -> list[Respondent]:
    """Those of these pods whose server runs, ready or not: its sidecar knows why it is not."""
    found = []
    for pod in candidates:
        address, status = pod.get("status", {}).get("podIP"), pods.server(pod)
        running = status.get("state", {}).get("running")
        if address and running is not None and not pods.failed(pod):
            start = f"{status.get('restartCount', 0)} {running.get('startedAt', '')}"
            ready = bool(status.get("ready"))
            found.append(Respondent(pod["metadata"].get("uid", ""), address, start, ready))
    return found[:MOST]


def complains(facts: Facts) -> bool:
    """Whether the server is up, and has completed no request since it was started."""
    return bool(facts.problem) and not facts.answered


def after_progress(_: Respondent, __: Progress) -> float | None:
    return PAUSE_SECONDS


def after_facts(server: Respondent, facts: Facts) -> float | None:
    """Seconds until the next question. A server that is ready, has said so, and has told what it serves is done."""
    if not server.ready or not facts.answered:
        return TROUBLE_SECONDS if facts.problem else PAUSE_SECONDS
    return None if facts.build or facts.slots else TROUBLE_SECONDS
