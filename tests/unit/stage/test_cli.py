"""The request, the termination message, and what is said to people."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.api.staging import Memory, Progress, Report, Staged
from llama_operator.stage import cli, report
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gauge import Gauge
from llama_operator.stage.source.secrets import Secrets
from llama_operator.stage.text import one_line, redact, size

ROLE = "adapter/" + "x" * 63


def staged(role: str = "model", text: str = "") -> Staged:
    return Staged(role, 1 << 60, text, text, "Q4_K_M", 1 << 40, "0" * 64, text or "f" * 40)


@given(st.text(max_size=8000), st.sampled_from(Reason))
def test_a_failure_always_fits_the_termination_message(message: str, reason: Reason) -> None:
    encoded = report.failed(Failure(reason, message), Secrets())
    assert len(encoded) <= 4096
    assert json.loads(encoded)["reason"] == reason


@given(st.text(max_size=8000), st.integers(0, 100))
def test_a_success_always_fits_the_termination_message(text: str, adapters: int) -> None:
    files = staged("model", text), *(staged(f"{ROLE[:-3]}{number:03}", text) for number in range(adapters))
    most = 1 << 50
    memory = Memory(most, most, most, most, most, most, partial=True)
    encoded = report.succeeded(Report(files, memory))
    assert len(encoded) <= 4096
    assert json.loads(encoded)["memory"]["kvCache"] == most
    first = json.loads(encoded)["files"][0]
    assert (first["role"], first["sha256"], first["quantization"]) == ("model", "0" * 64, "Q4_K_M")


@pytest.mark.parametrize(
    ("adapters", "missing"),
    [
        (0, set()),
        (12, set()),
        (17, {"name", "architecture", "revision"}),
        (24, {"name", "quantization"}),
        (40, {"sha256"}),
    ],
)
def test_many_adapters_are_told_of_with_less_about_each(adapters: int, missing: set[str]) -> None:
    files = staged("model", "a name"), *(staged(f"adapter/style-{number}", "a name") for number in range(adapters))
    told = msgspec.json.decode(report.succeeded(Report(files)), type=Report).files
    assert [file.role for file in told] == [file.role for file in files]
    assert told[0] == files[0]
    for full, short in zip(files[1:], told[1:], strict=True):
        assert short.bytes == full.bytes
        assert all(not getattr(short, name) for name in missing)
        assert bool(short.sha256) == ("sha256" not in missing)


def test_the_longest_messages_fit_too() -> None:
    for text in ("\U0001f600" * 5000, '"\\' * 5000, "\x00" * 5000, "é" * 5000):
        assert len(report.failed(Failure(Reason.SOURCE_ERROR, text), Secrets())) <= 4096
        assert len(report.succeeded(Report((staged("model", text),) * 9))) <= 4096


def test_a_bug_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_request: object, _context: object, secrets: Secrets) -> None:
        secrets.remember("hf_verysecret")
        raise RuntimeError("hf_verysecret")

    monkeypatch.setattr(cli, "stage", broken)
    monkeypatch.setenv("TERMINATION_LOG", str(tmp_path / "message"))
    source = {"kind": "inPlace"}
    request = {"files": [{"role": "model", "field": "spec.source", "path": "/m.gguf", "source": source}]}
    assert cli.main([json.dumps(request)]) == 1
    message = json.loads((tmp_path / "message").read_bytes())
    assert message == {"reason": "StagingFailed", "message": "error in the stager: RuntimeError, see its log"}
    said = capsys.readouterr()
    assert "Traceback" in said.err
    assert "hf_verysecret" not in said.err + said.out


def test_progress_is_said_every_few_seconds() -> None:
    lines: list[str] = []
    now = [0.0]
    gauge = Gauge(lines.append, lambda: now[0])
    gauge.begin("downloading", "model", total=100 << 20)
    for second in range(21):
        now[0] = float(second)
        gauge.at(second << 20)
    assert lines[0] == "downloading: 5.0 MiB of 100.0 MiB (5%), 1.0 MiB/s, 95 s left"
    assert len(lines) == 4
    assert gauge.now == Progress("downloading", "model", 20 << 20, 100 << 20, 1 << 20)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@example.com:8443/a/b.gguf?sig=x#y", "https://example.com:8443/a/b.gguf?…"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("http://[", "(unreadable URL)"),
        ("http://a:99999999/", "(unreadable URL)"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_text_of_strangers_is_one_short_line() -> None:
    assert one_line("a\n\x1b[31mb\r\u2028c\t d") == "a [31mb c d"
    assert len(one_line("x" * 1000)) == 300


def test_sizes_for_people() -> None:
    assert [size(n) for n in (0, 1023, 1024, 18_253_611_008, 1 << 60)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "17.0 GiB",
        "1048576.0 TiB",
    ]
