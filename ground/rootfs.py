"""Minimal Debian root file systems with some packages, made once and kept in the cache."""

from collections.abc import Sequence
from pathlib import Path

from ground import debian, packages, paths, shell, store

LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


def archive(suite: str, wanted: Sequence[str]) -> Path:
    """A tar archive of a minimal Debian with these packages; about 30 s and 0.3 GB the first time. Needs root.

    The key holds the question, not the answer: a newer package alone does not make a new archive.
    """
    key = paths.content_key(extra=["debian", suite, *sorted(wanted), *LEFT_OUT])
    target = paths.CACHE / "rootfs" / f"{suite}-{key}.tar"
    with store.lock(f"rootfs-{suite}"):
        if not target.exists():
            packages.require("mmdebstrap")
            with store.publish(target) as partial:
                _bootstrap(suite, wanted, partial)
    return target


def _bootstrap(suite: str, wanted: Sequence[str], target: Path) -> None:
    command: list[str | Path] = ["mmdebstrap", "--variant=minbase", "--mode=root", "--format=tar"]
    command += [f"--aptopt={line}" for line in debian.apt_options()]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    command += [f"--include={','.join(wanted)}", f"--keyring={debian.KEYRING}", suite, target]
    command += debian.sources(debian.mirror(), suite)
    log = paths.LOGS / f"rootfs-{suite}.log"
    shell.run(command, log=log, title=f"bootstrap Debian {suite} with {wanted[0]} and what it needs")
