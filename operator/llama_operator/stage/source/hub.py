"""Hugging Face, and mirrors that speak its protocol: from repository and revision to an address and a digest.

A HEAD of the `resolve` address answers with the file's SHA-256, its size and the commit, before it redirects to
wherever the bytes are. `/api/models/REPO/revision/REVISION` answers with the commit (`sha`) and the names of the files
(`siblings[].rfilename`). https://huggingface.co/docs/huggingface_hub/package_reference/file_download,
https://huggingface.co/docs/hub/api
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import httpx
import msgspec

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason, Transient
from llama_operator.stage.source import quantization
from llama_operator.stage.text import one_line, redact
from llama_operator.stage.transfer.remote import (
    NO_ANSWER,
    Remote,
    credentials,
    judge,
    no_answer,
    origin,
    redirected,
    stream,
)
from llama_operator.stage.transfer.retry import persist
from llama_operator.stage.verify import mismatch

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST_LIST = 32 << 20


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

    def listing(self) -> str:
        return f"{self.endpoint.rstrip('/')}/api/models/{self.repo}/revision/{quote(self.revision, safe='')}"

    def remote(self, url: str) -> Remote:
        return Remote(url, headers=self.headers(), explain=lambda response: _explain(response, self))


class _Sibling(msgspec.Struct):
    rfilename: str


class _Listing(msgspec.Struct):
    siblings: list[_Sibling]
    sha: str = ""


def is_commit(revision: str) -> bool:
    return bool(_COMMIT.fullmatch(revision))


def choose(http: httpx.Client, hub: HubFile, quantized: str, context: Context, *, projector: bool) -> HubFile:
    """The file that holds a quantisation, at the commit that the list is of. Raises `Failure`."""
    listing = persist(lambda: _list(http, hub, context), context)
    try:
        file = quantization.choose([s.rfilename for s in listing.siblings], quantized, projector=projector)
    except Failure as failure:
        raise Failure(failure.reason, f"{hub.repo} at {one_line(hub.revision, 80)}: {failure.message}") from failure
    if any(part in ("", ".", "..") for part in file.split("/")):
        raise Failure(Reason.SOURCE_ERROR, f"{redact(hub.listing())} lists a file outside the repository")
    return replace(hub, file=file, revision=listing.sha if is_commit(listing.sha) else hub.revision)


def locate(http: httpx.Client, hub: HubFile, sha256: str | None, context: Context) -> Remote:
    """Ask the hub. The address names the commit, so that a push during the download changes nothing.

    Raises `Failure`; DigestMismatch already here if the hub lists another digest than `sha256`.
    """
    asked = hub.remote(hub.url(hub.revision))
    headers = persist(lambda: _head(http, asked, context), context)
    listed = headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
    listed = listed if _DIGEST.fullmatch(listed) else None
    if sha256 and listed and listed != sha256:
        raise mismatch(sha256, listed, f"{redact(asked.url)}, by the hub's own list,")
    commit = headers.get("X-Repo-Commit", "")
    commit = commit if is_commit(commit) else ""
    size = headers.get("X-Linked-Size", "")
    return replace(
        asked,
        url=hub.url(commit or hub.revision),
        sha256=sha256 or listed,
        size=int(size) if re.fullmatch(r"[0-9]{1,18}", size) else None,
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


def _list(http: httpx.Client, hub: HubFile, context: Context) -> _Listing:
    asked, body = hub.remote(hub.listing()), bytearray()
    try:
        with stream(http, asked, {}, context.policy.max_redirects) as response:
            judge(response, asked, context.now())
            for data in response.iter_raw():
                body += data
                if len(body) > _LONGEST_LIST:
                    raise Failure(Reason.SOURCE_ERROR, f"{redact(asked.url)} lists more files than are read")
    except NO_ANSWER as error:
        raise no_answer(error, asked) from error
    try:
        return msgspec.json.decode(body, type=_Listing)
    except msgspec.DecodeError as error:
        raise Transient(
            Reason.SOURCE_ERROR, f"{redact(asked.url)} does not list files as Hugging Face does; set huggingFace.file"
        ) from error


def _explain(response: httpx.Response, hub: HubFile) -> Failure | None:
    """What the hub says with its error codes. Those of the host that has the bytes are no concern of the token."""
    if origin(response.url) != origin(httpx.URL(hub.endpoint)):
        return None
    code, status = response.headers.get("X-Error-Code", ""), response.status_code
    where = f"{redact(hub.endpoint).rstrip('/')}/{hub.repo}"
    secret = "the Secret of huggingFace.tokenSecretRef" if hub.token else "a token in huggingFace.tokenSecretRef"
    if code == "GatedRepo":
        message = f"{where} is gated: accept its terms there, and use {secret} of an account that did"
        return Failure(Reason.UNAUTHORIZED, message)
    if code == "RevisionNotFound":
        return Failure(Reason.NOT_FOUND, f"{where} has no revision {hub.revision}; check huggingFace.revision")
    if code == "EntryNotFound":
        message = f"{where} has no file {hub.file} at {hub.revision}; check huggingFace.file, letter by letter"
        return Failure(Reason.NOT_FOUND, message)
    if code == "RepoNotFound" and hub.token and status != 401:
        message = f"{where} does not exist, or is hidden from this token; check huggingFace.repo and {secret}"
        return Failure(Reason.NOT_FOUND, message)
    if hub.token and status == 401:
        return Failure(Reason.UNAUTHORIZED, f"{where}: the token is refused (401); check {secret}")
    if code == "RepoNotFound":
        return Failure(
            Reason.UNAUTHORIZED, f"{where} does not exist, or is private; check huggingFace.repo, or set {secret}"
        )
    return None
