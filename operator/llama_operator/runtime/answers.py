"""What of a pod's answer is believed. Anybody may have made the pod: only what makes sense gets into a status."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from llama_operator.api.sidecar import MOST_DEVICES, Facts
from llama_operator.api.staging import Progress

MOST = 2**53
"""Bytes, or bytes per second: more is no file, and no number that every JSON reader keeps."""
MOST_TOKENS = 2**31 - 1
"""llama.cpp counts tokens and slots in 32 bits."""
PATH_LIMIT = 1024
PROBLEM_LIMIT = 300
"""Characters of what is wrong that are told."""

_ROLE = re.compile(r"model|projector|draft|adapter/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_BUILD = re.compile(r"[-0-9A-Za-z._+:()/ ]{0,64}")
_QUANTIZATION = re.compile(r"[-0-9A-Za-z._,() ]{0,64}")
_SHA256 = re.compile(r"([0-9a-f]{64})?")
_DEVICE = re.compile(r"/dev/[-0-9A-Za-z_/]{1,48}")
_UNPRINTABLE = re.compile(r"[^ -~]+")

T = TypeVar("T")


class NoAnswer(Exception):
    """Nothing that can be believed: no connection, no time, no sense."""


def progress(answer: bytes) -> Progress:
    """Numbers that make sense, and a role that a file can have. Raises `NoAnswer`."""
    told = _decoded(answer, Progress)
    if not _ROLE.fullmatch(told.role):
        raise NoAnswer("no such role")
    if not all(0 <= number <= MOST for number in (told.bytes, told.total, told.rate)):
        raise NoAnswer("numbers without sense")
    if told.total and told.bytes > told.total:
        raise NoAnswer("more than all")
    return told


def facts(answer: bytes) -> Facts:
    """Numbers that make sense, names in their alphabets, and what is wrong in one line. Raises `NoAnswer`."""
    told = _decoded(answer, Facts)
    if not _BUILD.fullmatch(told.build) or len(told.model) > PATH_LIMIT or not told.model.isprintable():
        raise NoAnswer("names without sense")
    if not _QUANTIZATION.fullmatch(told.quantization) or not _SHA256.fullmatch(told.sha256):
        raise NoAnswer("names without sense")
    devices = told.devices or ()
    if len(devices) > MOST_DEVICES or not all(_DEVICE.fullmatch(path) for path in devices):
        raise NoAnswer("devices without sense")
    if not all(0 <= number <= MOST_TOKENS for number in (told.context_size, told.slots, told.context_trained)):
        raise NoAnswer("numbers without sense")
    if not all(0 <= number <= MOST for number in (told.parameters, told.bytes)):
        raise NoAnswer("numbers without sense")
    return msgspec.structs.replace(told, problem=_line(told.problem), ended=_line(told.ended))


def _line(words: str) -> str:
    return " ".join(_UNPRINTABLE.sub(" ", words).split())[:PROBLEM_LIMIT]


def _decoded(answer: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(answer, type=type_)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise NoAnswer(str(error)) from error
