"""The stager's one argument: what it refuses, and that it names the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from llama_operator.api.staging import S3, File, HuggingFace, InPlace, Url
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.request import parse
from tests.unit.stage.support import argument, model

URL = Url("https://example.com/m.gguf")
HUB = HuggingFace("https://example.com", "a/b", "main", file="m.gguf")
BUCKET = S3("s3://bucket/dir/m.gguf")
SPLIT = "-00001-of-00003.gguf"


def refused(root: Path, *files: File, text: str | None = None) -> Failure:
    with pytest.raises(Failure) as caught:
        parse(text or argument(root, *files))
    assert caught.value.reason is Reason.INVALID_SOURCE
    return caught.value


def changed(source: Any, **values: str) -> Any:
    return msgspec.structs.replace(source, **values)


@pytest.mark.parametrize("source", [URL, HUB, BUCKET, changed(HUB, file="", quantization="Q4_K_M")])
def test_what_is_meant_is_let_through(tmp_path: Path, source: Any) -> None:
    file = model(str(tmp_path / "m.gguf"), source, "0" * 64)
    assert parse(argument(tmp_path, file)).files == (file,)


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
@pytest.mark.parametrize("kind", ["url", "endpoint of a hub", "endpoint of a bucket"])
def test_addresses_that_cannot_be_meant(tmp_path: Path, url: str, kind: str) -> None:
    sources = {
        "url": Url(url),
        "endpoint of a hub": changed(HUB, endpoint=url),
        "endpoint of a bucket": changed(BUCKET, endpoint=url or "x"),
    }
    found = refused(tmp_path, model(str(tmp_path / "m.gguf"), sources[kind], role="adapter/a"))
    assert found.message.startswith("spec.adapters[a].source: ")
    assert "pass@" not in found.message


@pytest.mark.parametrize("digest", ["abc", "0" * 63, "0" * 65, "g" * 64, "A" * 64, "../" + "0" * 61, "0" * 64 + "\n"])
def test_digests_that_are_none(tmp_path: Path, digest: str) -> None:
    assert "64 lower-case" in refused(tmp_path, model(str(tmp_path / "m.gguf"), URL, digest)).message


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (changed(HUB, repo="only-one"), "huggingFace.repo"),
        (changed(HUB, repo="a/b/c"), "huggingFace.repo"),
        (changed(HUB, repo="../x"), "huggingFace.repo"),
        (changed(HUB, file="../secret.gguf"), "huggingFace.file"),
        (changed(HUB, file="/etc/passwd"), "huggingFace.file"),
        (changed(HUB, file="a//b.gguf"), "huggingFace.file"),
        (changed(HUB, file=""), "file or quantization"),
        (changed(HUB, quantization="Q8_0"), "file or quantization"),
        (changed(HUB, file="", quantization="Q8 0"), "huggingFace.quantization"),
        (changed(HUB, revision=""), "huggingFace.revision"),
        (changed(HUB, revision="../../other"), "huggingFace.revision"),
        (changed(BUCKET, uri="s3://bucket"), "s3.uri"),
        (changed(BUCKET, uri="s3://bucket/"), "s3.uri"),
        (changed(BUCKET, uri="https://bucket/key"), "s3.uri"),
        (changed(BUCKET, uri="s3://u:p@bucket/key"), "s3.uri"),
        (changed(BUCKET, uri="s3://b/key"), "s3.uri"),
        (changed(BUCKET, uri="s3://bucket//key"), "s3.uri"),
        (changed(BUCKET, uri="s3://bucket/a/../key"), "s3.uri"),
        (changed(BUCKET, uri="s3://bucket/a\x01b"), "s3.uri"),
        (changed(BUCKET, region="eu/../x"), "s3.region"),
        (changed(BUCKET, region="evil.example.com#"), "s3.region"),
        (changed(BUCKET, endpoint="https://example.com/?x=y"), "s3.endpoint"),
    ],
)
def test_sources_that_cannot_be_meant(tmp_path: Path, source: Any, named: str) -> None:
    assert named in refused(tmp_path, model(str(tmp_path / "m.gguf"), source)).message


@pytest.mark.parametrize("path", ["m.gguf", "/a/../m.gguf", "", "/a\0b"])
@pytest.mark.parametrize("source", [URL, InPlace()])
def test_paths_that_cannot_be_meant(tmp_path: Path, path: str, source: Any) -> None:
    assert "absolute path" in refused(tmp_path, model(path, source)).message


def test_requests_that_cannot_be_meant(tmp_path: Path) -> None:
    path = str(tmp_path / "m.gguf")
    assert "root" in refused(Path("/does/not/exist"), model(path, URL)).message
    assert "files" in refused(tmp_path).message
    assert "one role" in refused(tmp_path, model(path, URL), model(path + "x", URL)).message
    assert "role" in refused(tmp_path, model(path, URL, role="../x")).message
    good = argument(tmp_path, model(path, URL))
    for text in (
        good[:-1],
        good.replace('"url":', '"uri":'),
        good.replace('"kind":"url"', '"kind":"ftp"'),
        good.replace('"root"', '"port":70000,"root"'),
        good.replace('"root"', '"port":"1","root"'),
        good.replace('"root"', '"quota":-1,"root"'),
    ):
        assert "no request" in refused(tmp_path, text=text).message
    assert parse(good)


def test_a_split_model_has_as_many_parts_as_its_source(tmp_path: Path) -> None:
    split = str(tmp_path / f"m{SPLIT}")
    for source in (
        Url(f"https://example.com/m{SPLIT}?a=b"),
        changed(HUB, file=f"x/m{SPLIT}"),
        changed(BUCKET, uri=f"s3://bucket/m{SPLIT}"),
    ):
        parse(argument(tmp_path, model(split, source)))
        assert "3 parts" in refused(tmp_path, model(str(tmp_path / "m.gguf"), source)).message
        assert "sha256" in refused(tmp_path, model(split, source, "0" * 64)).message
    assert "1 parts" in refused(tmp_path, model(split, URL)).message
    assert "1 parts" in refused(tmp_path, model(split, changed(HUB, file="", quantization="Q8_0"))).message
    assert "sha256" in refused(tmp_path, model(split, InPlace(), "0" * 64)).message


@pytest.mark.parametrize("name", ["m-00002-of-00003.gguf", "m-00000-of-00003.gguf", "m-00001-of-00000.gguf"])
def test_another_part_than_the_first_is_refused(tmp_path: Path, name: str) -> None:
    for file in (
        model(str(tmp_path / "m.gguf"), Url(f"https://example.com/{name}")),
        model(str(tmp_path / name), InPlace()),
    ):
        assert "name the first part" in refused(tmp_path, file).message


def test_parts_without_end_are_refused(tmp_path: Path) -> None:
    name = "m-00001-of-99999.gguf"
    assert "more than" in refused(tmp_path, model(str(tmp_path / name), Url(f"https://example.com/{name}"))).message
