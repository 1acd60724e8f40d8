"""Image archives: what of the building machine stays out of them, and that the rest stays in."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from ground import archives

STEPS: list[dict[str, Any]] = [
    {"created_by": "/bin/sh -c #(nop) ADD file:0e8f in / ", "empty_layer": True},
    {"created_by": '/bin/sh -c #(nop) ENV PIP_CERT="/media/ca.crt"', "empty_layer": True},
    {"created_by": "/bin/sh -c #(nop) ENV LLAMA_ARG_PORT=8000", "empty_layer": True},
    {"created_by": "/bin/sh -c echo '#(nop) ENV PIP_CERT=' >/x"},
]
COMMENTED: dict[str, Any] = {"created_by": "/bin/sh -c true", "comment": "FROM docker.io/library/debian:trixie-slim"}


def config(chance: str) -> dict[str, Any]:
    return {
        "created": "2026-10-01T02:11:48Z",
        "container": chance,
        "container_config": {"Hostname": chance, "Env": ["PIP_CERT=/media/ca.crt"]},
        "parent": f"sha256:{chance}",
        "config": {
            "Hostname": chance,
            "User": "65532:65532",
            "Env": ["PATH=/bin", "PIP_CERT=/media/ca.crt", "LLAMA_ARG_PORT=8000"],
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:1", "sha256:2"]},
        "history": [*STEPS[:3], {**STEPS[3], "comment": f"FROM {chance * 6}"}, COMMENTED],
    }


def written(path: Path, chance: str) -> Path:
    """An archive like buildah's: files of an older format beside those that count."""
    manifest = [{"Config": f"{chance}.json", "RepoTags": ["localhost/app:dev-1"], "Layers": ["1.tar", "2.tar"]}]
    files = {
        "1.tar": b"one",
        "2.tar": b"two",
        f"{chance}/json": b"{}",
        f"{chance}.json": json.dumps(config(chance)).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_two_builds_become_one(tmp_path: Path) -> None:
    for chance in ("a1", "b2"):
        archives.plain(written(tmp_path / chance, chance), tmp_path / f"{chance}.tar", ["PIP_CERT"])
    assert (tmp_path / "a1.tar").read_bytes() == (tmp_path / "b2.tar").read_bytes()


def test_what_is_lent_is_gone_and_the_rest_is_there(tmp_path: Path) -> None:
    archives.plain(written(tmp_path / "a1", "a1"), tmp_path / "plain.tar", ["PIP_CERT", "APT_CONFIG"])
    with tarfile.open(tmp_path / "plain.tar") as archive:
        content = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    (image,) = json.loads(content.pop("manifest.json"))
    assert image["RepoTags"] == ["localhost/app:dev-1"]
    assert image["Layers"] == ["1.tar", "2.tar"]
    told = content.pop(image["Config"])
    assert image["Config"] == f"{hashlib.sha256(told).hexdigest()}.json"
    assert json.loads(told) == {
        "created": "2026-10-01T02:11:48Z",
        "config": {"User": "65532:65532", "Env": ["PATH=/bin", "LLAMA_ARG_PORT=8000"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:1", "sha256:2"]},
        "history": [STEPS[0], STEPS[2], STEPS[3], COMMENTED],
    }
    assert content == {"1.tar": b"one", "2.tar": b"two"}
