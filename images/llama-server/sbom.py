#!/usr/bin/env python3
"""Write the image's bill of materials: SPDX 2.3 as JSON, to stdout.

    python3 sbom.py --commit SHA --epoch SECONDS --source SRC --maps MAPS --dpkg STATUS [--wheels FILE] >sbom.spdx.json

It tells what no scanner of the finished image can see: which llama.cpp this is, which libraries are compiled into it,
and whose JavaScript is in the web UI. The same input makes the same bytes. Python 3.11 and its standard library do.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote


class Part(NamedTuple):
    """One part of the image; `license` is an SPDX expression, or empty where no file says it in such words."""

    name: str
    version: str
    purl: str
    license: str = ""


class Vendored(NamedTuple):
    """A library of which llama.cpp's source has a copy; `pattern` finds its version in `file`."""

    folder: str
    repository: str
    license: str
    file: str
    pattern: str


PINS = "scripts/sync_vendor.py"
VENDORED = (
    Vendored("cpp-httplib", "yhirose/cpp-httplib", "MIT", PINS, r'HTTPLIB_VERSION = "refs/tags/v([\d.]+)"'),
    Vendored("nlohmann", "nlohmann/json", "MIT", "vendor/nlohmann/json.hpp", r"version ([\d.]+)\n"),
    Vendored(
        "miniaudio", "mackron/miniaudio", "Unlicense OR MIT-0", "vendor/miniaudio/miniaudio.h", r"miniaudio - v([\d.]+)"
    ),
    Vendored("stb", "nothings/stb", "MIT OR Unlicense", "vendor/stb/stb_image.h", r"stb_image - v([\d.]+)"),
    Vendored("sheredom", "sheredom/subprocess.h", "Unlicense", PINS, r"sheredom/subprocess\.h/(\w+)/"),
    Vendored("hash/xxhash", "Cyan4973/xxHash", "BSD-2-Clause", PINS, r'XXHASH_COMMIT += "(\w+)"'),
    Vendored("hash/sha1", "clibs/sha1", "", PINS, r'SHA1_COMMIT += "(\w+)"'),
    Vendored("hash/sha256", "jb55/sha256.c", "MIT", PINS, r'SHA256_COMMIT += "(\w+)"'),
    Vendored("hash/rotate-bits", "jb55/rotate-bits.h", "MIT", PINS, r'ROTATE_BITS_COMMIT += "(\w+)"'),
)
"""The folders of `vendor`: each is linked into llama-server or one of its libraries."""

BUNDLED = re.compile(r"(node_modules/(?:.*/node_modules/)?(?:@[^/]+/)?[^/]+)/")
"""The key of package-lock.json in the path of a bundled file."""

PLAIN_LICENSE = re.compile(r"\(?[A-Za-z0-9.+-]+(?: (?:OR|AND|WITH) [A-Za-z0-9.+-]+)*\)?")


def vendored(source: Path) -> Iterator[Part]:
    """The libraries in llama.cpp's folder `vendor`. Raises SystemExit when it is not as VENDORED says."""
    for one in VENDORED:
        found = re.search(one.pattern, (source / one.file).read_text(encoding="utf-8"))
        if found is None:
            raise SystemExit(f"{one.file} does not tell the version of {one.repository}")
        name = one.repository.partition("/")[2]
        yield Part(name, found[1], f"pkg:github/{one.repository.lower()}@{found[1]}", one.license)
    strange = {path.name for path in (source / "vendor").iterdir() if path.is_dir()}
    strange -= {one.folder.partition("/")[0] for one in VENDORED}
    if strange:
        raise SystemExit(f"VENDORED does not know {', '.join(sorted(strange))}")


def debian(status: str) -> Iterator[Part]:
    """The installed packages of dpkg's status file."""
    for paragraph in status.strip().split("\n\n"):
        field = dict(re.findall(r"^(\S+): (.*)$", paragraph, re.MULTILINE))
        version = quote(field["Version"], safe="")
        yield Part(
            field["Package"],
            field["Version"],
            f"pkg:deb/debian/{field['Package']}@{version}?arch={field['Architecture']}&distro=trixie",
        )


def bundled(lock: dict[str, Any], maps: Iterable[dict[str, Any]]) -> Iterator[Part]:
    """The npm packages with a file in the web UI, as the source maps of its bundles tell."""
    paths = {path for one in maps for path in one["sources"]}
    for key in sorted({found[1] for path in paths if (found := BUNDLED.search(path))}):
        package = lock["packages"][key]
        name = key.rpartition("node_modules/")[2]
        stated = package.get("license", "")
        known = stated if PLAIN_LICENSE.fullmatch(stated) else ""
        yield Part(name, package["version"], f"pkg:npm/{quote(name)}@{package['version']}", known)


def wheels(requirements: str) -> Iterator[Part]:
    """The wheels of a file of pip's requirements."""
    for name, version in re.findall(r"^([\w-]+)==([\w.]+)", requirements, re.MULTILINE):
        yield Part(name, version, f"pkg:pypi/{name}@{version}")


def document(title: str, parts: Iterable[Part], epoch: int) -> dict[str, Any]:
    """The whole bill. Its namespace names its content: two bills that differ have different ones."""
    unique = sorted(set(parts))
    content = hashlib.sha256(json.dumps([title, unique]).encode()).hexdigest()
    image = "SPDXRef-image"
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": title,
        "documentNamespace": f"https://llama-operator.dev/spdx/{title}-{content}",
        "creationInfo": {
            "created": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: images/llama-server/sbom.py"],
        },
        "packages": [_package(image, title), *(_package(_id(one), *one) for one in unique)],
        "relationships": [
            _relation("SPDXRef-DOCUMENT", "DESCRIBES", image),
            *(_relation(image, "CONTAINS", _id(one)) for one in unique),
        ],
    }


def _package(name_in_bill: str, name: str, version: str = "", purl: str = "", license: str = "") -> dict[str, Any]:
    reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
    return {
        "SPDXID": name_in_bill,
        "name": name,
        **({"versionInfo": version, "externalRefs": [reference]} if purl else {"primaryPackagePurpose": "CONTAINER"}),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": license or "NOASSERTION",
        "copyrightText": "NOASSERTION",
    }


def _id(part: Part) -> str:
    return f"SPDXRef-{hashlib.sha256(part.purl.encode()).hexdigest()[:16]}"


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def main() -> None:
    """Read the inputs that the command line names and write the bill."""
    parser = argparse.ArgumentParser(description="SPDX bill of materials of the server's image")
    parser.add_argument("--commit", required=True, help="of llama.cpp")
    parser.add_argument("--epoch", required=True, type=int, help="seconds since 1970: when the bill was made")
    parser.add_argument("--source", required=True, type=Path, help="llama.cpp's source")
    parser.add_argument("--maps", required=True, type=Path, help="folder of the web UI's source maps")
    parser.add_argument("--dpkg", required=True, type=Path, help="dpkg's status file")
    parser.add_argument("--wheels", type=Path, help="pip's requirements, of wheels that the image has files of")
    told = parser.parse_args()
    lock = json.loads((told.source / "tools/ui/package-lock.json").read_text(encoding="utf-8"))
    maps = [json.loads(path.read_text(encoding="utf-8")) for path in told.maps.rglob("*.map")]
    parts = [
        Part("llama.cpp", told.commit, f"pkg:github/ggml-org/llama.cpp@{told.commit}", "MIT"),
        *vendored(told.source),
        *debian(told.dpkg.read_text(encoding="utf-8")),
        *bundled(lock, maps),
        *(wheels(told.wheels.read_text(encoding="utf-8")) if told.wheels else ()),
    ]
    title = "llama-server-cuda" if told.wheels else "llama-server"
    json.dump(document(title, parts, told.epoch), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
