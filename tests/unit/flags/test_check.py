"""What is refused before it is rolled out, and what the user is told to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.api.types import SpecError
from llama_operator.config import Config
from llama_operator.flags import successors, table
from llama_operator.flags.check import ENDS, check
from llama_operator.flags.table import Flag, made
from llama_operator.resources import build
from tests.unit.resources.models import CONFIG, model

BUILD = table.builds()[-1]
SHIPPED = table.of(BUILD)


def refusal(known: table.Table | None = SHIPPED, **engine: Any) -> tuple[str, str]:
    """Field and message."""
    with pytest.raises(SpecError) as caught:
        check(model(engine=engine).spec.engine, known)
    return caught.value.field, caught.value.message


def accepted(known: table.Table | None = SHIPPED, **engine: Any) -> None:
    check(model(engine=engine).spec.engine, known)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--temp", "0"],
        ["--top-k", "-1"],
        ["--load_mode", "none", "--jinja", "--no-warmup"],
        ["--control-vector-layer-range", "1", "2", "--verbose"],
        ["--override-kv", "a=int:1", "--chat-template-kwargs", '{"a": "--b"}'],
        ["-lv", "4", "-cms", "0", "--spec-type", "draft-simple"],
    ],
    ids=str,
)
def test_flags_of_the_build_are_accepted(args: list[str]) -> None:
    accepted(args=args)


@pytest.mark.parametrize(
    ("args", "position", "told"),
    [
        (["--temp", "0", "--no-mmap"], 2, "does not have --no-mmap any more; use --load-mode none"),
        (["--mlock"], 0, "use --load-mode mlock"),
        (["--no_mmap"], 0, "does not have --no_mmap any more; use --load-mode none"),
        (["--draft-max", "8"], 0, "use spec.draft.maxTokens"),
        (["--spec-ngram-size-n", "8"], 0, "use the respective --spec-ngram-*-size-n or --spec-ngram-mod-n-match"),
        (["--penalize-nl"], 0, "any more; nothing has replaced it"),
        (["--tempp", "0"], 0, "has no flag --tempp; did you mean --temp?"),
        (["--log_json"], 0, "has no flag --log_json; did you mean --log-jsonl?"),
        (["--temp=0"], 0, "write --temp and its value as two items"),
        (["--temp 0"], 0, "write --temp and its value as two items"),
        (["--wholly-unheard-of-thing"], 0, "has no flag --wholly-unheard-of-thing; its --help lists those that it has"),
        (["--temp", "0", "1"], 2, "has no flag 1"),
        (["--jinja", "on"], 1, "has no flag on"),
        (["--jinja", "--temp"], 1, "--temp needs a value: N"),
        (["--control-vector-layer-range", "1"], 0, "needs a value: START END"),
        (["--load-mode", "--jinja"], 0, "--load-mode needs a value (MODE), and --jinja is the next flag"),
        (["--version"], 0, "prints something and ends"),
        (["--ctx-size", "1"], 0, "engine.contextSize"),
        (["--jinja", "--tools", "all"], 1, "would let clients reach beyond the model"),
        (["--chat-template-kwargs", "--agent"], 1, "would let clients reach beyond the model"),
    ],
    ids=str,
)
def test_other_flags_are_refused(args: list[str], position: int, told: str) -> None:
    field, message = refusal(args=args)
    assert (field, told in message) == (f"spec.engine.args[{position}]", True), message


@pytest.mark.parametrize(
    ("names", "position", "told"),
    [
        (["A", "LLAMA_ARG_MLOCK"], 1, "does not read LLAMA_ARG_MLOCK any more; use LLAMA_ARG_LOAD_MODE"),
        (["LLAMA_ARG_DRAFT_MAX"], 0, "use spec.draft.maxTokens"),
        (["LLAMA_LOG_VERBOSITY"], 0, "use LLAMA_ARG_LOG_VERBOSITY"),
        (["LLAMA_ARG_LOADMODE"], 0, "does not read LLAMA_ARG_LOADMODE; did you mean LLAMA_ARG_LOAD_MODE?"),
        (["LLAMA_ARG_UNHEARD_OF_THING"], 0, "does not read LLAMA_ARG_UNHEARD_OF_THING; "),
        (["A", "B", "LLAMA_ARG_TOOLS"], 2, "or open the server"),
    ],
    ids=str,
)
def test_variables_that_would_be_passed_over_are_refused(names: list[str], position: int, told: str) -> None:
    field, message = refusal(env=[{"name": name, "value": "1"} for name in names])
    assert (field, told in message) == (f"spec.engine.env[{position}].name", True), message


def test_other_variables_are_the_users() -> None:
    names = ("A", "HF_TOKEN", "LLAMA_CACHE", "LLAMA_ARG_LOAD_MODE", "LLAMA_ARG_NO_WARMUP_X")
    accepted(env=[{"name": name, "value": "1"} for name in names[:-1]])
    accepted(env=[{"name": "LLAMA_ARG_NO_JINJA", "value": "1"}])
    refusal(env=[{"name": names[-1], "value": "1"}])


def test_an_unknown_build_may_have_any_flag_but_those_that_are_not_the_users() -> None:
    accepted(
        None, args=["--no-mmap", "--wholly-unheard-of-thing", "x"], env=[{"name": "LLAMA_ARG_MLOCK", "value": "1"}]
    )
    assert refusal(None, args=["--unheard-of", "--tools"])[0] == "spec.engine.args[1]"
    assert refusal(None, env=[{"name": "LLAMA_ARG_AGENT", "value": "1"}])[0] == "spec.engine.env[0].name"


def test_templates_are_those_of_the_build() -> None:
    accepted(chatTemplate={"name": "chatml"})
    accepted(chatTemplate={"configMapKeyRef": {"name": "a", "key": "b"}})
    field, message = refusal(chatTemplate={"name": "chat"})
    assert field == "spec.engine.chatTemplate.name"
    assert "has no template chat; it has " in message
    assert "chatml" in message


def test_the_table_is_that_of_the_image() -> None:
    """The operator's image for the accelerator, and no other."""
    bad = {"engine": {"args": ["--no-mmap"]}}
    with pytest.raises(SpecError, match="--load-mode none"):
        build(model(**bad), CONFIG)
    build(model(**bad, image="mine:1"), CONFIG)
    build(model(**bad), Config(stage_image="stage", server_images={"cpu": "server"}))
    only_cuda = Config(stage_image="stage", server_images=CONFIG.server_images, server_builds={"cuda": BUILD})
    build(model(**bad), only_cuda)
    with pytest.raises(SpecError, match="--load-mode none"):
        build(model(**bad, accelerator={"type": "cuda"}), only_cuda)


def test_successors_are_flags_of_the_build_or_fields() -> None:
    for old, new in successors.FLAGS.items():
        known = SHIPPED.names.get(old)
        assert known is None or known.removed, f"{old} is there; llama-server would not refuse it"
        assert new.split()[0] in SHIPPED.names or not new.startswith("-"), new
    for old, new in successors.VARIABLES.items():
        assert old not in SHIPPED.variables or SHIPPED.variables[old].removed, old
        assert new in SHIPPED.variables or new.startswith("spec."), new
    assert not successors.GONE & SHIPPED.names.keys()
    assert SHIPPED.names.keys() >= ENDS


def test_a_flag_that_comes_back_is_accepted() -> None:
    """What is gone in one build is told by that build's table, not by what we remember."""
    accepted(made("b1", [Flag(("--no-mmap",)), Flag(("--chat-template",), 1)]), args=["--no-mmap"])
