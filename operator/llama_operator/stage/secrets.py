"""What the mounted Secrets hold: read when needed, and cut out of whatever is said.

No secret reaches a message by design; they are cut out all the same, because texts of servers and libraries are
quoted, and a design can be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from llama_operator.stage.failures import Failure, Reason

_SHORTEST = 6
"""A shorter value is no secret worth the name, and would be cut out of innocent words."""
_LONGEST = 1 << 16
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9._-]{1,256}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]{1,8192}")
_OURS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "range"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
"""They would change what a request is about, or how its answer is read (as all that begin with `If-`)."""


class Secrets:
    """Remembers what it has read."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def remember(self, value: str) -> None:
        for form in (value, value.rpartition(" ")[2], quote(value, safe="")):
            if len(form) >= _SHORTEST:
                self._seen.add(form)

    def cut(self, text: str) -> str:
        """`text` without any of them."""
        for value in sorted(self._seen, key=len, reverse=True):
            text = text.replace(value, "…")
        return text

    def word(self, path: Path) -> str:
        """One word from a file: a token, a key. Raises `Failure` (InvalidSource) if there is none, or more."""
        value = self._read(path)
        if not _VISIBLE.fullmatch(value):
            raise Failure(
                Reason.INVALID_SOURCE, f"{path.name} is empty, or has blanks or other characters; check the Secret"
            )
        return value

    def folder(self, path: Path) -> list[Path]:
        """The keys of a mounted Secret, by name. `..data` and its kind are the kubelet's own."""
        try:
            return sorted(entry for entry in path.iterdir() if not entry.name.startswith(".."))
        except OSError as error:
            raise _unreadable(path, error) from error

    def headers(self, path: Path) -> Mapping[str, str]:
        """Every file of the folder as a request header. Raises `Failure` (InvalidSource) for what is no header."""
        headers: dict[str, str] = {}
        for file in self.folder(path):
            name, value = file.name.lower(), self._read(file)
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise Failure(Reason.INVALID_SOURCE, f"{file.name} of headersSecretRef is no request header")
            if name in _OURS or name.startswith("if-"):
                raise Failure(Reason.INVALID_SOURCE, f"the header {file.name} of headersSecretRef is not yours to set")
            if name in headers:
                raise Failure(Reason.INVALID_SOURCE, f"the header {file.name} is in headersSecretRef twice")
            headers[name] = value
        return headers

    def _read(self, path: Path) -> str:
        """The content without blanks and newlines around it, which editors leave."""
        try:
            with path.open("rb") as file:
                content = file.read(_LONGEST + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
        if len(content) > _LONGEST:
            raise Failure(Reason.INVALID_SOURCE, f"{path.name} is too long; check the Secret")
        value = content.decode("utf-8", "replace").strip()
        self.remember(value)
        return value


def _unreadable(path: Path, error: OSError) -> Failure:
    return Failure(
        Reason.INVALID_SOURCE, f"{path.name} cannot be read ({error.strerror}); check the Secret and its keys"
    )
