"""Debian's archive as this machine reaches it: mirror, keys, and apt's settings for getting there."""

import os
import re
import shutil

from ground import shell

SUITE = "trixie"
"""The release of every image's base: Debian 13, stable since August 2025."""

OFFICIAL = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
"""The archive's keys; on a host that is not Debian they are in the package debian-archive-keyring."""

_REACH = re.compile(r"Acquire::(?:https?::|Check-|Retries\b)", re.IGNORECASE)


def mirror() -> str:
    """The mirror to use, without a slash at its end: LLAMA_GROUND_DEBIAN_MIRROR, else that of this machine's apt."""
    named = os.environ.get("LLAMA_GROUND_DEBIAN_MIRROR")
    if named:
        return named.rstrip("/")
    if shutil.which("apt-get") is None:
        return OFFICIAL
    fields = "$(REPO_URI) $(RELEASE) $(ORIGIN)"
    return chosen(shell.output(["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]))


def chosen(targets: str) -> str:
    """The mirror among the lines "URI SUITE ORIGIN" of the machine's package lists; else the official one."""
    for line in targets.splitlines():
        uri, suite, origin = [*line.split(" ", 2), "", ""][:3]
        if origin == "Debian" and not suite.endswith("-security"):
            return uri.rstrip("/")
    return OFFICIAL


def sources(base: str, suite: str = SUITE) -> list[str]:
    """Lines of a sources.list: the suite with its updates and its security fixes."""
    security = f"{base.removesuffix('/debian')}/debian-security"
    signed = f"[signed-by={KEYRING}]"
    return [
        f"deb {signed} {base} {suite} main",
        f"deb {signed} {base} {suite}-updates main",
        f"deb {signed} {security} {suite}-security main",
    ]


def apt_settings(dump: str) -> list[str]:
    """The lines of `apt-config dump` that say how to reach a mirror: proxies, CAs, how old a list may be."""
    return [line for line in dump.splitlines() if _REACH.match(line) and not line.endswith(' "";')]


def apt_options() -> list[str]:
    """This machine's own apt settings for reaching mirrors, as lines of an apt.conf; none without apt."""
    if shutil.which("apt-config") is None:
        return []
    return apt_settings(shell.output(["apt-config", "dump", "Acquire"]))
