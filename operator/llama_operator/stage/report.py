"""What leaves the stager at its end: one JSON object as the container's termination message.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/ (4096 bytes at most).
"""

from __future__ import annotations

import os
import sys
import traceback

import msgspec
from msgspec.structs import replace

from llama_operator.api.staging import Failed, Report, Staged
from llama_operator.stage import failures
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.source.secrets import Secrets
from llama_operator.stage.text import one_line, say

MESSAGE_BYTES = 4096
_NAME_LENGTH, _SHORT_LENGTH = 200, 40


def succeeded(report: Report) -> bytes:
    """Everything, if it fits; else with ever less about the files, the first of which (the model) goes last.

    It may not name all of them: more than about fifty do not fit, however short."""
    files = tuple(_short(file, _NAME_LENGTH) for file in report.files)
    first, rest = files[:1], files[1:]
    least = first + tuple(Staged(file.role, file.bytes) for file in rest)
    versions = (
        files,
        tuple(_short(file, _SHORT_LENGTH) for file in files),
        first + tuple(replace(_short(file, _SHORT_LENGTH), name="", architecture="", revision="") for file in rest),
        first + tuple(Staged(file.role, file.bytes, sha256=file.sha256) for file in rest),
        *(least[:count] for count in range(len(least), 0, -1)),
    )
    encoded = (msgspec.json.encode(Report(version, report.memory)) for version in versions)
    return next(message for message in encoded if len(message) <= MESSAGE_BYTES)


def _short(file: Staged, limit: int) -> Staged:
    texts = {name: one_line(getattr(file, name), limit) for name in ("architecture", "name", "revision")}
    return replace(file, **texts)


def explained(error: Exception, program: str, secrets: Secrets) -> Failure:
    """Why `program` ends, whatever it was that ended it."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, OSError):
        return failures.of_volume(error)
    # Nothing else is meant to get here: a bug, and told as one.
    print(secrets.cut("".join(traceback.format_exception(error))), file=sys.stderr, flush=True)
    return Failure(Reason.STAGING_FAILED, f"error in the {program}: {type(error).__name__}, see its log")


def failed(failure: Failure, secrets: Secrets) -> bytes:
    message = one_line(secrets.cut(failure.message), MESSAGE_BYTES)
    while len(encoded := msgspec.json.encode(Failed(str(failure.reason), message, failure.need))) > MESSAGE_BYTES:
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
