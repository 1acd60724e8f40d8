"""The cluster's programs, built from Go modules: Kubernetes itself, its add-ons, kind and helm.

Everything is built once per machine and kept under a key of what goes in. One Go module holds what shares
compiled packages with Kubernetes 1.34, a second one the addons, which need newer versions of the same libraries,
a third one the S3 server of the integration tests.
What each costs is in docs/decisions/0002-binaries.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ground import golang, lego, paths, shell, store

MODULES = paths.REPO / "ground" / "go"

_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True)
class Binary:
    """One program: the Go module below MODULES that pins it, its main package, and the module it is a version of.

    `stamp` names the variable that tells the version, if the program has no other way to know.
    """

    module: str
    package: str
    origin: str | None = None
    stamp: str | None = None


BINARIES = {
    "pause": Binary("cluster", "./cmd/pause"),
    "kind": Binary("cluster", "sigs.k8s.io/kind", "sigs.k8s.io/kind"),
    "kube": Binary("cluster", "./cmd/kube", "k8s.io/kubernetes"),
    "coredns": Binary("cluster", "./cmd/coredns", "github.com/coredns/coredns"),
    "local-path-provisioner": Binary(
        "cluster", "github.com/rancher/local-path-provisioner", "github.com/rancher/local-path-provisioner"
    ),
    "helm": Binary(
        "cluster", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3", "helm.sh/helm/v3/internal/version.version"
    ),
    "kube-router": Binary(
        "cluster",
        "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
        "github.com/cloudnativelabs/kube-router/v2",
        "github.com/cloudnativelabs/kube-router/v2/pkg/version.Version",
    ),
    "metrics-server": Binary(
        "addons",
        "sigs.k8s.io/metrics-server/cmd/metrics-server",
        "sigs.k8s.io/metrics-server",
        "k8s.io/component-base/version.gitVersion",
    ),
    "traefik": Binary(
        "addons",
        "github.com/traefik/traefik/v3/cmd/traefik",
        "github.com/traefik/traefik/v3",
        "github.com/traefik/traefik/v3/pkg/version.Version",
    ),
    "versitygw": Binary(
        "s3", "github.com/versity/versitygw/cmd/versitygw", "github.com/versity/versitygw", "main.Version"
    ),
}
"""In the order of building: the small ones first, then the largest, whose packages the others share."""

CLUSTER = tuple(name for name in BINARIES if name != "versitygw")
"""What a cluster is made of; versitygw is an S3 server that only integration tests ask for."""


def version(name: str) -> str:
    """The version of a program as its go.mod pins it, with its v: `version("kube")` is "v1.34.4"."""
    binary = BINARIES[name]
    go_mod = (MODULES / binary.module / "go.mod").read_text()
    return golang.required(go_mod, binary.origin or "")


def ensure(*names: str) -> dict[str, Path]:
    """Build those of the programs that the cache lacks, and say where each is.

    Asking for several at once is cheaper than one by one where the Go caches do not stay (golang.caches).
    """
    wanted = _in_order(names)
    found = {name: target(name) for name in wanted}
    if all(path.exists() for path in found.values()):
        return found
    with store.lock("binaries"), golang.tidied():
        for name, path in found.items():
            if not path.exists():
                _build(name, path)
                store.forget_old(path.parent.parent, "*")
    return found


def target(name: str) -> Path:
    """Where a program is, or will be, in the cache."""
    binary = BINARIES[name]
    module = MODULES / binary.module
    inputs = [module / "go.mod", module / "go.sum", *_sources(module, binary)]
    key = paths.content_key(*inputs, extra=[golang.version(module), link_flags(name), *golang.FLAGS.values()])
    return paths.CACHE / "bin" / name / key / name


def link_flags(name: str) -> str:
    """What the linker writes into the program: its version, since no version control is at hand."""
    binary = BINARIES[name]
    if name == "kube":
        return " ".join(_kubernetes_stamps(version(name)))
    if name == "helm":
        return " ".join(_helm_stamps(binary.stamp))
    if binary.stamp is None:
        return ""
    text = version(name)
    return f"-X {binary.stamp}={text.removeprefix('v') if name == 'traefik' else text}"


def _kubernetes_stamps(text: str) -> Iterable[str]:
    major, minor, _ = text.removeprefix("v").split(".", 2)
    facts = {"gitVersion": text, "gitMajor": major, "gitMinor": minor, "gitTreeState": "archive"}
    for package in _VERSION_PACKAGES:
        for variable, value in facts.items():
            yield f"-X {package}.{variable}={value}"


def _helm_stamps(stamp: str | None) -> Iterable[str]:
    """Without a Kubernetes version in it, `helm template` supposes 1.20 and refuses charts that need a newer one."""
    major, minor, _ = version("kube").removeprefix("v").split(".", 2)
    yield f"-X {stamp}={version('helm')}"
    for package in ("helm.sh/helm/v3/pkg/chartutil", "helm.sh/helm/v3/pkg/lint/rules"):
        yield f"-X {package}.k8sVersionMajor={major}"
        yield f"-X {package}.k8sVersionMinor={minor}"


def _build(name: str, path: Path) -> None:
    binary = BINARIES[name]
    log = paths.LOGS / f"go-{name}.log"
    title = f"build {name} {version(name)}" if binary.origin else f"build {name}"
    with shell.step(title), store.publish(path) as partial, lego.trimmed(MODULES / binary.module) as module:
        golang.build(module, binary.package, link_flags(name), partial, log)


def _sources(module: Path, binary: Binary) -> list[Path]:
    """The sources of our own that go in: the program's folder, or what traefik's build replaces."""
    if binary.package.startswith("./"):
        return [module / binary.package]
    return sorted(module.glob("*.go.txt"))


def _in_order(names: Iterable[str]) -> list[str]:
    unknown = sorted(set(names) - BINARIES.keys())
    if unknown:
        raise shell.GroundError(f"no such program: {', '.join(unknown)}; there are {', '.join(BINARIES)}")
    chosen = set(names)
    return [name for name in BINARIES if name in chosen]
