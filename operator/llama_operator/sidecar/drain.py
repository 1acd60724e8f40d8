"""Wait until llama-server has nothing to do any more: SIGTERM would cut off what is in flight.

It changes nothing, for anybody can ask for it. A pod that is deleted is taken from the endpoints because it is
deleted; those who send must have heard of that before an empty server means that nothing more will come.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from llama_operator.sidecar import activity
from llama_operator.sidecar.client import Client

HEARD_SECONDS = 5.0
"""Until proxies and ingress controllers have heard that the pod is being deleted."""
PAUSE_SECONDS = 1.0
ASK_SECONDS = 5.0
QUIET = 2
"""Times in a row that it must have nothing to do: a request may be between two stations."""


def drain(
    client: Client,
    serves: Callable[[], bool],
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Return within about so many seconds, with what it has come to, for the log."""
    end, quiet = clock() + seconds, 0
    if serves():
        sleep(min(HEARD_SECONDS, seconds))
    while serves():
        if clock() >= end:
            return f"requests were still in flight after {seconds:.0f} s"
        reply = client.ask("/metrics", ASK_SECONDS)
        found = activity.of_metrics(reply.body) if reply and reply.status == 200 else None
        if reply and found is None:
            return "the server does not tell what is in flight"
        quiet = quiet + 1 if found and found.busy == 0 else 0
        if quiet >= QUIET:
            return "nothing is in flight"
        sleep(PAUSE_SECONDS)
    return "the server does not serve"
