"""`sbom.py`: what the bill of materials says of each kind of part, and when it refuses to be written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ground.paths import REPO

FOLDER = REPO / "images" / "llama-server"

PINS = """\
HTTPLIB_VERSION = "refs/tags/v0.58.0"
XXHASH_COMMIT      = "9f46"
SHA1_COMMIT        = "e1e2"
SHA256_COMMIT      = "5e63"
ROTATE_BITS_COMMIT = "27e7"
"https://raw.githubusercontent.com/sheredom/subprocess.h/0dcc/subprocess.h"
"""
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12+deb13u5
Description: GNU C Library
 Version: of nothing

Package: tini
Status: install ok installed
Architecture: amd64
Version: 0.19.0-3+b5
"""
LOCK = {
    "packages": {
        "": {"name": "llama-ui"},
        "node_modules/svelte": {"version": "5.56.1", "license": "MIT"},
        "node_modules/@lucide/svelte": {"version": "1.25.0", "license": "ISC"},
        "node_modules/a/node_modules/b": {"version": "2.0.0", "license": "SEE LICENSE IN LICENSE.md"},
        "node_modules/eslint": {"version": "9.39.4", "license": "MIT"},
    }
}
MAP = {
    "sources": [
        "../../../../node_modules/svelte/src/index.js",
        "../../../../node_modules/svelte/src/store.js",
        "../../../../node_modules/@lucide/svelte/dist/icon.js",
        "../../../../node_modules/a/node_modules/b/index.js",
        "../../../../src/routes/+page.svelte",
    ]
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What the script reads of a source of llama.cpp."""
    files = {
        "scripts/sync_vendor.py": PINS,
        "vendor/CMakeLists.txt": "",
        "vendor/cpp-httplib/httplib.h": "",
        "vendor/hash/xxhash/xxhash.h": "",
        "vendor/sheredom/subprocess.h": "",
        "vendor/nlohmann/json.hpp": "// |  |  |__   |  |  | | | |  version 3.12.0\n",
        "vendor/miniaudio/miniaudio.h": "miniaudio - v0.11.25 - 2026-03-04\n",
        "vendor/stb/stb_image.h": "/* stb_image - v2.30 - public domain\n",
        "tools/ui/package-lock.json": json.dumps(LOCK),
    }
    for name, content in files.items():
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "src"


def written(source: Path, *more: str | Path) -> subprocess.CompletedProcess[str]:
    place = source.parent
    (place / "maps" / "deep").mkdir(parents=True, exist_ok=True)
    (place / "maps" / "deep" / "bundle.js.map").write_text(json.dumps(MAP))
    (place / "status").write_text(STATUS)
    command: list[str | Path] = [sys.executable, FOLDER / "sbom.py", "--commit", "0c1e57098", "--epoch", "1790820708"]
    command += ["--source", source, "--maps", place / "maps", "--dpkg", place / "status", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def bill(source: Path, *more: str | Path) -> Any:
    done = written(source, *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def purls(document: Any) -> dict[str, str]:
    """Package URL -> declared licence."""
    packages = [one for one in document["packages"] if "externalRefs" in one]
    return {one["externalRefs"][0]["referenceLocator"]: one["licenseDeclared"] for one in packages}


def test_every_kind_of_part_is_told(source: Path) -> None:
    assert purls(bill(source)) == {
        "pkg:deb/debian/libc6@2.41-12%2Bdeb13u5?arch=amd64&distro=trixie": "NOASSERTION",
        "pkg:deb/debian/tini@0.19.0-3%2Bb5?arch=amd64&distro=trixie": "NOASSERTION",
        "pkg:github/ggml-org/llama.cpp@0c1e57098": "MIT",
        "pkg:github/yhirose/cpp-httplib@0.58.0": "MIT",
        "pkg:github/nlohmann/json@3.12.0": "MIT",
        "pkg:github/mackron/miniaudio@0.11.25": "Unlicense OR MIT-0",
        "pkg:github/nothings/stb@2.30": "MIT OR Unlicense",
        "pkg:github/sheredom/subprocess.h@0dcc": "Unlicense",
        "pkg:github/cyan4973/xxhash@9f46": "BSD-2-Clause",
        "pkg:github/clibs/sha1@e1e2": "NOASSERTION",
        "pkg:github/jb55/sha256.c@5e63": "MIT",
        "pkg:github/jb55/rotate-bits.h@27e7": "MIT",
        "pkg:npm/svelte@5.56.1": "MIT",
        "pkg:npm/%40lucide/svelte@1.25.0": "ISC",
        "pkg:npm/b@2.0.0": "NOASSERTION",
    }


def test_the_wheels_of_cuda_are_told(source: Path) -> None:
    document = bill(source, "--wheels", FOLDER / "cuda.txt")
    assert document["name"] == "llama-server-cuda"
    assert len([one for one in purls(document) if one.startswith("pkg:pypi/nvidia-")]) == 6


def test_the_image_contains_each_part_once(source: Path) -> None:
    document = bill(source)
    ids = [one["SPDXID"] for one in document["packages"]]
    assert len(set(ids)) == len(ids) == 16
    contained = [one for one in document["relationships"] if one["relationshipType"] == "CONTAINS"]
    assert [one["relatedSpdxElement"] for one in contained] == ids[1:]
    assert {one["spdxElementId"] for one in contained} == {ids[0]}


def test_the_same_input_makes_the_same_bytes_and_another_another_name(source: Path) -> None:
    first = written(source).stdout
    assert written(source).stdout == first
    (source / "vendor/stb/stb_image.h").write_text("/* stb_image - v2.31 - public domain\n")
    assert bill(source)["documentNamespace"] != json.loads(first)["documentNamespace"]
    assert json.loads(first)["creationInfo"]["created"] == "2026-10-01T02:11:48Z"


def test_a_library_that_is_new_in_the_source_stops_the_build(source: Path) -> None:
    (source / "vendor" / "zlib").mkdir()
    done = written(source)
    assert (done.returncode, done.stderr) == (1, "VENDORED does not know zlib\n")


def test_a_version_that_is_not_found_stops_the_build(source: Path) -> None:
    (source / "vendor/stb/stb_image.h").write_text("")
    done = written(source)
    assert done.stderr == "vendor/stb/stb_image.h does not tell the version of nothings/stb\n"
    assert done.returncode == 1
