"""A stand-in for the Hugging Face hub: two servers, one for the API and one for the bytes, as there are two.

The contract is that of huggingface_hub 2.4 (file_download.py, hf_api.py, utils/_http.py), and test_hub.py lets that
very library download from here. Large files (all *.gguf) are redirected to the other host, with a signature in the
address; small ones within the hub, with a relative Location.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.integration.staging.origin import Exchange, Origin

SIGNATURE = "X-Signature=not-to-be-shown"
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?")
_CACHED = re.compile(r"/api/resolve-cache/models/([^/]+/[^/]+)/([^/]+)/(.+)")


@dataclass
class Repo:
    """`commits` maps each commit to its files; `gated` and `private` ones need the hub's token."""

    commits: dict[str, Mapping[str, bytes]]
    revisions: dict[str, str]
    gated: bool = False
    private: bool = False


@dataclass
class Hub:
    """`prefix` is a path that a mirror has before all others. Tokens: `token` may read everything, others nothing."""

    prefix: str = ""
    token: str = "hf_the-right-one"
    page: int = 1000
    """Files in one answer of the tree; the rest is behind a Link."""
    repos: dict[str, Repo] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    """Old name of a repository to the new one."""
    _servers: list[Origin] = field(default_factory=list)

    @property
    def api(self) -> Origin:
        return self._servers[0]

    @property
    def cdn(self) -> Origin:
        """Where large files are; script faults here for `cdn_path`."""
        return self._servers[1]

    @property
    def endpoint(self) -> str:
        return self.api.url(self.prefix)

    def push(self, repo: str, files: Mapping[str, bytes], revision: str = "main") -> str:
        """All files of a new commit, which the branch then names. Returns the commit."""
        kept = self.repos.setdefault(repo, Repo({}, {}))
        commit = hashlib.sha1(repr((sorted(files.items()), len(kept.commits))).encode()).hexdigest()
        kept.commits[commit] = dict(files)
        kept.revisions[revision] = commit
        for data in files.values():
            self.cdn.serve(self.cdn_path(data), data, etag=f'"{_sha256(data)[:32]}"')
        return commit

    def cdn_path(self, data: bytes) -> str:
        return f"/lfs/{_sha256(data)}"

    def answer(self, exchange: Exchange) -> None:
        """What the API server does with a path of no file: the whole contract."""
        path = urlsplit(exchange.asked.path).path
        if not path.startswith(self.prefix):
            return _error(exchange, 404, "", "outside of the mirror")
        path = path.removeprefix(self.prefix)
        if found := _CACHED.fullmatch(path):
            return self._small(exchange, *map(unquote, found.groups()))
        if found := _API.fullmatch(path):
            repo, what, revision = found[1], found[2] or "revision", unquote(found[3] or "main")
            return self._listing(exchange, repo, what, revision)
        if found := _RESOLVE.fullmatch(path):
            return self._resolve(exchange, *map(unquote, found.groups()))
        return _error(exchange, 404, "", "no such route")

    def _resolve(self, exchange: Exchange, name: str, revision: str, file: str) -> None:
        if name in self.moved:
            target = f"{self.prefix}/{self.moved[name]}/resolve/{quote(revision, safe='')}/{quote(file)}"
            return exchange.head(307, {"Location": target, "Content-Length": "0"})
        found = self._commit(exchange, name, revision)
        if found is None:
            return None
        commit, files = found
        if file not in files:
            return _error(exchange, 404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        data, large = files[file], _large(file)
        target = f"{self.cdn.url(self.cdn_path(data), 'localhost')}?{SIGNATURE}"
        if not large:
            target = f"{self.prefix}/api/resolve-cache/models/{name}/{commit}/{quote(file)}"
        etag = _sha256(data) if large else _git_blob(data)
        linked = {"X-Repo-Commit": commit, "X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{etag}"'}
        return exchange.head(302 if large else 307, {"Location": target, "Content-Length": "0", **linked})

    def _small(self, exchange: Exchange, name: str, commit: str, file: str) -> None:
        data = self.repos[name].commits[commit][file]
        exchange.answer(body=data, headers={"ETag": f'"{_git_blob(data)}"', "X-Repo-Commit": commit})

    def _listing(self, exchange: Exchange, name: str, what: str, revision: str) -> None:
        name = self.moved.get(name, name)
        found = self._commit(exchange, name, revision)
        if found is None:
            return
        commit, files = found
        if what == "revision":
            siblings = [{"rfilename": file} for file in files]
            _json(exchange, {"id": name, "modelId": name, "sha": commit, "siblings": siblings})
            return
        asked = parse_qs(urlsplit(exchange.asked.path).query)
        start = int(asked.get("cursor", ["0"])[0])
        names = sorted(files)
        following = f"{self.endpoint}/api/models/{name}/tree/{quote(revision, safe='')}?recursive=true"
        more = start + self.page < len(names)
        link = {"Link": f'<{following}&cursor={start + self.page}>; rel="next"'} if more else {}
        _json(exchange, [_entry(file, files[file]) for file in names[start : start + self.page]], link)

    def _commit(self, exchange: Exchange, name: str, revision: str) -> tuple[str, Mapping[str, bytes]] | None:
        """Commit and files, if whoever asks may see them; else the hub's refusal has been sent."""
        repo, sent = self.repos.get(name), exchange.asked.headers.get("Authorization", "")
        right = sent == f"Bearer {self.token}"
        if sent and not right and not (repo and repo.gated):
            _error(exchange, 401, "", "Invalid username or password.")
        elif repo is None or (repo.private and not right):
            # Whether it exists is nobody's business.
            _error(exchange, 404 if right else 401, "RepoNotFound", "Repository not found")
        elif repo.gated and not right:
            _error(exchange, 403 if sent else 401, "GatedRepo", f"Access to model {name} is restricted.")
        elif (commit := repo.revisions.get(revision, revision)) not in repo.commits:
            _error(exchange, 404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return commit, repo.commits[commit]
        return None


@contextmanager
def running(prefix: str = "") -> Iterator[Hub]:
    hub = Hub(prefix)
    with ExitStack() as stack:
        hub._servers += [stack.enter_context(Origin(otherwise=hub.answer)), stack.enter_context(Origin())]
        yield hub


def _entry(path: str, data: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "oid": _git_blob(data), "size": len(data), "path": path}
    return entry | ({"lfs": {"oid": _sha256(data), "size": len(data), "pointerSize": 134}} if _large(path) else {})


def _large(path: str) -> bool:
    return path.endswith(".gguf")


def _json(exchange: Exchange, value: object, headers: Mapping[str, str] | None = None) -> None:
    body = json.dumps(value).encode()
    exchange.head(200, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})})
    exchange.send(body)


def _error(exchange: Exchange, status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> None:
    said = {"X-Error-Message": text} | ({"X-Error-Code": code} if code else {})
    exchange.head(status, {"Content-Length": "0", **said, **(headers or {})})


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
