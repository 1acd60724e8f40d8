"""How this machine reaches its package registries, lent to an image build without leaving a trace in the image.

A company's CA, pip index, npm registry or apt mirror is set up on the machine, not in a container. While a
Dockerfile's RUN works, a folder with these settings is mounted at MOUNT and variables point the clients at it.
MOUNT is an empty folder of every Debian image, so that not even a mount point is left behind.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ground import debian

MOUNT = "/media"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
CA_VARIABLES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_CAFILE",
    "GIT_SSL_CAINFO",
)
PASSED_ON = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "NPM_CONFIG_REGISTRY")
"""Variables of the caller's that name a registry and mean the same inside."""

CONFIG_FILES = {
    "PIP_CONFIG_FILE": ("pip.conf", ("~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf")),
    "NPM_CONFIG_USERCONFIG": ("npmrc", ("~/.npmrc",)),
    "NPM_CONFIG_GLOBALCONFIG": ("npmrc-global", ("/etc/npmrc",)),
}
"""Variable -> name in the folder, and where the machine may have the file; the first that is there counts."""


def prepare(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Write the settings into `folder` (to be mounted at MOUNT) and return the variables that go with them."""
    variables = {name: environ[name] for name in PASSED_ON if environ.get(name)}
    apt = debian.apt_options()
    bundle = Path(environ.get("SSL_CERT_FILE") or CA_BUNDLE)
    if bundle.is_file():
        shutil.copyfile(bundle, folder / "ca.crt")
        variables |= dict.fromkeys(CA_VARIABLES, f"{MOUNT}/ca.crt")
        apt.append(f'Acquire::https::CAInfo "{MOUNT}/ca.crt";')
    for variable, (name, places) in CONFIG_FILES.items():
        found = next((path for path in map(_home, (environ.get(variable, ""), *places)) if path.is_file()), None)
        if found is not None:
            shutil.copyfile(found, folder / name)
            variables[variable] = f"{MOUNT}/{name}"
    place = debian.mirror()
    if place != debian.OFFICIAL:
        (folder / "sources.list").write_text("".join(f"{line}\n" for line in debian.sources(place)))
        apt.append(f'Dir::Etc::sourcelist "{MOUNT}/sources.list"; Dir::Etc::sourceparts "-";')
    (folder / "apt.conf").write_text("".join(f"{line}\n" for line in apt))
    variables["APT_CONFIG"] = f"{MOUNT}/apt.conf"
    # The folder itself has to be readable for apt's own user inside.
    folder.chmod(0o755)
    return variables


def _home(place: str) -> Path:
    return Path(os.path.expanduser(place)) if place else Path("/nonexistent")
