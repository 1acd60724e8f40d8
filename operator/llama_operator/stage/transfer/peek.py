"""Read the header of a file on a server, and nothing of its data: to know what it takes before it is fetched.

It is a courtesy: what cannot be read in this way is fetched, and judged then.
"""

from __future__ import annotations

import io

import httpx

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason, Transient
from llama_operator.stage.gguf import header as gguf
from llama_operator.stage.text import redact
from llama_operator.stage.transfer.remote import NO_ANSWER, Remote, judge, stream
from llama_operator.stage.transfer.source import encoded

FIRST_BYTES = 1 << 20
MOST_BYTES = 32 << 20
"""Headers with the largest vocabularies take half of it."""


def peek(http: httpx.Client, remote: Remote, context: Context) -> gguf.Header | None:
    """None if the source does not tell it, for whatever reason, or takes more than `Policy.slow_window` for it."""
    try:
        with stream(http, remote, {}, context.policy.max_redirects) as response:
            judge(response, remote, context.now())
            return _header(response, context)
    except (*NO_ANSWER, Failure, Transient) as error:
        context.log(f"the header of {redact(remote.url)} is not known beforehand: {error or type(error).__name__}")
        return None


def _header(response: httpx.Response, context: Context) -> gguf.Header | None:
    """The connection is dropped as soon as the header is there: it needs no server that knows ranges."""
    length = response.headers.get("Content-Length", "")
    if response.status_code != 200 or not length.isdecimal() or encoded(response):
        return None
    begun, total, enough = context.monotonic(), int(length), FIRST_BYTES
    data = bytearray()
    for chunk in response.iter_raw():
        data += chunk
        if len(data) >= min(enough, total):
            try:
                return gguf.read(io.BytesIO(data), total)
            except Failure as failure:
                if failure.reason is not Reason.TRUNCATED or len(data) >= min(MOST_BYTES, total):
                    raise
            enough = 2 * len(data)
        if context.monotonic() - begun > context.policy.slow_window:
            return None
    return None
