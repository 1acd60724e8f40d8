"""What was found out about a model, and how its message is kept still while nothing new has been found."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from llama_operator.api.conditions import MESSAGE_LIMIT, Reason

_VOLATILE = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{12,}\b|\d+")
"""uids, container ids and digests, then any number: counts, times, addresses, process ids."""


@dataclass(frozen=True)
class Finding:
    """One reason and a message for a person; `files` is what the stager found in the files, once they are staged, and
    `memory` what llama-server will take for them.

    `quotes`: the message repeats what others say, with numbers in it that change although nothing has happened.
    `vague`: it says less than a message of the same reason may have said before.
    """

    reason: Reason
    message: str
    files: tuple[dict[str, Any], ...] = ()
    memory: dict[str, Any] | None = None
    quotes: bool = False
    vague: bool = False


def steady(finding: Finding, before: dict[str, Any]) -> Finding:
    """The finding, in the words of the condition `before` if it says nothing new.

    A crash loop, a pull that is tried again, an event that is repeated: each time some number differs, and each time
    the status would be written.
    """
    old = before.get("message", "")
    if before.get("reason") != finding.reason or not (finding.quotes or finding.vague):
        return finding
    if finding.vague or _gist(old) == _gist(finding.message[:MESSAGE_LIMIT]):
        return dataclasses.replace(finding, message=old)
    return finding


def _gist(message: str) -> str:
    return _VOLATILE.sub("#", message)
