"""Hands the API keys on to the server that starts next, once they are seen to be some.

llama-server takes each line as it is, without those that are empty or begin with #, and asks for no key at all if none
is left (llama.cpp common/arg.cpp, --api-key-file).
"""

from __future__ import annotations

import re
from pathlib import Path

from llama_operator.api.staging import Keys
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.source.secrets import Secrets

_KEY = re.compile(r"[\x21-\x7e]+")
"""What a client can send."""


def hand_on(keys: Keys, secrets: Secrets) -> None:
    """Raises `Failure` unless there is a key, and each can be sent."""
    given = Path(keys.given)
    found = [line for line in secrets.lines(given) if line and not line.startswith("#")]
    if not found:
        raise _wrong(f"{given.name} is empty, and llama-server would let everybody in", "put an API key into it")
    if not all(map(_KEY.fullmatch, found)):
        raise _wrong(f"{given.name} has a line with blanks or other characters that no client can send", "correct it")
    Path(keys.served).write_text("".join(f"{key}\n" for key in found))


def _wrong(what: str, todo: str) -> Failure:
    return Failure(Reason.NO_API_KEY, f"spec.auth: the Secret's key {what}; {todo} (pods see it within two minutes)")
