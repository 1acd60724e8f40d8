"""Arguments, files on volumes, and what is said to people and to the kubelet."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.api.staging import Progress
from llama_operator.stage import cli, report
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.gauge import Gauge
from llama_operator.stage.text import one_line, redact, size
from tests.unit.stage.support import Stager, gguf_file, sha256, url_arguments

MODEL = gguf_file(1000)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/m.gguf",
        "file:///etc/passwd",
        "example.com/m.gguf",
        "https://",
        "https://user:pass@example.com/m.gguf",
        "https://a..b/m.gguf",
        "https://[::1/m.gguf",
        "https://example.com/\x00",
        "",
    ],
)
def test_addresses_that_cannot_be_meant(tmp_path: Path, url: str) -> None:
    with pytest.raises(Failure) as caught:
        cli.parse(url_arguments(tmp_path, url), "")
    assert caught.value.reason is Reason.INVALID_SOURCE
    assert "pass@" not in caught.value.message


@pytest.mark.parametrize("digest", ["", "abc", "0" * 63, "0" * 65, "g" * 64, "A" * 64, "../" + "0" * 61])
def test_digests_that_are_none(tmp_path: Path, digest: str) -> None:
    with pytest.raises(Failure, match="64 lower-case") as caught:
        cli.parse([*url_arguments(tmp_path, "https://example.com/m.gguf"), "--sha256", digest], "")
    assert caught.value.reason is Reason.INVALID_SOURCE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("--repo", "only-one"),
        ("--repo", "a/b/c"),
        ("--repo", "../x"),
        ("--file", "../secret.gguf"),
        ("--file", "/etc/passwd"),
        ("--file", "a//b.gguf"),
        ("--file", ""),
        ("--revision", ""),
        ("--revision", "../../other"),
        ("--endpoint", "huggingface.co"),
        ("--root", "/does/not/exist"),
    ],
)
def test_hub_arguments_that_cannot_be_meant(tmp_path: Path, field: str, value: str) -> None:
    given = {
        "--endpoint": "https://example.com",
        "--repo": "a/b",
        "--file": "m.gguf",
        "--revision": "main",
        "--root": str(tmp_path),
        "--link": str(tmp_path / "m.gguf"),
    }
    cli.parse(["hugging-face", *(word for pair in given.items() for word in pair)], "")
    given[field] = value
    with pytest.raises(Failure) as caught:
        cli.parse(["hugging-face", *(word for pair in given.items() for word in pair)], "")
    assert caught.value.reason is Reason.INVALID_SOURCE


def test_a_file_on_a_volume_is_checked_where_it_is(stager: Stager) -> None:
    path = stager.root / "m.gguf"
    path.write_bytes(MODEL)
    path.chmod(0o444)
    assert stager.run("volume", "--file", str(path)).sha256 == ""
    assert stager.run("volume", "--file", str(path), "--sha256", sha256(MODEL)).sha256 == sha256(MODEL)
    assert [p.name for p in stager.root.iterdir()] == ["m.gguf"]


def test_files_on_a_volume_that_cannot_be_served(stager: Stager) -> None:
    root = stager.root
    (root / "short.gguf").write_bytes(MODEL[:-1])
    (root / "page.gguf").write_bytes(b"<html>")
    (root / "m.gguf").write_bytes(MODEL)
    (root / "folder.gguf").mkdir()
    os.mkfifo(root / "pipe.gguf")
    expected = {
        "short.gguf": Reason.TRUNCATED,
        "page.gguf": Reason.NOT_GGUF,
        "m.gguf": Reason.DIGEST_MISMATCH,
        "none.gguf": Reason.NOT_FOUND,
        "m.gguf/below": Reason.NOT_FOUND,
        "folder.gguf": Reason.INVALID_SOURCE,
        "pipe.gguf": Reason.INVALID_SOURCE,
        "x/../m.gguf": Reason.INVALID_SOURCE,
    }
    for name, reason in expected.items():
        with pytest.raises(Failure) as caught:
            stager.run("volume", "--file", f"{root}/{name}", "--sha256", "0" * 64)
        assert caught.value.reason is reason, name


@given(st.text(max_size=8000), st.sampled_from(Reason))
def test_a_failure_always_fits_the_termination_message(message: str, reason: Reason) -> None:
    encoded = report.failed(Failure(reason, message))
    assert len(encoded) <= 4096
    assert json.loads(encoded)["reason"] == reason


@given(st.text(max_size=8000), st.text(max_size=8000))
def test_a_success_always_fits_the_termination_message(name: str, architecture: str) -> None:
    encoded = report.succeeded(report.Result(1 << 60, architecture, name, "0" * 64, "f" * 40))
    assert len(encoded) <= 4096
    assert json.loads(encoded)["sha256"] == "0" * 64


def test_the_longest_messages_fit_too() -> None:
    for text in ("\U0001f600" * 5000, '"\\' * 5000, "\x00" * 5000, "é" * 5000):
        assert len(report.failed(Failure(Reason.SOURCE_ERROR, text))) <= 4096
        assert len(report.succeeded(report.Result(1, text, text, "0" * 64, text))) <= 4096


def test_secrets_are_cut_out_of_messages() -> None:
    encoded = report.failed(Failure(Reason.SOURCE_ERROR, "said hf_secret"), ("hf_secret",))
    assert b"hf_secret" not in encoded


def test_a_bug_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("hf_secret")

    monkeypatch.setattr(cli, "stage", broken)
    monkeypatch.setenv("TERMINATION_LOG", str(tmp_path / "message"))
    assert cli.main(["volume", "--file", "/m.gguf"]) == 1
    message = json.loads((tmp_path / "message").read_bytes())
    assert message == {"reason": "StagingFailed", "message": "error in the stager: RuntimeError, see its log"}
    assert "Traceback" in capsys.readouterr().err


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
