"""Layers and images are what `docker save` would write."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ground.node import layers, preload
from ground.node.layers import Image, Layer


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF")
    return path


def test_a_layer_has_files_links_texts_and_the_folders_above(program: Path, tmp_path: Path) -> None:
    target = tmp_path / "layer.tar"
    layer = Layer({"/usr/bin/it": program}, {"/usr/bin/alias": "it"}, {"/etc/passwd": "root"})
    layers.write_layer(layer, target)
    with tarfile.open(target) as archive:
        entries = {entry.name: entry for entry in archive}
        assert archive.extractfile("usr/bin/it").read() == b"\x7fELF"  # type: ignore[union-attr]
    assert set(entries) == {"etc", "etc/passwd", "tmp", "usr", "usr/bin", "usr/bin/alias", "usr/bin/it"}
    assert entries["usr/bin/alias"].linkname == "it"
    assert entries["tmp"].mode == 0o1777
    assert list(entries).index("usr") < list(entries).index("usr/bin") < list(entries).index("usr/bin/it")


def test_the_same_layer_is_the_same_bytes(program: Path, tmp_path: Path) -> None:
    layer = Layer({"/it": program})
    layers.write_layer(layer, tmp_path / "one")
    program.touch()
    layers.write_layer(layer, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_images_share_layers(program: Path, tmp_path: Path) -> None:
    made = {}
    for key in ("base", "own"):
        made[key] = tmp_path / f"{key}.tar"
        layers.write_layer(Layer({f"/{key}": program}), made[key])
    target = tmp_path / "images.tar"
    images = [Image("localhost/a:1", ["base"], ["/base"]), Image("localhost/b:1", ["base", "own"])]
    layers.write_images(images, made, target)
    with tarfile.open(target) as archive:
        names = archive.getnames()
        manifest: list[dict[str, Any]] = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        configs = [json.load(archive.extractfile(row["Config"])) for row in manifest]  # type: ignore[arg-type]
    assert len([name for name in names if name.endswith("layer.tar")]) == 2
    assert [row["RepoTags"] for row in manifest] == [["localhost/a:1"], ["localhost/b:1"]]
    assert manifest[0]["Layers"] == manifest[1]["Layers"][:1]
    assert configs[0]["config"]["Entrypoint"] == ["/base"]
    assert [f"{digest.removeprefix('sha256:')}/layer.tar" for digest in configs[1]["rootfs"]["diff_ids"]] == (
        manifest[1]["Layers"]
    )


def test_a_name_is_given_once(program: Path, tmp_path: Path) -> None:
    made = {"base": program}
    twice = [Image("localhost/a:1", ["base"]), Image("localhost/a:1", ["base"])]
    with pytest.raises(ValueError, match="twice"):
        layers.write_images(twice, made, tmp_path / "images.tar")


def test_ldd_is_understood() -> None:
    listing = """/usr/sbin/nft:
\tlinux-vdso.so.1 (0x00007ffd)
\tlibnftables.so.1 => /lib/x86_64-linux-gnu/libnftables.so.1 (0x00007f)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f)
/usr/sbin/conntrack:
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
"""
    assert preload.libraries(listing) == [
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/x86_64-linux-gnu/libnftables.so.1",
        "/lib64/ld-linux-x86-64.so.2",
    ]


def test_the_node_says_the_version_its_images_have() -> None:
    node = Path(preload.__file__).parent / "files"
    assert (node / "kind/version").read_text() == preload.KUBERNETES
    containerd = (node / "etc/containerd/config.toml").read_text()
    pause = next(image.name for image in preload.IMAGES if "pause" in image.name)
    assert f'sandbox_image = "{pause}"' in containerd
    manifests = "".join(path.read_text() for path in (node / "kind/manifests").iterdir())
    for line in manifests.splitlines():
        if "image: " in line:
            assert line.split()[-1] in {image.name for image in preload.IMAGES}
