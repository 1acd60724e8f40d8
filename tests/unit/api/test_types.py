"""Reading a LlamaModel: what is wrong is named by the path that a user would look for."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from llama_operator.api.types import SpecError, parse
from models import tiny_gguf
from tests.unit.resources.models import EXAMPLES, UID, example, raw


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_can_be_read(path: Path) -> None:
    wanted = example(path)
    model = parse(wanted)
    assert (model.name, model.namespace, model.uid) == (wanted["metadata"]["name"], "default", UID)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"source": {}}, "spec.source"),
        ({"source": {"url": {"url": "http://a/b"}, "volume": {"claimName": "c", "path": "p"}}}, "spec.source"),
        ({"source": {"url": {}}}, "spec.source.url"),
        ({"replicas": "3"}, "spec.replicas"),
        ({"engine": {"env": [{"value": "x"}]}}, "spec.engine.env[0]"),
        ({"accelerator": {"type": "tpu"}}, "spec.accelerator.type"),
        ({"storage": {}}, "spec.storage"),
        ({"storage": {"claim": {"size": "1Gi"}, "cache": {"claimName": "c"}}}, "spec.storage"),
        ({"storage": {"cache": {"quota": "1Gi"}}}, "spec.storage.cache"),
        ({"storage": {"cache": {"claimName": "c", "nodePath": "/c"}}}, "spec.storage.cache"),
        ({"source": {"huggingFace": {"repo": "a/b"}}}, "spec.source.huggingFace"),
        ({"source": {"huggingFace": {"repo": "a/b", "file": "f", "quantization": "q"}}}, "spec.source.huggingFace"),
        ({"projector": {"source": {}}}, "spec.projector.source"),
        ({"adapters": [{"name": "a", "source": {}}]}, "spec.adapters[0].source"),
        ({"draft": {"source": {"huggingFace": {"repo": "a/b"}}}}, "spec.draft.source.huggingFace"),
    ],
)
def test_errors_name_the_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(raw(**spec))
    assert caught.value.field == field
    assert str(caught.value) == f"{field}: {caught.value.message}"


def test_errors_say_what_there_is_to_choose_from() -> None:
    with pytest.raises(SpecError, match="exactly one of url, huggingFace, s3, oci, volume must be set"):
        parse(raw(source={}))
    with pytest.raises(SpecError, match="exactly one of claimName, nodePath must be set"):
        parse(raw(storage={"cache": {}}))


def test_a_missing_spec_is_a_missing_source() -> None:
    manifest = raw()
    del manifest["spec"]
    with pytest.raises(SpecError, match=r"^spec: .*source") as caught:
        parse(manifest)
    assert caught.value.field == "spec"


def test_fields_of_a_newer_crd_are_no_error() -> None:
    """An operator that is rolled back meets objects that already use newer fields."""
    assert parse(raw(novelty={"a": 1})) == parse(raw())


def test_the_example_names_the_digest_of_the_test_model(tmp_path: Path) -> None:
    """`examples/01-minimal.yaml` is what the demo applies: its digest must be that of the file the demo serves."""
    text = EXAMPLES[0].read_text()
    digest = re.search(r"sha256: ([0-9a-f]{64})", text)
    assert digest, "the first example names a digest"
    out = tmp_path / "tiny.gguf"
    tiny_gguf.write(out)
    assert hashlib.sha256(out.read_bytes()).hexdigest() == digest[1]
