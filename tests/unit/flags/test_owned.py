"""Flags that are not the user's: the CRD, this package and the tables of the builds say the same."""

from __future__ import annotations

import re

import pytest

from llama_operator.flags import owned, table
from tests.integration.manifests.fields import SPEC
from tests.integration.manifests.rules import VIOLATIONS

ENGINE = SPEC["properties"]["engine"]["properties"]
SHIPPED = [table.of(build) for build in table.builds()]


def test_the_api_server_refuses_the_same_with_the_same_words() -> None:
    rules = {
        match[1]: rule["message"]
        for rule in ENGINE["args"]["x-kubernetes-validations"]
        if (match := re.fullmatch(r"!self\.exists\(a, a\.matches\('(.+)'\)\)", rule["rule"]))
    }
    assert rules == owned.FLAGS
    names = {
        match[1]: rule["message"]
        for rule in ENGINE["env"]["x-kubernetes-validations"]
        if (match := re.fullmatch(r"!self\.exists\(e, e\.name\.matches\('(.+)'\)\)", rule["rule"]))
    }
    assert names == owned.VARIABLES


@pytest.mark.parametrize("known", SHIPPED, ids=lambda known: known.build)
def test_a_flag_is_refused_under_all_its_names_and_as_a_variable(known: table.Table) -> None:
    refused = [flag for flag in known.names.values() if any(owned.flag(name) for name in flag.names)]
    assert len(refused) > 30
    for flag in refused:
        # HF_TOKEN is how that secret is to be given.
        variables = [name for name in flag.variables() if name.startswith("LLAMA_ARG_")]
        names = [*(owned.flag(name) for name in flag.names), *(owned.variable(name) for name in variables)]
        assert all(names), flag


@pytest.mark.parametrize("known", SHIPPED, ids=lambda known: known.build)
def test_a_variable_is_refused_with_its_flag(known: table.Table) -> None:
    for variable, flag in known.variables.items():
        assert bool(owned.variable(variable)) <= bool(owned.flag(flag.names[-1])), variable


@pytest.mark.parametrize("known", SHIPPED, ids=lambda known: known.build)
def test_whatever_runs_commands_is_refused(known: table.Table) -> None:
    """By the engine's own words for it, whatever it will be called."""
    dangerous = {name for name in known.names if re.search("tool|agent|mcp|rpc", name)}
    assert {"--tools", "--agent", "--mcp-servers-json", "--rpc"} <= dangerous
    assert {name for name in dangerous if not owned.flag(name)} == set()


def test_underscores_are_read_as_dashes() -> None:
    for messages in VIOLATIONS["spec.engine.args"].values():
        for args in messages:
            if args[0].startswith("--"):
                assert owned.flag("--" + args[0][2:].replace("-", "_")) == owned.flag(args[0])
