"""`check_server.py`: what it says of a good server, and of each thing that can be wrong with one."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ground.paths import REPO
from ground.processes import free_ports
from tests import certificates
from tests.unit.server_image.stand_in import RIGHT, Reply, choices, error, server

SCRIPT = REPO / "images" / "llama-server" / "check_server.py"
NAME = "model.example"


THOUGHT = choices(finish_reason="length", message={"role": "assistant", "content": "", "reasoning_content": "Hmm."})


@dataclass(frozen=True)
class Said:
    code: int
    lines: list[str]

    def failures(self) -> list[str]:
        return [line for line in self.lines if line.startswith("FAILED")]


def check(url: str, *options: str) -> Said:
    done = subprocess.run([sys.executable, SCRIPT, url, *options], capture_output=True, text=True, timeout=60)
    assert not done.stderr, done.stderr
    return Said(done.returncode, done.stdout.splitlines())


def test_a_good_server_passes() -> None:
    with server({}) as port:
        said = check(f"http://127.0.0.1:{port}")
    assert (said.code, said.lines[-1]) == (0, "11 passed, 0 failed, 2 skipped"), said
    assert "skipped /v1/rerank                        This server does not support reranking." in said.lines


def test_what_comes_through_stdin_is_the_same() -> None:
    with server({}) as port:
        command = [sys.executable, "-", f"http://127.0.0.1:{port}"]
        done = subprocess.run(command, input=SCRIPT.read_bytes(), capture_output=True, timeout=60)
    assert done.stdout.endswith(b"11 passed, 0 failed, 2 skipped\n"), done


def test_python_3_9_can_read_it() -> None:
    ast.parse(SCRIPT.read_text(), feature_version=(3, 9))


def test_other_modes_are_checked_where_they_are_on() -> None:
    scores = {"results": [{"index": 1, "relevance_score": 2}, {"index": 0, "relevance_score": -1.5}]}
    meaningless = Reply({"data": [{"embedding": [None]}]})
    with server({"/v1/rerank": Reply(scores), "/v1/embeddings": meaningless}) as port:
        assert check(f"http://127.0.0.1:{port}").lines[-1] == "12 passed, 0 failed, 1 skipped"
    vectors = {"data": [{"embedding": [1.0, 0.5]}, {"embedding": [0.0, 2.0]}]}
    with server({"/v1/embeddings": Reply(vectors)}) as port:
        assert check(f"http://127.0.0.1:{port}").lines[-1] == "12 passed, 0 failed, 1 skipped"


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (
            {"/detokenize": Reply({"content": "grusse"})},
            "ok      /tokenize, /detokenize            2 tokens; this voca",
        ),
        (
            {"/": Reply(b"", 404), "/props": Reply({"ui": False})},
            "skipped web UI                            the server",
        ),
        ({"/v1/chat/completions": Reply(THOUGHT)}, "ok      /v1/chat/completions              4 characters"),
    ],
)
def test_servers_that_are_different_but_not_wrong(other: dict[str, Reply], line: str) -> None:
    with server(other) as port:
        assert line in "\n".join(check(f"http://127.0.0.1:{port}").lines)


LOADING = error(503, "unavailable_error", "Loading model")
PROXY = Reply(b"<html>Bad Gateway</html>", 502, "text/html")
CUT = RIGHT["/v1/chat/completions, streaming"].body[:-1]
EARLY = [choices(text="a", finish_reason="stop"), choices(text="b", finish_reason="stop"), "[DONE]"]
OUTSIDE = Reply(b'<!doctype html><script src="/ui/program.js"></script>', type="text/html")
ECHO = choices(finish_reason="stop", message={"role": "user", "content": "Who are you?"})
NO_ROOM = {"default_generation_settings": {"n_ctx": 0}, "total_slots": 0, "build_info": "b1"}
SILENT = choices(finish_reason="stop", message={"role": "assistant", "content": ""})
LOGIN = Reply(b"<!doctype html>Log in", type="text/html")
KEY = error(401, "authentication_error", "Invalid API Key")


@pytest.mark.parametrize(
    ("wrong", "step", "meaning"),
    [
        ({"/health": LOADING}, "/health", "still being loaded; --wait"),
        ({"/health": PROXY}, "/health", "a proxy has no server behind it"),
        ({"/health": Reply(b"no route", 404, "text/plain")}, "/health", "no llama-server behind this name and path"),
        ({"/health": LOGIN}, "/health", "not JSON: a proxy's page"),
        ({"/health": Reply({"status": "UP"})}, "/health", "not the answer of a llama-server"),
        ({"/health": Reply(b"", 308, headers={"Location": "https://a/"})}, "/health", "redirected to https://a/"),
        ({"/v1/models": KEY}, "/v1/models", "--api-key-file FILE"),
        ({"/v1/models": Reply({"object": "list", "data": []})}, "/v1/models", "at least one model"),
        ({"/v1/chat/completions": Reply(SILENT)}, "/v1/chat/completions", "the model wrote nothing"),
        ({"/v1/chat/completions": Reply(ECHO)}, "/v1/chat/completions", "has to be the assistant's"),
        ({"/v1/chat/completions": Reply({"answer": "Hi"})}, "/v1/chat/completions", "KeyError('choices')"),
        ({"/v1/chat/completions, streaming": Reply(CUT)}, "/v1/chat/completions, streaming", "end with [DONE]"),
        ({"/v1/chat/completions, streaming": Reply({})}, "/v1/chat/completions, streaming", "text/event-stream"),
        ({"/v1/completions": Reply(choices(text="there"))}, "/v1/completions", "has to be stop or length"),
        ({"/v1/completions, streaming": Reply(EARLY)}, "/v1/completions, streaming", "only the last piece"),
        ({"/detokenize": Reply({"content": "GrÃ¼Ã\x9fe"}), "/tokenize": Reply({"tokens": []})}, "/tokenize", "survive"),
        ({"/props": Reply(NO_ROOM)}, "/props", "greater than 0"),
        ({"/": Reply(b"llama-server", type="text/html")}, "web UI", "that is no page"),
        ({"/": LOGIN}, "web UI", "it loads no program"),
        ({"/ui/program.js": LOGIN}, "web UI", "javascript of some length was expected"),
        ({"/ui/looks.css": Reply(b"", 404, "text/plain")}, "web UI", "no llama-server behind this name"),
        ({"/v1/messages": Reply({"role": "assistant", "content": []})}, "/v1/messages", "no message of the assistant"),
        ({"/v1/messages, streaming": Reply([{"type": "message_start"}])}, "/v1/messages, streaming", "cut the stream"),
        ({"/v1/embeddings": error(400, "invalid_request_error", "Pooling")}, "/v1/embeddings", "the server refused"),
        ({"/v1/embeddings": Reply({"data": [{"embedding": [1.0]}]})}, "/v1/embeddings", "two vectors"),
        ({"/v1/rerank": Reply({"results": []})}, "/v1/rerank", "a score for each"),
    ],
)
def test_what_is_wrong_is_said(wrong: dict[str, Reply], step: str, meaning: str) -> None:
    with server(wrong) as port:
        said = check(f"http://127.0.0.1:{port}")
    (failure,) = said.failures()
    assert said.code == 1
    assert failure.removeprefix("FAILED  ").startswith(step)
    assert meaning in failure
    assert ", 1 failed, " in said.lines[-1]


def test_nothing_is_asked_after_a_failure_that_comes_first() -> None:
    with server({"/health": PROXY}) as port:
        said = check(f"http://127.0.0.1:{port}")
    assert said.lines[1:] == [
        "skipped the other 12 steps: that failure comes first",
        "0 passed, 1 failed, 12 skipped",
    ]


def test_nobody_listens() -> None:
    (port,) = free_ports(1)
    (failure,) = check(f"http://127.0.0.1:{port}").failures()
    assert "nothing listens there; is it started, is its port published" in failure


def test_a_prefix_is_part_of_the_address() -> None:
    with server({}, prefix="/teams/llm") as port:
        assert check(f"http://127.0.0.1:{port}/teams/llm/").code == 0
        (failure,) = check(f"http://127.0.0.1:{port}").failures()
    assert "does the address end in its --api-prefix" in failure


def test_a_page_that_leaves_its_prefix() -> None:
    with server({"/": OUTSIDE}, prefix="/teams/llm") as port:
        (failure,) = check(f"http://127.0.0.1:{port}/teams/llm").failures()
    assert "/ui/program.js: lies outside of /teams/llm/" in failure


def test_a_server_that_still_loads_is_waited_for() -> None:
    with server({}, first=[LOADING, PROXY]) as port:
        assert check(f"http://127.0.0.1:{port}", "--wait", "30").code == 0


def test_the_key_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("sesame\nolder\n")
    wrong.write_text("mustard\n")
    with server({}, key="sesame") as port:
        assert check(f"http://127.0.0.1:{port}", "--api-key-file", str(right)).code == 0
        said = check(f"http://127.0.0.1:{port}", "--api-key-file", str(wrong))
    assert len(said.failures()) == 1
    assert "mustard" not in "".join(said.lines)


def test_tls(tmp_path: Path) -> None:
    certificate = certificates.make(tmp_path, "server", f"DNS:{NAME}")
    with server({}, certificate=certificate) as port:
        there, trusted = ("--connect-to", f"127.0.0.1:{port}"), ("--ca", str(certificate.crt))
        assert check(f"https://{NAME}", *there, *trusted).code == 0
        for url, options in ((f"https://{NAME}", ()), ("https://other.example", trusted)):
            (failure,) = check(url, *there, *options).failures()
            assert "not trusted under this name; --ca FILE" in failure
        (failure,) = check(f"http://127.0.0.1:{port}").failures()
        assert "no HTTP is spoken there" in failure
