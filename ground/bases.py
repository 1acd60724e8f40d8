"""Debian's slim base image, made from Debian's packages where no image registry can be reached.

The same as docker.io/library/debian:trixie-slim in what a Dockerfile can notice: minbase, no documentation,
no package lists, deb.debian.org as source, no ca-certificates. What differs is the date of the packages.
"""

from collections.abc import Iterable
from pathlib import Path

from ground import debian, packages, paths, shell, store

REF = "docker.io/library/debian:trixie-slim"

LEFT_OUT = ("doc", "man", "locale", "info", "groff", "lintian", "linda")
"""Folders of /usr/share that Debian's slim images go without; copyright files stay."""

SOURCES = """\
Types: deb
URIs: http://deb.debian.org/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

APT_SETTINGS = """\
APT::Keep-Downloaded-Packages "false";
APT::AutoRemove::SuggestsImportant "false";
Acquire::Languages "none";
"""


def key() -> str:
    """Name the base: by its recipe, not by the day. Remove the cache to get newer packages."""
    recipe = command(Path("files"), Path("tar"), reach=())
    return paths.content_key(extra=[*recipe, SOURCES, APT_SETTINGS])


def slim() -> Path:
    """The base's root file system as a tar; 30 s and 80 MB the first time. Needs root."""
    target = paths.CACHE / "bases" / f"debian-{debian.SUITE}-{key()}.tar"
    with store.lock("bases"):
        if not target.exists():
            packages.require("mmdebstrap")
            with store.publish(target) as partial:
                _bootstrap(partial)
        store.forget_old(target.parent, f"debian-{debian.SUITE}-*.tar", keep=1)
    return target


def command(files: Path, tar: Path, reach: Iterable[str]) -> list[str]:
    """The call of mmdebstrap. `files` holds what is put in; `reach` are apt settings for getting to the mirror."""
    words = ["mmdebstrap", "--variant=minbase", "--mode=root", "--format=tar", f"--keyring={debian.KEYRING}"]
    words += [f"--aptopt={line}" for line in reach]
    words += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    words += ["--dpkgopt=path-include=/usr/share/doc/*/copyright"]
    # How this machine reaches its mirror is no business of the image: what mmdebstrap noted of it goes again.
    words += [
        '--customize-hook=rm "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1"/etc/apt/sources.list.d/*',
        '--customize-hook=rm -r "$1/etc/hostname" "$1/etc/resolv.conf" "$1"/var/log/apt',
        f"--customize-hook=upload {files}/debian.sources /etc/apt/sources.list.d/debian.sources",
        f"--customize-hook=upload {files}/slim /etc/apt/apt.conf.d/slim",
    ]
    return [*words, debian.SUITE, str(tar), f"{files}/sources.list"]


def _bootstrap(tar: Path) -> None:
    files = tar.parent / "files"
    files.mkdir()
    (files / "debian.sources").write_text(SOURCES)
    (files / "slim").write_text(APT_SETTINGS)
    (files / "sources.list").write_text("".join(f"{line}\n" for line in debian.sources(debian.mirror())))
    call = command(files, tar, debian.apt_options())
    # The same packages then make the same bytes, so layers built upon an earlier bootstrap still serve.
    same = {"SOURCE_DATE_EPOCH": "0"}
    shell.run(call, log=paths.LOGS / "base.log", env=same, title=f"bootstrap {REF} from Debian packages")
