from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from llama_operator.runtime import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def test_json_lines_carry_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logs.Log("x").info("applied", model="team/qwen", kind="Service", retry_in=1.5)
    line = json.loads(capsys.readouterr().err)
    assert line["message"] == "applied"
    assert (line["model"], line["kind"], line["retry_in"]) == ("team/qwen", "Service", 1.5)
    assert (line["level"], line["logger"]) == ("info", "x")
    assert line["time"].endswith("Z")


def test_json_is_one_line_with_a_traceback_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logs.Log("x").exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: two\nlines" in json.loads(line)["traceback"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text")
    logs.Log("x").warning("refused", model="team/qwen")
    assert capsys.readouterr().err.strip().endswith("WARNING refused model=team/qwen")


def test_lines_of_other_loggers_come_out_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logging.getLogger("kopf").info("Signal %s", "SIGTERM")
    logging.getLogger("httpx").info("a line for each request")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "Signal SIGTERM"
