"""What leaves the stager: log lines while it runs, and one JSON object as the container's termination message.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/ (4096 bytes at most).
"""

from __future__ import annotations

import os

import msgspec

from llama_operator.stage.failures import Failure
from llama_operator.stage.text import one_line, say

MESSAGE_BYTES = 4096
_NAME_LENGTH = 200


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was staged. `sha256` is missing only for a file on a volume whose digest nobody asked for."""

    bytes: int
    architecture: str
    name: str
    sha256: str = ""
    revision: str = ""


def succeeded(result: Result) -> bytes:
    short = msgspec.structs.replace(
        result,
        architecture=one_line(result.architecture, _NAME_LENGTH),
        name=one_line(result.name, _NAME_LENGTH),
        revision=one_line(result.revision, _NAME_LENGTH),
    )
    return msgspec.json.encode(short)


def failed(failure: Failure, secrets: tuple[str, ...] = ()) -> bytes:
    """`secrets` never reach a message by design; they are cut out here all the same."""
    message = failure.message
    for secret in secrets:
        message = message.replace(secret, "…")
    message = one_line(message, MESSAGE_BYTES)
    while len(encoded := msgspec.json.encode({"reason": str(failure.reason), "message": message})) > MESSAGE_BYTES:
        message = message[: len(message) * 9 // 10] + "…"
    return encoded


def write(message: bytes) -> None:
    """Leave the message where the kubelet reads it. The file is a mount: it cannot be replaced, only written.

    Outside a container there is none; the message is in the log as well, so that is not an error.
    """
    path = os.environ.get("TERMINATION_LOG", "")
    flags = os.O_WRONLY | os.O_TRUNC | (os.O_CREAT if path else 0)
    path = path or "/dev/termination-log"
    try:
        fd = os.open(path, flags, 0o644)
    except OSError as error:
        say(f"no termination message at {path}: {error.strerror}")
        return
    with os.fdopen(fd, "wb") as file:
        file.write(message)
