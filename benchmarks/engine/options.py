"""Whether our image's build options make other code of the engine than upstream's.

    python -m benchmarks.engine.options SOURCE        # an unpacked llama.cpp; needs CMake, Ninja and a compiler

Configures the source twice with one compiler, as images/llama-server/Dockerfile and as SOURCE/.devops/cpu.Dockerfile
do, and counts the objects of llama-server by what tells their compile commands apart. Nothing is compiled.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

OURS = Path("images/llama-server/Dockerfile")
UPSTREAM = ".devops/cpu.Dockerfile"
_FLAG = re.compile(r"-D[A-Z_]+=[^\s\\;]+")
PARTS = {
    "ggml": ("ggml/",),
    "llama": ("src/",),
    "common and server": ("common/", "tools/server/", "tools/mtmd/", "vendor/"),
}


def flags(dockerfile: str) -> list[str]:
    """The -D… of its call of cmake, without what concerns where libraries are looked for."""
    return [flag.replace("'", "") for flag in _FLAG.findall(dockerfile) if "RPATH" not in flag]


def commands(source: Path, options: list[str]) -> dict[str, str]:
    """By object, the command that compiles it; the folders of source and build are left out of it."""
    with tempfile.TemporaryDirectory() as build:
        call = ["cmake", "-S", str(source), "-B", build, "-G", "Ninja", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options]
        subprocess.run(call, check=True, capture_output=True)
        found = json.loads((Path(build) / "compile_commands.json").read_text())
    # A CPU backend is compiled once for each variant: only the object's path tells them apart.
    plain = [each["command"].replace(build, "").replace(str(source), "") for each in found]
    return {command.split(" -o ")[1].split()[0]: command for command in plain}


def differences(ours: dict[str, str], upstream: dict[str, str], folders: tuple[str, ...]) -> Counter[str]:
    """How many objects below the folders are compiled so: by the words that only one of the two commands has."""
    both = [path for path in ours.keys() & upstream.keys() if path.startswith(folders)]
    words = [set(ours[path].split()) ^ set(upstream[path].split()) for path in both]
    return Counter(" ".join(sorted(word)) or "the same command" for word in words)


def main(source: str) -> None:
    root = Path(source).resolve()
    ours, upstream = commands(root, flags(OURS.read_text())), commands(root, flags((root / UPSTREAM).read_text()))
    for name, folders in PARTS.items():
        told = ", ".join(f"{count} {words}" for words, count in differences(ours, upstream, folders).most_common())
        print(f"{name}: {told}")


if __name__ == "__main__":
    main(*sys.argv[1:])
