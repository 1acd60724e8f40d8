"""The order of things: what is here already, whose turn it is, what the source says, download, check, publish."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from llama_operator.stage import hub, remote, verify
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.fetch import Fetch
from llama_operator.stage.gguf import Header
from llama_operator.stage.hub import HubFile
from llama_operator.stage.lock import hold
from llama_operator.stage.partial import Partial
from llama_operator.stage.remote import Remote
from llama_operator.stage.report import Result
from llama_operator.stage.room import Room
from llama_operator.stage.store import Published, Store
from llama_operator.stage.text import redact, size


@dataclass(frozen=True)
class Volume:
    """A file on a volume, served where it is."""

    file: Path
    sha256: str | None


@dataclass(frozen=True)
class Download:
    """A file that is brought to `root` and reached through `link`."""

    source: str | HubFile
    sha256: str | None
    root: Path
    link: Path


def stage(request: Volume | Download, context: Context) -> Result:
    """Raises `Failure`, or `OSError` for trouble with the volume."""
    if isinstance(request, Volume):
        return _in_place(request, context)
    store = Store(request.root, request.link, context)
    store.prepare()
    found = store.current(request.sha256, reread=False)
    if found:
        context.log(f"{found.path} is in place and verified: nothing to download")
    else:
        with hold(store.work / "lock", context) as exclusive:
            # What the pod before us in the queue staged is found here.
            found = store.current(request.sha256, reread=True) or _obtain(request, store, context, exclusive)
    return _result(found.header, found.size, found.sha256, store.revision(found), context)


def _in_place(request: Volume, context: Context) -> Result:
    try:
        header, length = verify.structure(request.file)
    except (FileNotFoundError, NotADirectoryError) as error:
        message = f"{request.file} is not on the volume; check spec.source.volume.path"
        raise Failure(Reason.NOT_FOUND, message) from error
    if request.sha256:
        found = verify.digest(request.file, context)
        if found != request.sha256:
            raise verify.mismatch(request.sha256, found, str(request.file))
    return _result(header, length, request.sha256 or "", "", context)


def _obtain(request: Download, store: Store, context: Context, exclusive: bool) -> Published:
    found = store.find(request.sha256) if request.sha256 else None
    revision = ""
    if not found:
        with remote.client(context.policy) as http:
            target = _locate(http, request, context)
            revision = target.revision
            found = (store.find(target.sha256) if target.sha256 else None) or _download(
                http, target, store, context, exclusive
            )
    store.point(found, revision)
    return found


def _locate(http: httpx.Client, request: Download, context: Context) -> Remote:
    if isinstance(request.source, HubFile):
        return hub.locate(http, request.source, request.sha256, context)
    return Remote(request.source, request.sha256)


def _download(http: httpx.Client, target: Remote, store: Store, context: Context, exclusive: bool) -> Published:
    """Fetch, check and publish; once more from scratch if bytes of several responses do not fit together."""
    context.log(f"downloading {redact(target.url)}")
    path = store.work / f"{_key(target, exclusive)}.part"
    room = Room(store.work, store.published, context.log)
    while True:
        with Partial(path, context) as part:
            Fetch(http, target, part, room, context).run()
            try:
                return store.publish(part, _check(part, target), unquote(urlsplit(target.url).path))
            except Failure as failure:
                if failure.reason is Reason.STAGING_FAILED:
                    raise
                if part.responses <= 1:
                    part.reject(failure)
                    raise
                context.log(f"{failure.message}; it came in pieces, so once more in one piece")
                part.discard()


def _key(target: Remote, exclusive: bool) -> str:
    """Names the unfinished download. Without a lock each pod (its host name) works on its own."""
    key = target.sha256 or "url-" + hashlib.sha256(target.url.encode()).hexdigest()
    return key if exclusive else f"{key}-{hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16]}"


def _check(part: Partial, target: Remote) -> Header:
    found, where = part.hexdigest(), redact(target.url)
    if target.sha256 and found != target.sha256:
        raise verify.mismatch(target.sha256, found, where)
    try:
        header, _ = verify.structure(part.path)
    except Failure as failure:
        raise Failure(failure.reason, f"{where}: {failure.message}") from failure
    if header.parts > 1:
        raise Failure(
            Reason.INVALID_SOURCE,
            f"{where} is one of {header.parts} parts of a split model; merge them (llama-gguf-split --merge), "
            "or put all parts on a volume and use spec.source.volume",
        )
    return header


def _result(header: Header, length: int, sha256: str, revision: str, context: Context) -> Result:
    context.log(
        f"{header.name or 'model without a name'}: {header.architecture}, {header.parameters} parameters, "
        f"{header.file_type}, {size(length)}"
    )
    return Result(length, header.architecture, header.name, sha256, revision)
