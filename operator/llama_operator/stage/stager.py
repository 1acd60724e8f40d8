"""The order of things: what is here already, whose turn it is, what the source says, download, check, publish."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llama_operator.api.staging import File, InPlace, Report, Request, Staged
from llama_operator.stage import failures, verify
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gguf import role as gguf_role
from llama_operator.stage.gguf.header import Header
from llama_operator.stage.obtain import obtain
from llama_operator.stage.sizing import Sizing
from llama_operator.stage.source import split
from llama_operator.stage.source.secrets import Secrets
from llama_operator.stage.source.sources import Part, Sources
from llama_operator.stage.store.store import Store
from llama_operator.stage.text import size
from llama_operator.stage.transfer.peek import peek


@dataclass(frozen=True)
class _Found:
    """One part that is in place; `size` in bytes."""

    header: Header
    size: int
    sha256: str = ""
    revision: str = ""


def stage(request: Request, context: Context, secrets: Secrets) -> Report:
    """All files of a request that `request.parse` has let through. Raises `Failure`, whose message names the field."""
    with Sources(context, secrets) as sources:
        todo = [(file, _parts(file)) for file in request.files]
        before, after = Sizing(request.engine), Sizing(request.engine)
        for file, parts in todo:
            with _named(file):
                _look(request, file, parts, sources, context, before)
        before.check()
        staged = tuple(_stage(request, file, parts, sources, context, after) for file, parts in todo)
        return Report(staged, after.check())


def _parts(file: File) -> list[Part]:
    count = split.parts(file.path)
    return [Part(file, number, count) for number in range(1, count + 1)]


def _look(request: Request, file: File, parts: list[Part], sources: Sources, context: Context, sizing: Sizing) -> None:
    """Find out what is missing before the first gigabyte is fetched: a typo in the last adapter is told at once.

    Nobody is asked about what may be here, under another name or with a mark that has to be renewed: that may take a
    while, and needs no source.
    """
    context.gauge.begin("asking", file.role)
    if isinstance(file.source, InPlace):
        for part in parts:
            sizing.know(file.role, _structure(part)[0])
        return
    store, missing = _store(request, context), []
    for part in parts:
        found = store.current(part.path, file.sha256 or None, reread=False)
        if found:
            sources.pin(file, store.revision(part.path, found))
            sizing.know(file.role, found.header)
        elif not part.path.is_symlink() and not (file.sha256 and (store.published / file.sha256).is_dir()):
            missing.append(part)
        else:
            sizing.know(file.role, None)
    for part in missing:
        remote = sources.locate(part)
        if sizing.limited:
            sizing.know(file.role, peek(sources.http, remote, context))


def _stage(
    request: Request, file: File, parts: list[Part], sources: Sources, context: Context, sizing: Sizing
) -> Staged:
    with _named(file):
        found: list[_Found] = []
        for part in parts:
            context.gauge.begin("asking", file.role)
            is_here = isinstance(file.source, InPlace)
            one = _in_place(part, context) if is_here else _obtain(request, part, sources, context)
            split.check(one.header, part.number, part.count, part.where)
            _fits(file, [*found, one], part)
            sizing.know(file.role, one.header)
            found.append(one)
        return _staged(file, found, context)


def _fits(file: File, found: list[_Found], part: Part) -> None:
    """Raise `Failure` if this is a good file of the wrong kind; of a split model, once all parts are here."""
    wrong = gguf_role.role_mismatch(file.role, found[-1].header)
    if not wrong and 1 < part.count == len(found):
        wrong = gguf_role.split_mismatch([one.header for one in found])
    if wrong:
        raise Failure(Reason.INVALID_SOURCE, f"{part.where} {wrong}" if part.count > 1 else wrong)


def _structure(part: Part) -> tuple[Header, int]:
    try:
        return verify.structure(part.path)
    except (FileNotFoundError, NotADirectoryError) as error:
        beside = " beside the first part" if part.number > 1 else "; check the path"
        raise Failure(Reason.NOT_FOUND, f"{part.path} is not there{beside}") from error


def _in_place(part: Part, context: Context) -> _Found:
    header, length = _structure(part)
    expected = part.file.sha256
    if expected:
        found = verify.digest(part.path, context)
        if found != expected:
            raise verify.mismatch(expected, found, str(part.path))
    return _Found(header, length, expected)


def _store(request: Request, context: Context) -> Store:
    store = Store(Path(request.root), context, request.quota)
    store.prepare()
    return store


def _obtain(request: Request, part: Part, sources: Sources, context: Context) -> _Found:
    store, sha256 = _store(request, context), part.file.sha256 or None
    found = store.current(part.path, sha256, reread=False)
    if found:
        context.log(f"{found.path} is in place and verified: nothing to download")
    else:
        found = obtain(sources.http, lambda: sources.locate(part), part.path, store, context, sha256=sha256)
    revision = store.revision(part.path, found)
    sources.pin(part.file, revision)
    return _Found(found.header, found.size, found.sha256, revision)


@contextmanager
def _named(file: File) -> Iterator[None]:
    """Every failure says which field of the spec it is about."""
    try:
        yield
    except (Failure, OSError) as error:
        failure = error if isinstance(error, Failure) else failures.of_volume(error)
        raise Failure(failure.reason, f"{file.field}: {failure.message}", failure.need) from error


def _staged(file: File, found: list[_Found], context: Context) -> Staged:
    first, length = found[0], sum(part.size for part in found)
    header, parameters = first.header, sum(part.header.parameters for part in found)
    context.log(
        f"{file.role}: {header.name or 'without a name'}, {header.architecture}, {parameters} parameters, "
        f"{header.file_type}, {size(length)}"
    )
    return Staged(
        role=file.role,
        bytes=length,
        architecture=header.architecture,
        name=header.name,
        quantization="" if header.file_type == "unknown" else header.file_type,
        parameters=parameters,
        sha256=first.sha256 if len(found) == 1 else "",
        revision=first.revision,
        parts=len(found),
    )
