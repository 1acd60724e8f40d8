"""The flags of one build of llama-server, as data that was made from its own `--help` (`hack/flags/read_help.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec

_BUILDS = files("llama_operator.flags").joinpath("builds")


class Flag(msgspec.Struct, frozen=True):
    """One flag under all its names; llama-server reads `_` as `-` in those that begin with `--`.

    `values`: words that follow it, `hint` is what `--help` calls them. `choices`: values that `--help` lists.
    `removed`: it is refused, and this is what the engine says to use instead.
    """

    names: tuple[str, ...]
    values: int = 0
    hint: str = ""
    env: str = ""
    choices: tuple[str, ...] = ()
    removed: str = ""

    def variables(self) -> tuple[str, ...]:
        """Environment variables that set it; what can be negated has one for that, too (arg.cpp, get_env)."""
        negated = [name.startswith("--no-") for name in self.names if name.startswith("--")]
        if self.env and any(negated) and not all(negated):
            return (self.env, self.env.replace("LLAMA_ARG_", "LLAMA_ARG_NO_"))
        return (self.env,) if self.env else ()


class _File(msgspec.Struct, frozen=True):
    build: str
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class Table:
    """`names` and `variables`: the flags by what they are called on the command line and in the environment."""

    build: str
    names: Mapping[str, Flag]
    variables: Mapping[str, Flag]


def builds() -> list[str]:
    """Builds (commits of llama.cpp) that there is a table for."""
    return sorted(file.name.removesuffix(".json") for file in _BUILDS.iterdir() if file.name.endswith(".json"))


@cache
def of(build: str) -> Table:
    """The table of one of `builds`."""
    read = msgspec.json.decode(_BUILDS.joinpath(f"{build}.json").read_bytes(), type=_File)
    return made(read.build, read.flags)


def made(build: str, flags: Iterable[Flag]) -> Table:
    every = tuple(flags)
    names = {name: flag for flag in every for name in flag.names}
    return Table(build, names, {variable: flag for flag in every for variable in flag.variables()})
