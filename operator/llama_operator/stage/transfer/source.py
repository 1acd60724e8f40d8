"""Where the file is: asked in ranges, and found again without going through the redirects each time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx

from llama_operator.stage.context import Policy
from llama_operator.stage.transfer.rejection import strong
from llama_operator.stage.transfer.remote import NO_ANSWER, Remote, no_answer, stream

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")

_RUN_OUT = frozenset({400, 401, 403, 404, 410})


@dataclass(frozen=True)
class Extent:
    """What the headers of an answer tell about its body: first byte, length, and length of the whole file."""

    start: int | None
    length: int | None
    total: int | None


class Source:
    """One file on a server, for several threads."""

    def __init__(self, http: httpx.Client, remote: Remote, policy: Policy) -> None:
        self._http, self._remote, self._redirects = http, remote, policy.max_redirects
        self._found: str | None = None

    @contextmanager
    def ask(self, headers: dict[str, str], *, shortcut: bool = False) -> Iterator[httpx.Response]:
        """The answer, unjudged. `shortcut`: from where the redirects led before, if that still works.

        Raises `Failure` (redirects), `Transient` (no answer).
        """
        try:
            with ExitStack() as stack:
                response = self._again(stack, headers) if shortcut else None
                if response is None:
                    response = stack.enter_context(stream(self._http, self._remote, headers, self._redirects))
                # An address that is signed for each request is signed for one.
                usable = response.is_success and self._remote.sign is None
                self._found = str(response.url) if usable else None
                yield response
        except NO_ANSWER as error:
            self._found = None
            raise no_answer(error, self._remote) from error

    def _again(self, stack: ExitStack, headers: dict[str, str]) -> httpx.Response | None:
        """From where it came before, unless that address has run out."""
        if self._found is None:
            return None
        response = stack.enter_context(stream(self._http, self._remote, headers, self._redirects, self._found))
        if response.status_code in _RUN_OUT:
            stack.close()
            return None
        return response


def extent(response: httpx.Response) -> Extent:
    announced = response.headers.get("Content-Length", "")
    length = int(announced) if announced.isdigit() else None
    if response.status_code == 200:
        return Extent(0, length, length)
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if not match:
        return Extent(None, length, None)
    first, last, total = (int(text) if text and text.isdigit() else None for text in match.groups())
    if first is None or last is None or length not in (None, last + 1 - first) or last < first:
        return Extent(None, length, total)
    return Extent(first, last + 1 - first, total)


def same_file(response: httpx.Response, known: str) -> bool:
    """Whether the answer is of the file whose validator is `known`, as far as it says. Some servers and caches answer
    206 whatever If-Range says."""
    header = "ETag" if strong(known) else "Last-Modified"
    return not known or response.headers.get(header, known) == known


def encoded(response: httpx.Response) -> bool:
    """Whether the body is not the file itself. Some stores give back what an uploader said of his own request:
    aws-chunked (AWS CLI 2.23, boto3 1.36), or nothing; the bytes are plain all the same."""
    words = {word.strip().lower() for word in response.headers.get("Content-Encoding", "").split(",")}
    return bool(words - {"", "identity", "aws-chunked"})


def validator(response: httpx.Response) -> str:
    """For If-Range: a strong ETag; a weak one promises nothing about bytes (RFC 9110, 13.1.5)."""
    etag: str = response.headers.get("ETag", "")
    if strong(etag) and len(etag) > 2:
        return etag
    return "" if etag else str(response.headers.get("Last-Modified", ""))
