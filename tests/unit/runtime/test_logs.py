from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import kopf
import pytest
from kopf._cogs.structs.bodies import Body
from kopf._core.actions.loggers import LocalObjectLogger

from llama_operator.runtime import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    logging.captureWarnings(False)


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


def test_a_text_of_a_user_begins_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text")
    logs.Log("x").warning("refused", why="bad\n2026-01-01T00:00:00.000Z INFO    applied")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(r"why='bad\n2026-01-01T00:00:00.000Z INFO    applied'")


def test_a_line_of_kopf_names_its_object(capsys: pytest.CaptureFixture[str]) -> None:
    """As when our event handler fails: kopf says so with this logger, and goes on."""
    logs.configure("json")
    pod = Body({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "team", "name": "x", "uid": "7"}})
    logger = LocalObjectLogger(body=pod, settings=kopf.OperatorSettings())
    try:
        raise RuntimeError("oops")
    except RuntimeError:
        logger.exception("Handler 'observe-pods' failed")
    logger.info("a line for each event")
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["logger"], line["level"], line["object"]) == ("kopf.objects", "error", "Pod team/x")
    assert "RuntimeError: oops" in line["traceback"]


def test_warnings_of_python_are_lines_too() -> None:
    """In a process of its own: pytest catches warnings before anybody else."""
    program = "import warnings; from llama_operator.runtime import logs; logs.configure('json'); warnings.warn('old')"
    env = {"PYTHONPATH": "operator"}
    told = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True).stderr
    line = json.loads(told)
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")


def test_lines_of_other_loggers_come_out_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logging.getLogger("kopf").info("Signal %s", "SIGTERM")
    logging.getLogger("aiohttp.access").info("a line for each request")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "Signal SIGTERM"
