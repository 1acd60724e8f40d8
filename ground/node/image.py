"""Build the node image and give it to a Docker engine."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from ground import paths, rootfs, shell, store
from ground.node import preload

HERE = Path(__file__).parent
LOG = paths.LOGS / "node-image.log"
REPOSITORY = "localhost/llama-ground-node"

# bookworm: the last Debian whose systemd still runs under cgroup v1.
SUITE = "bookworm"
PACKAGES = (
    "systemd",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "busybox",
    "ca-certificates",
    "conntrack",
    "ethtool",
    "iproute2",
    "ipset",
    "iptables",
    "kmod",
    "mount",
    "nftables",
    "procps",
    "util-linux",
)

BINARIES = ("kube", "coredns", "local-path-provisioner", "kube-router", "pause")
CALLED_AS = ("kubelet", "kubeadm", "kubectl", "crictl")

UNITS = "lib/systemd/system"
ENABLED = ("containerd.service", "kubelet.service")
# They would set the machine up, which is not the node's to do.
MASKED = (
    "systemd-binfmt.service",
    "systemd-modules-load.service",
    "systemd-sysctl.service",
    "systemd-udevd.service",
    "systemd-journald-audit.socket",
)
TARGETS = ("sysinit", "multi-user", "local-fs", "basic", "timers", "sockets")

# kind's contract with node images: systemd by way of an entrypoint, stopped by systemd's own signal.
SETTINGS = (
    'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]',
    "ENV container=docker",
    "STOPSIGNAL SIGRTMIN+3",
)


def key(binaries: Mapping[str, Path], addons: Mapping[str, Path]) -> str:
    """The content the node image is made of, as a short key.

    A binary stands under a key of its own content, and so does an addon's image by its reference.
    """
    files = [*sorted(HERE.glob("*.py")), HERE / "files", HERE / "pod-network.sh"]
    built = [binaries[name].parent.name for name in BINARIES]
    return paths.content_key(*files, extra=[SUITE, *PACKAGES, *built, *sorted(addons)])


def ensure(binaries: Mapping[str, Path], addons: Mapping[str, Path], docker: Mapping[str, str]) -> str:
    """Have the node image in the engine that `docker` (environment of the docker CLI) reaches; its reference.

    `addons` are docker-archives by reference that a node is to have from the beginning, too.
    """
    tag = key(binaries, addons)
    reference = f"{REPOSITORY}:{tag}"
    if shell.succeeds(["docker", "image", "inspect", reference], env=docker):
        return reference
    archive = paths.CACHE / "node" / f"{tag}.tar"
    with store.lock("node"):
        if not archive.exists():
            _build(binaries, addons, archive)
            store.forget_old(archive.parent, "*.tar")
    changes = [word for setting in SETTINGS for word in ("--change", setting)]
    command = ["docker", "import", *changes, str(archive), reference]
    shell.run(command, log=LOG, env=docker, title="give the node image to the engine")
    return reference


def _build(binaries: Mapping[str, Path], addons: Mapping[str, Path], archive: Path) -> None:
    base = rootfs.archive(SUITE, PACKAGES)
    with store.scratch("node") as work:
        root = work / "root"
        root.mkdir()
        with shell.step("lay out the node's root file system"):
            shell.run(["tar", "-C", str(root), "-xpf", str(base)], log=LOG)
            _lay_out(root, binaries)
        preload.fill_store(root, binaries, addons.values(), work)
        with store.publish(archive) as partial:
            pack = ["tar", "--numeric-owner", "--xattrs", "-C", str(root), "-cf", str(partial), "."]
            shell.run(pack, log=LOG, title="pack the node image")


def _lay_out(root: Path, binaries: Mapping[str, Path]) -> None:
    shutil.copytree(HERE / "files", root, dirs_exist_ok=True, symlinks=True)
    shutil.copy2(binaries["kube"], root / "usr/bin/kube")
    for name in CALLED_AS:
        (root / "usr/bin" / name).symlink_to("kube")
    for folder in ("etc/cni/net.d", "etc/kubernetes/manifests", "var/lib/kubelet", "opt/cni"):
        (root / folder).mkdir(parents=True)
    (root / "opt/cni/bin").symlink_to("/usr/lib/cni")  # where the kubelet's world expects the plugins
    (root / "usr/sbin/init").symlink_to("/lib/systemd/systemd")
    _choose_units(root)
    for folder in ("var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(root / folder, ignore_errors=True)


def _choose_units(root: Path) -> None:
    """Leave systemd the journal, containerd and the kubelet."""
    for units in (root / UNITS, root / "etc/systemd/system"):
        for target in TARGETS:
            for wanted in units.glob(f"{target}.target.wants/*"):
                if not wanted.name.startswith("systemd-journald"):
                    wanted.unlink()
    own = root / "etc/systemd/system"
    for unit in MASKED:
        (own / unit).unlink(missing_ok=True)
        (own / unit).symlink_to("/dev/null")
    wants = own / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    for unit in ENABLED:
        (wants / unit).symlink_to(f"/etc/systemd/system/{unit}")
    (own / "default.target").symlink_to(f"/{UNITS}/multi-user.target")
