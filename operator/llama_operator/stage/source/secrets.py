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

    def word(self, path: Path, field: str) -> str:
        """One word from a file, which is a key of the Secret that `field` of the source names.

        Raises `Failure`: Unauthorized without the Secret or its key, InvalidSource if it holds no word, or more.
        """
        value = self._read(path, field)
        if not _VISIBLE.fullmatch(value):
            raise Failure(
                Reason.INVALID_SOURCE,
                f"the key {path.name} of the Secret of {field} is empty, or has blanks or other characters that no "
                "token has; correct it",
            )
        return value

    def folder(self, path: Path) -> list[Path]:
        """The keys of a mounted Secret, by name. `..data` and its kind are the kubelet's own."""
        try:
            return sorted(entry for entry in path.iterdir() if not entry.name.startswith(".."))
        except OSError as error:
            raise _unreadable(path, error) from error

    def lines(self, path: Path) -> list[str]:
        """The lines of a file, without blanks around each. Raises `Failure` (InvalidSource) if it cannot be read."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _unreadable(path, error) from error
        found = [line.strip() for line in content.decode("utf-8", "replace").split("\n")]
        for line in found:
            self.remember(line)
        return found

    def headers(self, path: Path, field: str) -> Mapping[str, str]:
        """Every file of the folder, the Secret that `field` of the source names, as a request header.

        Raises `Failure`: Unauthorized without the Secret, InvalidSource for what is no header.
        """
        headers: dict[str, str] = {}
        for file in self.folder(path):
            name, value = file.name.lower(), self._read(file, field)
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise Failure(Reason.INVALID_SOURCE, f"{file.name} of {field} is no request header")
            if name in _OURS or name.startswith("if-"):
                raise Failure(Reason.INVALID_SOURCE, f"the header {file.name} of {field} is not yours to set")
            if name in headers:
                raise Failure(Reason.INVALID_SOURCE, f"the header {file.name} is in {field} twice")
            headers[name] = value
        if not headers:
            raise _missing(field, "it is empty")
        return headers

    def _read(self, path: Path, field: str) -> str:
        """The content without blanks and newlines around it, which editors leave."""
        try:
            with path.open("rb") as file:
                content = file.read(_LONGEST + 1)
        except FileNotFoundError as error:
            raise _missing(field, f"it has no key {path.name}") from error
        except OSError as error:
            raise _unreadable(path, error) from error
        if len(content) > _LONGEST:
            raise Failure(Reason.INVALID_SOURCE, f"{path.name} of {field} is too long; check the Secret")
        value = content.decode("utf-8", "replace").strip()
        self.remember(value)
        return value


def _missing(field: str, otherwise: str) -> Failure:
    """The Secret is optional for the kubelet, so that a pod whose files are in place starts without it."""
    return Failure(
        Reason.UNAUTHORIZED,
        f"the Secret of {field} does not exist, or {otherwise}; create it (pods see it within two minutes)",
    )


def _unreadable(path: Path, error: OSError) -> Failure:
    return Failure(
        Reason.INVALID_SOURCE, f"{path.name} cannot be read ({error.strerror}); check the Secret and its keys"
    )
