"""Command line of the stager: a request in, exit code and termination message out."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from types import FrameType

from llama_operator.api.staging import Report
from llama_operator.stage import keys, report
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gauge import Gauge
from llama_operator.stage.progress import serving
from llama_operator.stage.request import parse
from llama_operator.stage.source.secrets import Secrets
from llama_operator.stage.stager import stage
from llama_operator.stage.text import say

_TERMINATED = 128 + signal.SIGTERM


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 if all files are in place, else 1. The one argument is an `api.staging.Request` in JSON."""
    signal.signal(signal.SIGTERM, _terminate)
    secrets = Secrets()
    try:
        message, code = report.succeeded(_run(arguments, secrets)), 0
    except Exception as error:
        message, code = report.failed(report.explained(error, "stager", secrets), secrets), 1
    report.write(message)
    say(message.decode())
    return code


def _run(arguments: Sequence[str], secrets: Secrets) -> Report:
    def log(line: str) -> None:
        say(secrets.cut(line))

    if len(arguments) != 1:
        raise Failure(Reason.INVALID_SOURCE, f"the stager takes one argument, a request in JSON, not {len(arguments)}")
    request = parse(arguments[0])
    if request.keys:
        keys.hand_on(request.keys, secrets)
    context = Context(log=log, gauge=Gauge(log))
    with serving(request.port, context.gauge, log):
        return stage(request, context, secrets)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Stop here and now. Whatever is half done looks the same as after a crash, and the next run goes on from it."""
    # Not print(): the signal may have come in the middle of one.
    os.write(1, b"terminated; what has been downloaded is kept\n")
    os._exit(_TERMINATED)
