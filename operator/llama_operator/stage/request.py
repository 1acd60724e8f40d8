"""The one argument of the stager: decoded, and refused if it cannot be meant.

The API server and the operator have checked most of it; what gets here decides what is written where, so it is
checked again.
"""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import msgspec

from llama_operator.api.staging import S3, Engine, File, HuggingFace, InPlace, Request, Url
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.source import s3, split

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ROLE = re.compile(r"model|projector|draft|adapter/[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_QUANTIZATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MOST_PARTS = 1000
_MOST = 1 << 31
"""llama-server counts tokens and slots in 32 bits."""


def parse(argument: str) -> Request:
    """Raises `Failure` (InvalidSource) for whatever cannot be meant."""
    try:
        request = msgspec.json.decode(argument, type=Request)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _invalid(f"the stager's argument is no request: {error}") from error
    if not request.files or not 0 <= request.port < 1 << 16 or request.quota < 0:
        raise _invalid(
            "the stager's argument is no request: it needs files, a port from 0 to 65535, and a quota from 0"
        )
    if request.engine:
        _check_engine(request.engine)
    # One path may come twice: the same file in two roles, such as a model that drafts for itself.
    if len({file.role for file in request.files}) < len(request.files):
        raise _invalid("two files of the request have one role")
    for file in request.files:
        try:
            _check(file, request.root)
        except Failure as failure:
            raise Failure(failure.reason, f"{file.field}: {failure.message}") from failure
    return request


def _check(file: File, root: str) -> None:
    if not _ROLE.fullmatch(file.role):
        raise _invalid("the role is none")
    if file.sha256 and not _DIGEST.fullmatch(file.sha256):
        raise _invalid("sha256 must be 64 lower-case hexadecimal digits")
    path = Path(file.path)
    if not path.is_absolute() or ".." in path.parts or "\0" in file.path:
        raise _invalid(f"{file.path} must be an absolute path without ..")
    if not isinstance(file.source, InPlace) and not Path(root or "/dev/null").is_dir():
        raise _invalid(f"the root {root} is not a folder")
    parts = _parts(file)
    if split.parts(file.path) != parts:
        raise _invalid(f"{file.path} must end like the name of the source, of which there are {parts} parts")
    if parts > _MOST_PARTS:
        raise _invalid(f"{parts} parts are more than can be meant")
    if parts > 1 and file.sha256:
        raise _invalid(
            "sha256 is of one file, and this model is split; leave it out (Hugging Face lists those of all parts)"
        )


def _check_engine(engine: Engine) -> None:
    counts = (engine.context, engine.slots, engine.batch)
    sizes = (engine.checkpoints, engine.prompt_cache, engine.limit)
    if not all(0 < count < _MOST for count in counts) or min(sizes) < 0:
        raise _invalid("the engine of the request needs tokens, slots and a batch, and sizes from 0")


def _parts(file: File) -> int:
    """How many parts the source names. Raises `Failure` for a source that cannot be meant."""
    match file.source:
        case Url(url=url):
            address(url, "url.url")
            return split.parts(url)
        case HuggingFace() as source:
            _check_hub(source)
            return split.parts(source.file)
        case S3() as source:
            if source.endpoint:
                address(source.endpoint, "s3.endpoint")
            s3.check(source)
            return split.parts(source.uri)
        case InPlace():
            return split.parts(file.path)


def address(url: str, field: str) -> None:
    try:
        parsed = httpx.URL(url)
        parsed.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _invalid(f"{field} is not an address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _invalid(f"{field} must start with https:// or http:// and name a host")
    if parsed.userinfo:
        raise _invalid(f"{field} must not hold a user name or password; use a Secret")


def _check_hub(source: HuggingFace) -> None:
    address(source.endpoint, "huggingFace.endpoint")
    if not _REPO.fullmatch(source.repo):
        raise _invalid("huggingFace.repo must be ORGANISATION/NAME")
    if not source.revision or ".." in source.revision:
        raise _invalid("huggingFace.revision must be a branch, a tag or a commit")
    if bool(source.file) == bool(source.quantization):
        raise _invalid("huggingFace needs file or quantization, and not both")
    if source.file and any(part in ("", ".", "..") for part in source.file.split("/")):
        raise _invalid("huggingFace.file must be a path within the repository")
    if source.quantization and not _QUANTIZATION.fullmatch(source.quantization):
        raise _invalid("huggingFace.quantization must be a word as Q4_K_M")


def _invalid(message: str) -> Failure:
    return Failure(Reason.INVALID_SOURCE, message)
