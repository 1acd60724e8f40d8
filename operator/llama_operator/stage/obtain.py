"""Get one remote file into the store: whose turn it is, what is here already, download, check, publish, link."""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from llama_operator.stage import failures, verify
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure
from llama_operator.stage.files import read_note, write_note
from llama_operator.stage.gguf.header import Header
from llama_operator.stage.store.room import RESERVE, Room
from llama_operator.stage.store.store import Published, Store
from llama_operator.stage.store.work import Done
from llama_operator.stage.text import redact
from llama_operator.stage.transfer.fetch import Fetch
from llama_operator.stage.transfer.partial import Partial
from llama_operator.stage.transfer.remote import Remote


def obtain(
    http: httpx.Client,
    target: Remote | Callable[[], Remote],
    link: Path,
    store: Store,
    context: Context,
    *,
    sha256: str | None = None,
) -> Published:
    """The verified file, with `link` on it. A function as `target` asks the source, which is not done if the file is
    here; the digest that the spec demands is then `sha256`.

    One process at a time does this for one file; others wait, and find its work. Raises `Failure`, or `OSError` for
    trouble with the volume.
    """
    wanted = target.sha256 if isinstance(target, Remote) else sha256
    while True:
        found = _here(link, wanted, store)
        if found:
            return found
        remote = target if isinstance(target, Remote) else target()
        found = _there(http, remote, link, store, context)
        if found:
            return found


def _here(link: Path, wanted: str | None, store: Store) -> Published | None:
    """The file is on the volume: read it if its mark is missing. Costs no request."""
    digest = wanted or store.linked(link)
    if digest is None:
        return None
    with store.work.file(digest):
        found = store.current(link, wanted, reread=True)
        if found:
            return found
        found = store.find(wanted) if wanted else None
        return found if found and store.point(link, found, "") else None


def _there(http: httpx.Client, remote: Remote, link: Path, store: Store, context: Context) -> Published | None:
    """None if a collector was faster than we; then all begins anew."""
    with store.work.file(_key(remote)) as exclusive:
        key = _key(remote) if exclusive else f"{_key(remote)}-{_host()}"
        found = store.current(link, remote.sha256, reread=False)
        if found:
            return found
        found = (store.find(remote.sha256) if remote.sha256 else _done(key, store)) or _download(
            http, remote, link, key, store, context
        )
        pointed = store.point(link, found, remote.revision)
        store.work.path(key, ".done").unlink(missing_ok=True)
        return found if pointed else None


def _done(key: str, store: Store) -> Published | None:
    """What an earlier process published and had no time to link."""
    done = read_note(store.work.path(key, ".done"), Done)
    if done is None:
        return None
    with store.work.file(done.sha256):
        return store.find(done.sha256)


def _download(http: httpx.Client, target: Remote, link: Path, key: str, store: Store, context: Context) -> Published:
    """Fetch, check and publish; once more from scratch if bytes of several responses do not fit together."""
    context.log(f"downloading {redact(target.url)}")
    path = store.work.path(key, ".part")
    room = Room(store.work, store.published, store.quota, context.log)
    while True:
        with Partial(path, context) as part:
            try:
                Fetch(http, target, part, room, context).run()
            except OSError as error:
                raise _explained(error, store, key) from error
            try:
                header = _check(part, target)
            except Failure as failure:
                if part.responses <= 1 or part.again:
                    part.reject(failure)
                    raise
                context.log(f"{failure.message}; it came in pieces, so once more in one piece")
                part.discard(failure)
                continue
            room.settle(path)
            if not target.sha256:
                write_note(store.work.path(key, ".done"), Done(part.hexdigest()))
            return store.publish(part, header, unquote(urlsplit(target.url).path))


def _explained(error: OSError, store: Store, key: str) -> Exception:
    """Somebody else filled the volume: what is here is kept, and the rest must be made room for."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return error
    failure = failures.of_volume(error)
    return Failure(failure.reason, failure.message, max(store.work.promised(key) - store.work.allocated(key), RESERVE))


def _key(remote: Remote) -> str:
    """Names the file in locks and notes."""
    return remote.sha256 or "url-" + hashlib.sha256(remote.url.encode()).hexdigest()


def _host() -> str:
    """Without locks each pod (its host name) works on a download of its own."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16]


def _check(part: Partial, target: Remote) -> Header:
    found, where = part.hexdigest(), redact(target.url)
    if target.sha256 and found != target.sha256:
        raise verify.mismatch(target.sha256, found, where)
    try:
        header, _ = verify.structure(part.path)
    except Failure as failure:
        raise Failure(failure.reason, f"{where}: {failure.message}") from failure
    return header
