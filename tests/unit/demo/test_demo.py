"""The parts of the demo that need no cluster."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
import yaml

from demo import __main__ as script
from demo import cluster, files, model, progress
from demo.stopwatch import Stopwatch


def test_the_first_example_has_the_digest_of_the_handmade_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "STATE", tmp_path)
    source = model.example().manifest["spec"]["source"]["url"]
    assert hashlib.sha256(model.handmade_file()).hexdigest() == source["sha256"]


def test_the_first_example_downloads_from_the_demos_file_server() -> None:
    source = model.example().manifest["spec"]["source"]["url"]
    assert source["url"] == f"http://{script.FILE_SERVER}.{script.NAMESPACE}.svc:{files.PORT}/tiny.gguf"


def test_a_file_on_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "STATE", tmp_path)
    choice = model.hugging_face("Org/Some.Model-GGUF/sub/Some_Model.Q4_K_M.gguf")
    assert choice.name == "some-model-q4-k-m"
    assert choice.manifest["spec"]["source"] == {
        "huggingFace": {"repo": "Org/Some.Model-GGUF", "file": "sub/Some_Model.Q4_K_M.gguf"}
    }
    model.write(choice)
    assert yaml.safe_load(choice.path.read_text()) == choice.manifest
    assert not choice.handmade


@pytest.mark.parametrize("address", ["file.gguf", "org/file.gguf", "org//file.gguf", "org/repo/file.bin", "/a/b.gguf"])
def test_what_is_no_file_on_hugging_face(address: str) -> None:
    with pytest.raises(cluster.StepError, match="not a file of a Hugging Face repository") as error:
        model.hugging_face(address)
    assert "org/repo/file.gguf" in error.value.hint


@pytest.mark.parametrize("name", ["7B-model", "UPPER_case.x", "a" * 39 + "--b", "ünï"])
def test_names_become_dns_labels(name: str) -> None:
    assert re.fullmatch("[a-z]([-a-z0-9]{0,38}[a-z0-9])?", model._label(name))


def test_other_files_roll_the_file_server() -> None:
    def rolled(content: bytes) -> str:
        config, deployment, _ = files.manifests("f", "n", "image", {"a": content})
        assert base64.b64decode(config["binaryData"]["a"]) == content
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["files"])

    assert rolled(b"1") == rolled(b"1")
    assert rolled(b"1") != rolled(b"2")


class Kubectl:
    """Stands in for the process: what `kubectl get --watch -o json` prints."""

    def __init__(self, text: str) -> None:
        self.stdout = text.splitlines(keepends=True)


def test_objects_are_cut_out_of_the_stream() -> None:
    text = '{\n    "a": {\n        "b": 1\n    }\n}\n{\n    "a": "}"\n}\n'
    assert list(progress._objects(Kubectl(text))) == [{"a": {"b": 1}}, {"a": "}"}]  # type: ignore[arg-type]


def test_the_table_sums_up(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Stopwatch()
    with watch.step("first"):
        pass
    with pytest.raises(ZeroDivisionError), watch.step("second that fails"):
        raise ZeroDivisionError
    lines = watch.table().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["first", "second that fails", "together"]
    assert capsys.readouterr().out == "\nfirst\n\nsecond that fails\n"


def test_an_error_tells_the_next_step(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--model", "nonsense"]) == 1
    told = capsys.readouterr().err
    assert "error: MODEL=nonsense" in told
    assert "next:  write it as org/repo/file.gguf" in told
