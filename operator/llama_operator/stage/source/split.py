"""Split models: a name that ends with -00001-of-0000N.gguf names all its parts.

llama-server opens the first part and looks for the others beside it, by exactly these names.
https://github.com/ggml-org/llama.cpp/blob/master/tools/gguf-split/README.md
"""

from __future__ import annotations

import re

from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gguf.header import Header

_NAME = re.compile(r"(?P<stem>[^?#]*-)(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf(?P<rest>[?#].*)?", re.DOTALL)


def parts(name: str) -> int:
    """How many parts the path or address names: 1 if it is no split model.

    Raises `Failure` (InvalidSource) if it names another part than the first.
    """
    match = _NAME.fullmatch(name)
    if not match:
        return 1
    number, count = int(match["number"]), int(match["count"])
    if number != 1 or count < 1:
        first = f"-00001-of-{match['count']}.gguf"
        raise Failure(Reason.INVALID_SOURCE, f"of a split model name the first part, which ends with {first}")
    return count


def part(name: str, number: int) -> str:
    """The path or address of the part `number`, counted from 1; a query stays as it is."""
    match = _NAME.fullmatch(name)
    if not match:
        return name
    return f"{match['stem']}{number:05d}-of-{match['count']}.gguf{match['rest'] or ''}"


def number(name: str) -> int | None:
    """Which part this is by its name, counted from 1; None if it is no part."""
    match = _NAME.fullmatch(name)
    return int(match["number"]) if match else None


def check(header: Header, number: int, count: int, where: str) -> None:
    """Raise `Failure` unless the file itself says that it is the part `number` (from 1) of `count`."""
    if (header.parts, header.part) == (count, number - 1) or (count == 1 and header.parts <= 1):
        return
    if count == 1:
        raise Failure(
            Reason.INVALID_SOURCE,
            f"{where} is part {header.part + 1} of {header.parts} of a split model, but not named like one; name its "
            f"first part, under a name that ends with -00001-of-{header.parts:05d}.gguf, with the others beside it",
        )
    raise Failure(
        Reason.INVALID_SOURCE,
        f"{where} is part {number} of {count} by its name, but says to be part {header.part + 1} of {header.parts}; "
        "publish the parts under the names that llama-gguf-split gave them",
    )
