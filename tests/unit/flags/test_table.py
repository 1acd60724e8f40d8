"""The tables that are shipped, and that they are those of the images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from llama_operator.flags import table
from llama_operator.flags.table import Flag

DOCKERFILE = Path("images/llama-server/Dockerfile").read_text()
VALUES = yaml.safe_load(Path("charts/llama-operator/values.yaml").read_text())


def test_the_image_that_is_built_here_has_a_table_and_the_chart_names_it() -> None:
    built = re.findall(r"_COMMIT=([0-9a-f]{7,})", DOCKERFILE)
    assert set(built) <= set(table.builds())
    assert VALUES["serverImages"]["cpu"]["build"] in built


@pytest.mark.parametrize("build", table.builds())
def test_tables_are_whole(build: str) -> None:
    known = table.of(build)
    assert known.build == build
    assert len(known.names) > 300
    assert all(name.startswith("-") and "_" not in name for name in known.names)
    by_hand = {"--ctx-size": 1, "--jinja": 0, "--no-jinja": 0, "--control-vector-layer-range": 2, "-ot": 1}
    assert {name: known.names[name].values for name in by_hand} == by_hand
    assert known.variables["LLAMA_ARG_CTX_SIZE"].names == ("-c", "--ctx-size")
    assert known.names["--flash-attn"].choices == ("on", "off", "auto")


@pytest.mark.parametrize(
    ("flag", "variables"),
    [
        (Flag(("-t", "--threads"), 1, env="LLAMA_ARG_THREADS"), ("LLAMA_ARG_THREADS",)),
        (Flag(("--jinja", "--no-jinja"), env="LLAMA_ARG_JINJA"), ("LLAMA_ARG_JINJA", "LLAMA_ARG_NO_JINJA")),
        (Flag(("--no-host",), env="LLAMA_ARG_NO_HOST"), ("LLAMA_ARG_NO_HOST",)),
        (Flag(("--warmup", "--no-warmup")), ()),
    ],
)
def test_what_can_be_negated_has_two_variables(flag: Flag, variables: tuple[str, ...]) -> None:
    assert flag.variables() == variables
