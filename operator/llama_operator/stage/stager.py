"""The order of things: what is here already, whose turn it is, what the source says, download, check, publish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx

from llama_operator.stage import hub, remote, verify
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gguf import Header
from llama_operator.stage.hub import HubFile
from llama_operator.stage.obtain import obtain
from llama_operator.stage.remote import Remote
from llama_operator.stage.report import Result
from llama_operator.stage.store import Store
from llama_operator.stage.text import size


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
    store = Store(request.root, context)
    store.prepare()
    found = store.current(request.link, request.sha256, reread=False)
    if found:
        context.log(f"{found.path} is in place and verified: nothing to download")
    else:
        with remote.client(context.policy) as http:
            found = obtain(
                http, lambda: _locate(http, request, context), request.link, store, context, sha256=request.sha256
            )
    return _result(found.header, found.size, found.sha256, store.revision(request.link, found), context)


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


def _locate(http: httpx.Client, request: Download, context: Context) -> Remote:
    if isinstance(request.source, HubFile):
        return hub.locate(http, request.source, request.sha256, context)
    return Remote(request.source, request.sha256)


def _result(header: Header, length: int, sha256: str, revision: str, context: Context) -> Result:
    context.log(
        f"{header.name or 'model without a name'}: {header.architecture}, {header.parameters} parameters, "
        f"{header.file_type}, {size(length)}"
    )
    return Result(length, header.architecture, header.name, sha256, revision)
