"""Wait until a LlamaModel is Ready, and say what happens on the way."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

from demo.cluster import StepError, environment
from ground.paths import BIN

Object = dict[str, Any]


def wait_ready(name: str, namespace: str, timeout: float, say: Callable[[str], None]) -> float:
    """Seconds until Ready is true for the newest spec; one line for each thing that the operator reports.

    Raises StepError when `timeout` (seconds) has passed, or when the operator says that waiting will not help.
    """
    begin = time.monotonic()
    told = ""
    with closing(_versions(name, namespace, timeout)) as versions:
        for model in versions:
            conditions = {c["type"]: c for c in model.get("status", {}).get("conditions", [])}
            ready = conditions.get("Ready")
            if ready is None or ready.get("observedGeneration") != model["metadata"]["generation"]:
                continue
            words = f"{ready['reason']}: {ready['message']}"
            if words != told:
                say(f"  {time.monotonic() - begin:5.1f} s  {words}")
                told = words
            if ready["status"] == "True":
                return time.monotonic() - begin
            if ready["reason"] == "SourceUnreachable":  # the operator goes on trying, a demo need not
                raise StepError(words, "the cluster needs internet for MODEL=…; plain `make demo` does not")
            if "Stalled" in conditions:
                raise StepError(f"llama/{name} cannot become Ready: {words}", _look(name, namespace))
    raise StepError(
        f"llama/{name} was not Ready within {timeout:.0f} s; the last that was reported is: {told or 'nothing'}",
        _look(name, namespace),
    )


def _look(name: str, namespace: str) -> str:
    return f"`kubectl describe llama {name} -n {namespace}` shows the conditions and events"


def _versions(name: str, namespace: str, timeout: float) -> Generator[Object, None, None]:
    """The object, and each new version of it, until `timeout` seconds have passed."""
    deadline = time.monotonic() + timeout
    command = [str(BIN / "kubectl"), "get", "llamamodel", name, "-n", namespace, "--watch", "-o", "json"]
    while (left := deadline - time.monotonic()) > 0:  # a watch ends by itself now and then
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        timer = threading.Timer(left, process.kill)
        timer.start()
        try:
            yield from _objects(process)
            if process.wait() > 0:
                raise StepError(f"`kubectl get llama {name}` failed", "what it said is above")
        finally:
            timer.cancel()
            process.kill()
            process.communicate()


def _objects(process: subprocess.Popen[str]) -> Iterator[Object]:
    """kubectl prints one indented JSON object after the other: each ends with a brace in the first column."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.rstrip() == "}":
            yield json.loads("".join(lines))
            lines.clear()
