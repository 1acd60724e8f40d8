"""Will this build of llama-server take what the user wrote? Asked before anything is rolled out. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from llama_operator.api.engine import Engine
from llama_operator.api.types import SpecError
from llama_operator.flags import owned
from llama_operator.flags.successors import FLAGS, GONE, VARIABLES
from llama_operator.flags.table import Flag, Table

ENDS = frozenset({"-h", "--help", "--usage", "--version", "-cl", "--cache-list", "--completion-bash", "--list-devices"})
"""Flags with which llama-server prints something and ends."""

LIKENESS = 0.7
"""How near a name must be to be taken for what was meant (difflib's ratio)."""


def check(engine: Engine, table: Table | None) -> None:
    """Raises `SpecError` for the first argument or variable that cannot be, naming it and what to use instead.

    Without a table, for an engine of unknown build, only what is not the user's to set is refused.
    """
    for number, word in enumerate(engine.args):
        if refusal := owned.flag(word):
            raise SpecError(f"spec.engine.args[{number}]", refusal)
    for number, variable in enumerate(engine.env):
        if refusal := owned.variable(variable.name):
            raise SpecError(f"spec.engine.env[{number}].name", refusal)
    if table is not None:
        _flags(engine.args, table)
        for number, variable in enumerate(engine.env):
            _variable(f"spec.engine.env[{number}].name", variable.name, table)
        _template(engine, table)


def _flags(args: Sequence[str], table: Table) -> None:
    """As llama-server goes through them: a flag, then as many words as it takes values."""
    position = 0
    while position < len(args):
        field = f"spec.engine.args[{position}]"
        flag = _known(field, args[position], table)
        values = args[position + 1 : position + 1 + flag.values]
        if len(values) < flag.values:
            raise SpecError(field, f"{args[position]} needs a value: {flag.hint}")
        for value in values:
            if _name(value) in table.names:
                raise SpecError(field, f"{args[position]} needs a value ({flag.hint}), and {value} is the next flag")
        position += 1 + flag.values


def _known(field: str, word: str, table: Table) -> Flag:
    flag = table.names.get(_name(word))
    if flag is None or flag.removed:
        raise SpecError(field, f"llama-server (build {table.build}) {_missing(word, flag, table)}")
    if _name(word) in ENDS:
        raise SpecError(field, f"with {word} llama-server prints something and ends; take it out")
    return flag


def _missing(word: str, flag: Flag | None, table: Table) -> str:
    name = _name(word)
    if name in FLAGS:
        return f"does not have {word} any more; use {FLAGS[name]}"
    if flag:
        return f"does not have {word} any more; {flag.removed}"
    if name in GONE:
        return f"does not have {word} any more; nothing has replaced it"
    return f"has no flag {word}; {_advice(word, table)}"


def _name(word: str) -> str:
    return word.replace("_", "-") if word.startswith("--") else word


def _advice(word: str, table: Table) -> str:
    for mark in ("=", " "):
        flag, found, _ = word.partition(mark)
        if found and _name(flag) in table.names:
            return f"write {flag} and its value as two items"
    return _nearest(_name(word), table.names)


def _nearest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=LIKENESS)
    return f"did you mean {near[0]}?" if near else "its --help lists those that it has"


def _variable(field: str, name: str, table: Table) -> None:
    """Unlike flags, llama-server passes over variables that it does not know."""
    flag = table.variables.get(name)
    if name in VARIABLES and (flag is None or flag.removed):
        told = f"does not read {name} any more; use {VARIABLES[name]}"
    elif flag is None and name.startswith("LLAMA_ARG_"):
        told = f"does not read {name}; {_nearest(name, table.variables)}"
    else:
        return
    raise SpecError(field, f"llama-server (build {table.build}) {told}")


def _template(engine: Engine, table: Table) -> None:
    """Which templates are built in changes from build to build, so the CRD does not list them."""
    name = engine.chat_template.name if engine.chat_template else None
    known = table.names["--chat-template"].choices
    if name is not None and name not in known:
        raise SpecError(
            "spec.engine.chatTemplate.name",
            f"llama-server (build {table.build}) has no template {name}; it has {', '.join(known)}",
        )
