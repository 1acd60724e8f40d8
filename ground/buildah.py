"""Build a Dockerfile without any engine: Debian's buildah, with RUN in a chroot that shares the host's network.

Works where neither Docker nor a registry is there, and needs root, but no daemon. buildah keeps its layers in
the cache, so a second build repeats only what changed. Each call has a mount namespace of its own: whatever
becomes of it, no mount is left.
"""

import os
import re
import resource
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ground import archives, bases, packages, paths, shell, store, trust

PATH_VARIABLE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build(ref: str, context: Path, dockerfile: Path, words: Sequence[str], archive: Path, log: Path) -> None:
    """Build `dockerfile` over the folder `context` and write the image `ref` to `archive` (docker-archive).

    `words` are further options, those that `docker build` has, too. The only base that a FROM can name is bases.REF.
    Raises CommandError with the end of the build's log.
    """
    packages.require("buildah", "unshare")
    with store.scratch("trust") as folder:
        variables = trust.prepare(folder, os.environ)
        _import_base(variables, log)
        command = ["build", "--isolation=chroot", "--network=host", "--pull=never", "--format=docker"]
        command += ["--layers", "--force-rm", f"--volume={folder}:{trust.MOUNT}:ro"]
        # buildah allows 1024 open files where nothing is said, too few for Vite, and RUN may not ask for more.
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        command.append(f"--ulimit=nofile={files}:{files}")
        command += [*timestamp(dockerfile.read_text()), *words]
        shell.run(_buildah(*command, f"--file={dockerfile}", f"--tag={ref}", str(context)), log=log)
        # The base lends its variables to every stage, also to one that is built upon another; the image that comes
        # out does not have them.
        traced = folder / "image.tar"
        shell.run(_buildah("push", "--quiet", ref, f"docker-archive:{traced}:{ref}"), log=log)
        archives.plain(traced, archive, variables)
    _forget_others(ref, log)


def timestamp(dockerfile: str) -> list[str]:
    """The option that gives all layers and files one time, where the Dockerfile names it as BuildKit would have it."""
    return [f"--timestamp={seconds}" for seconds in re.findall(r"^ARG SOURCE_DATE_EPOCH=(\d+)$", dockerfile, re.M)]


def _forget_others(ref: str, log: Path) -> None:
    """Remove earlier builds of the image from buildah's store, with the layers that no image needs any more."""
    known = shell.output(_buildah("images", "--format", "{{.Name}}:{{.Tag}}")).split()
    for old in earlier(known, ref):
        shell.run(_buildah("rmi", old), log=log)


def earlier(known: Iterable[str], ref: str) -> list[str]:
    """Those of the references that are of the same repository as `ref`, and not it."""
    return [one for one in known if one != ref and one.rpartition(":")[0] == ref.rpartition(":")[0]]


def _import_base(variables: Mapping[str, str], log: Path) -> None:
    """Have bases.REF in buildah's store, with the variables that RUN needs on this machine."""
    kept = f"localhost/ground-base:{_base_tag(variables)}"
    with store.lock("buildah-base"):
        if not shell.succeeds(_buildah("inspect", "--type=image", kept)):
            _make_base(kept, variables, log)
        shell.run(_buildah("tag", kept, bases.REF), log=log)


def _make_base(ref: str, variables: Mapping[str, str], log: Path) -> None:
    tar = bases.slim()
    with store.scratch("base") as folder:
        (folder / tar.name).hardlink_to(tar)
        (folder / "Dockerfile").write_text(base_dockerfile(tar.name, variables))
        command = ["build", "--isolation=chroot", "--format=docker", "--timestamp=0", f"--tag={ref}"]
        shell.run(_buildah(*command, str(folder)), log=log)


def base_dockerfile(tar: str, variables: Mapping[str, str]) -> str:
    """The base as a Dockerfile: one layer, what Debian's own image sets, and the variables lent to RUN."""
    lent = [f"{name}={_quoted(value)}" for name, value in sorted(variables.items())]
    lines = ["FROM scratch", f"ADD {tar} /", *(f"ENV {pair}" for pair in (PATH_VARIABLE, *lent)), 'CMD ["bash"]']
    return "".join(f"{line}\n" for line in lines)


def _base_tag(variables: Mapping[str, str]) -> str:
    return paths.content_key(extra=[bases.key(), base_dockerfile("", variables)])


def _quoted(value: str) -> str:
    """As a Dockerfile's double-quoted word."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _buildah(*words: str) -> Sequence[str]:
    home = paths.CACHE / "buildah"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    where = ["--root", str(home / "store"), "--runroot", str(home / "run"), "--storage-driver", "overlay"]
    return ["unshare", "--mount", "--propagation=private", "--", "buildah", *where, *words]
