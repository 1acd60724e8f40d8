"""Debian's tools that a step needs: say which are missing, and install them where that is possible."""

import os
import shutil

from ground import paths, shell

PACKAGE_OF = {
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "openssl": "openssl",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""Debian's package for each command that the ground calls."""


def missing(*commands: str) -> list[str]:
    """Those of the commands that are not on PATH."""
    return [command for command in commands if shutil.which(command) is None]


def require(*commands: str) -> None:
    """Make the commands available from Debian's packages. Raises GroundError where root or apt is wanting."""
    names = sorted({PACKAGE_OF[command] for command in missing(*commands)})
    if not names:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise shell.GroundError(f"please install {', '.join(names)} (only root on Debian can do it from here)")
    log = paths.LOGS / "apt.log"
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *names]
    with shell.step(f"install {' '.join(names)}"):
        shell.run(["apt-get", "update"], log=log, env=quiet)
        shell.run(install, log=log, env=quiet)
