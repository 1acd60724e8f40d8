"""Command line of the stager: arguments in, exit code and termination message out."""

from __future__ import annotations

import argparse
import os
import re
import signal
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Never

import httpx

from llama_operator.stage import failures, report
from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.hub import HubFile
from llama_operator.stage.stager import Download, Volume, stage
from llama_operator.stage.text import say

_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_TERMINATED = 128 + signal.SIGTERM


class _Parser(argparse.ArgumentParser):
    """Wrong arguments are a reason like any other, instead of a usage text that nobody sees."""

    def error(self, message: str) -> Never:
        raise Failure(Reason.INVALID_SOURCE, f"bad arguments for the stager: {message}")


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 if the file is in place, else 1."""
    signal.signal(signal.SIGTERM, _terminate)
    token = os.environ.get("HF_TOKEN", "").strip()
    try:
        message, code = report.succeeded(stage(parse(arguments, token), Context())), 0
    except Exception as error:
        message, code = report.failed(_explain(error), (token,) if token else ()), 1
    report.write(message)
    say(message.decode())
    return code


def _explain(error: Exception) -> Failure:
    if isinstance(error, Failure):
        return error
    if isinstance(error, OSError):
        return failures.of_volume(error)
    # Nothing else is meant to get here: a bug, and told as one.
    traceback.print_exception(error)
    return Failure(Reason.STAGING_FAILED, f"error in the stager: {type(error).__name__}, see its log")


def parse(arguments: Sequence[str], token: str) -> Volume | Download:
    """Raises `Failure` (InvalidSource) for whatever cannot be meant."""
    given = _parser().parse_args(arguments)
    if given.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", given.sha256):
        raise Failure(Reason.INVALID_SOURCE, "sha256 must be 64 lower-case hexadecimal digits")
    if given.source == "volume":
        return Volume(_plain(Path(given.file)), given.sha256)
    if not given.root.is_dir():
        raise Failure(Reason.INVALID_SOURCE, f"--root {given.root} is not a folder")
    is_url = given.source == "url"
    source = _address(given.url, "spec.source.url.url") if is_url else _hub_file(given, token)
    return Download(source, given.sha256, given.root, given.link)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="stage", description="Put one verified GGUF file in place.", allow_abbrev=False)
    kinds = parser.add_subparsers(dest="source", required=True)
    url = kinds.add_parser("url", allow_abbrev=False)
    url.add_argument("--url", required=True)
    hub = kinds.add_parser("hugging-face", allow_abbrev=False)
    for name in ("--endpoint", "--repo", "--file", "--revision"):
        hub.add_argument(name, required=True)
    volume = kinds.add_parser("volume", allow_abbrev=False)
    volume.add_argument("--file", required=True)
    for kind in (url, hub, volume):
        kind.add_argument("--sha256")
    for kind in (url, hub):
        kind.add_argument("--root", required=True, type=Path)
        kind.add_argument("--link", required=True, type=Path)
    return parser


def _address(url: str, field: str) -> str:
    try:
        parsed = httpx.URL(url)
        parsed.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise Failure(Reason.INVALID_SOURCE, f"{field} is not an address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Failure(Reason.INVALID_SOURCE, f"{field} must start with https:// or http:// and name a host")
    if parsed.userinfo:
        raise Failure(Reason.INVALID_SOURCE, f"{field} must not hold a user name or password")
    return url


def _hub_file(given: argparse.Namespace, token: str) -> HubFile:
    if not _REPO.fullmatch(given.repo):
        raise Failure(Reason.INVALID_SOURCE, "repo must be ORGANISATION/NAME")
    if not given.revision or ".." in given.revision:
        raise Failure(Reason.INVALID_SOURCE, "revision must be a branch, a tag or a commit")
    if any(part in ("", ".", "..") for part in given.file.split("/")):
        raise Failure(Reason.INVALID_SOURCE, "file must be a path within the repository")
    if token and not _TOKEN.fullmatch(token):
        raise Failure(Reason.INVALID_SOURCE, "the token has blanks or characters that no token has; check the Secret")
    endpoint = _address(given.endpoint, "spec.source.huggingFace.endpoint")
    return HubFile(endpoint, given.repo, given.file, given.revision, token)


def _plain(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts:
        raise Failure(Reason.INVALID_SOURCE, f"--file {path} must be an absolute path without ..")
    return path


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Stop here and now. Whatever is half done looks the same as after a crash, and the next run goes on from it."""
    # Not print(): the signal may have come in the middle of one.
    os.write(1, b"terminated; what has been downloaded is kept\n")
    os._exit(_TERMINATED)
