"""Image layers as tar archives, and images that share them as one archive that containerd can import."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Layer:
    """What one layer puts into an image. Destinations are absolute; parent folders come by themselves."""

    files: Mapping[str, Path] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Image:
    """A name and the layers it is made of, by their keys."""

    name: str
    layers: Sequence[str]
    entrypoint: Sequence[str] = ()


def write_layer(layer: Layer, target: Path) -> None:
    """Write a layer; the same content gives the same bytes."""
    entries = {"/tmp": None, **layer.files, **layer.links, **layer.texts}  # noqa: S108
    folders = sorted({parent for name in entries for parent in _parents(name)})
    with tarfile.open(target, "w") as archive:
        for folder in folders:
            archive.addfile(_entry(folder, 0o755, tarfile.DIRTYPE))
        archive.addfile(_entry("/tmp", 0o1777, tarfile.DIRTYPE))  # noqa: S108
        for name, source in sorted(layer.files.items()):
            with source.open("rb") as stream:
                archive.addfile(_entry(name, 0o755, size=source.stat().st_size), stream)
        for name, text in sorted(layer.texts.items()):
            archive.addfile(_entry(name, 0o755, size=len(text.encode())), io.BytesIO(text.encode()))
        for name, aim in sorted(layer.links.items()):
            archive.addfile(_entry(name, 0o777, tarfile.SYMTYPE, aim=aim))


def write_images(images: Sequence[Image], layers: Mapping[str, Path], target: Path) -> None:
    """Write images in the format of `docker save`, every layer once."""
    digests = {key: _digest(path) for key, path in layers.items()}
    with tarfile.open(target, "w") as archive:
        for key, path in layers.items():
            with path.open("rb") as stream:
                archive.addfile(_entry(_layer(digests[key]), 0o644, size=path.stat().st_size), stream)
        manifest = [_write_config(archive, image, digests) for image in _unique(images)]
        _write_bytes(archive, "manifest.json", json.dumps(manifest).encode())


def _write_config(archive: tarfile.TarFile, image: Image, digests: Mapping[str, str]) -> dict[str, object]:
    own = [digests[key] for key in image.layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": [f"PATH={PATH}"],
            "Entrypoint": list(image.entrypoint) or None,
            # Images of equal content would be one image with several names, and their configs one file.
            "Labels": {"name": image.name},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in own]},
    }
    content = json.dumps(config).encode()
    name = f"{hashlib.sha256(content).hexdigest()}.json"
    _write_bytes(archive, name, content)
    return {"Config": name, "RepoTags": [image.name], "Layers": [_layer(digest) for digest in own]}


def _unique(images: Sequence[Image]) -> Sequence[Image]:
    names = [image.name for image in images]
    if len(names) != len(set(names)):
        raise ValueError(f"an image is named twice: {names}")
    return images


def _layer(digest: str) -> str:
    return f"{digest}/layer.tar"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_entry(name, 0o644, size=len(content)), io.BytesIO(content))


def _parents(name: str) -> list[str]:
    return [str(parent) for parent in Path(name).parents if str(parent) not in ("/", "/tmp")]  # noqa: S108


def _entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE, *, size: int = 0, aim: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.mode, entry.type, entry.size, entry.linkname = mode, kind, size, aim
    return entry
