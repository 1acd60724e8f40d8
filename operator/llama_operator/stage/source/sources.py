"""From a file of the request to what is asked of a server; each kind of source has its own way to tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from llama_operator.api.staging import S3, File, HuggingFace, InPlace, Url
from llama_operator.stage.context import Context
from llama_operator.stage.source import hub, s3, split
from llama_operator.stage.source.hub import HubFile
from llama_operator.stage.source.secrets import Secrets
from llama_operator.stage.transfer import remote
from llama_operator.stage.transfer.remote import Remote


@dataclass(frozen=True)
class Part:
    """One file to be had, and where: `number`, counted from 1, of the `count` parts of `file`."""

    file: File
    number: int
    count: int

    @property
    def path(self) -> Path:
        return Path(split.part(self.file.path, self.number))

    @property
    def where(self) -> str:
        return self.path.name if self.count > 1 else self.file.role


class Sources:
    """Asks each source once. What is new of a repository is all of one commit, and so are the parts of a file."""

    def __init__(self, context: Context, secrets: Secrets) -> None:
        self._context, self._secrets = context, secrets
        self._http: httpx.Client | None = None
        self._known: dict[Part, Remote] = {}
        self._commits: dict[tuple[str, str, str], str] = {}
        self._pinned: dict[File, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._http:
            self._http.close()

    @property
    def http(self) -> httpx.Client:
        """Made when it is needed: a restart asks nobody."""
        self._http = self._http or remote.client(self._context.policy)
        return self._http

    def pin(self, file: File, revision: str) -> None:
        """A part of this split model is here already, of this revision: the others must be of the same."""
        if hub.is_commit(revision):
            self._pinned.setdefault(file, revision)

    def locate(self, part: Part) -> Remote:
        """Raises `Failure`."""
        if part not in self._known:
            self._known[part] = self._locate(part)
        return self._known[part]

    def _locate(self, part: Part) -> Remote:
        source, sha256 = part.file.source, part.file.sha256 or None
        match source:
            case Url():
                headers = self._secrets.headers(Path(source.headers), "url.headersSecretRef") if source.headers else {}
                return Remote(split.part(source.url, part.number), sha256, headers=headers)
            case HuggingFace():
                return self._on_hub(source, part, sha256)
            case S3():
                return s3.remote(source, split.part(s3.split_uri(source.uri)[1], part.number), sha256, self._secrets)
            case InPlace():
                raise AssertionError("a file in place is not located")

    def _on_hub(self, source: HuggingFace, part: Part, sha256: str | None) -> Remote:
        repository = (source.endpoint, source.repo, source.revision)
        revision = self._pinned.get(part.file) or self._commits.get(repository, source.revision)
        token = self._secrets.word(Path(source.token), "huggingFace.tokenSecretRef") if source.token else ""
        file = HubFile(source.endpoint, source.repo, split.part(source.file, part.number), revision, token)
        if source.quantization:
            projector = part.file.role == "projector"
            file = hub.choose(self.http, file, source.quantization, self._context, projector=projector)
        found = hub.locate(self.http, file, sha256, self._context)
        self.pin(part.file, found.revision)
        if hub.is_commit(found.revision):
            self._commits.setdefault(repository, found.revision)
        return found
