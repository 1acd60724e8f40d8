"""Hugging Face, and mirrors that speak its protocol: from repository and revision to an address and a digest.

A HEAD of the `resolve` address answers with the file's SHA-256, its size and the commit, before it redirects to
wherever the bytes are. https://huggingface.co/docs/huggingface_hub/package_reference/file_download
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.remote import NO_ANSWER, Remote, credentials, judge, no_answer, origin, redirected
from llama_operator.stage.retry import persist
from llama_operator.stage.text import redact
from llama_operator.stage.verify import mismatch

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    endpoint: str
    repo: str
    file: str
    revision: str
    token: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def url(self, revision: str) -> str:
        return f"{self.endpoint.rstrip('/')}/{self.repo}/resolve/{quote(revision, safe='')}/{quote(self.file)}"


def locate(http: httpx.Client, hub: HubFile, sha256: str | None, context: Context) -> Remote:
    """Ask the hub. The address names the commit, so that a push during the download changes nothing.

    Raises `Failure`; DigestMismatch already here if the hub lists another digest than `sha256`.
    """
    asked = Remote(hub.url(hub.revision), headers=hub.headers())
    headers = persist(lambda: _head(http, asked, context), context)
    listed = headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
    listed = listed if _DIGEST.fullmatch(listed) else None
    if sha256 and listed and listed != sha256:
        raise mismatch(sha256, listed, f"{redact(asked.url)}, by the hub's own list,")
    commit = headers.get("X-Repo-Commit", "")
    commit = commit if _COMMIT.fullmatch(commit) else ""
    size = headers.get("X-Linked-Size", "")
    return Remote(
        url=hub.url(commit or hub.revision),
        sha256=sha256 or listed,
        size=int(size) if re.fullmatch(r"[0-9]{1,18}", size) else None,
        headers=hub.headers(),
        revision=commit or hub.revision,
    )


def _head(http: httpx.Client, asked: Remote, context: Context) -> httpx.Headers:
    """Redirects within the hub are followed (a renamed repository); one that leaves it leads to the bytes."""
    url, known = httpx.URL(asked.url), httpx.Headers()
    for _ in range(context.policy.max_redirects + 1):
        try:
            response = http.head(url, headers=credentials(asked, url))
        except NO_ANSWER as error:
            raise no_answer(error, asked) from error
        known.update(response.headers)
        if not response.has_redirect_location:
            judge(response, asked, context.now())
            return known
        target = redirected(url, response)
        if "X-Linked-Etag" in response.headers or origin(target) != origin(url):
            return known
        url = target
    raise Failure(Reason.SOURCE_ERROR, f"{redact(asked.url)} redirects more than {context.policy.max_redirects} times")
