"""API keys are handed on, or the server does not start: without any it would be open."""

from __future__ import annotations

from pathlib import Path

import pytest

from llama_operator.api.staging import Keys
from llama_operator.stage import keys, report
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.source.secrets import Secrets


def handed_on(folder: Path, content: bytes, secrets: Secrets | None = None) -> str:
    (folder / "key").write_bytes(content)
    keys.hand_on(Keys(given=str(folder / "key"), served=str(folder / "served")), secrets or Secrets())
    return (folder / "served").read_text()


@pytest.mark.parametrize(
    ("content", "served"),
    [
        (b"alpha", "alpha\n"),
        (b"alpha\n", "alpha\n"),
        (b"alpha\r\nbeta\r\n", "alpha\nbeta\n"),
        (b"# old\n\nalpha \n", "alpha\n"),
    ],
)
def test_keys_are_handed_on_as_llama_server_reads_them(tmp_path: Path, content: bytes, served: str) -> None:
    assert handed_on(tmp_path, content) == served


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"# alpha", b"# alpha\n\n"])
def test_no_key_is_no_server(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(
        Failure, match=r"spec\.auth: the Secret's key key is empty, .* put an API key into it"
    ) as caught:
        handed_on(tmp_path, content)
    assert caught.value.reason is Reason.NO_API_KEY
    assert not (tmp_path / "served").exists()


@pytest.mark.parametrize("content", [b"two words", b"alpha\nsch\xc3\xb6n", b"a\0b", b"\xff\xfe"])
def test_what_no_client_can_send_is_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Failure, match="no client can send"):
        handed_on(tmp_path, content)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be read"):
        keys.hand_on(Keys(given=str(tmp_path / "none"), served=str(tmp_path / "served")), Secrets())


def test_keys_are_cut_out_of_messages(tmp_path: Path) -> None:
    secrets = Secrets()
    handed_on(tmp_path, b"alpha-key\nbeta-key\n", secrets)
    assert b"a-key" not in report.failed(Failure(Reason.SOURCE_ERROR, "who sent alpha-key or beta-key?"), secrets)
