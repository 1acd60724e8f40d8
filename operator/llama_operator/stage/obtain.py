"""Get one remote file into the store: whose turn it is, what is here already, download, check, publish."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import httpx

from llama_operator.stage import verify
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.fetch import Fetch
from llama_operator.stage.gguf import Header
from llama_operator.stage.lock import hold
from llama_operator.stage.partial import Partial
from llama_operator.stage.remote import Remote
from llama_operator.stage.room import Room
from llama_operator.stage.store import Published, Store
from llama_operator.stage.text import redact


def obtain(
    http: httpx.Client, locate: Callable[[], Remote], sha256: str | None, store: Store, context: Context
) -> Published:
    """The verified file, with the store's link on it. `locate` asks the source; not needed if the file is here.

    Raises `Failure`, or `OSError` for trouble with the volume.
    """
    with hold(store.work / "lock", context) as exclusive:
        # What the pod before us in the queue staged is found here.
        found = store.current(sha256, reread=True)
        if found:
            return found
        found, revision = (store.find(sha256) if sha256 else None), ""
        if not found:
            target = locate()
            revision = target.revision
            found = (store.find(target.sha256) if target.sha256 else None) or _download(
                http, target, store, context, exclusive
            )
        store.point(found, revision)
        return found


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
    return header
