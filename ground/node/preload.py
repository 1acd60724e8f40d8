"""The images a node has to have before it can reach any: control plane, pod network, storage.

Kubernetes' parts are one executable that looks at the name it is called by, so all of them share a layer.
"""

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ground import paths, shell
from ground.node import layers
from ground.node.layers import Image, Layer

KUBERNETES = "v1.34.4"

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd", "kubectl")

# The names are the ones that kubeadm of this version asks for (`kubeadm config images list`).
IMAGES = (
    *(Image(f"registry.k8s.io/{name}:{KUBERNETES}", ["kube"]) for name in COMPONENTS[:3]),
    Image(f"registry.k8s.io/kube-proxy:{KUBERNETES}", ["kube", "tools"]),
    Image("registry.k8s.io/etcd:3.6.5-0", ["kube"]),
    Image("registry.k8s.io/coredns/coredns:v1.12.1", ["coredns"], ["/coredns"]),
    Image("registry.k8s.io/pause:3.10.1", ["pause"], ["/pause"]),
    Image("localhost/node-tools:1", ["kube", "tools"]),
    Image("localhost/node-policies:1", ["kube-router", "tools"]),
    Image("localhost/local-path-provisioner:1", ["local-path-provisioner"]),
)

TOOLS = ("/usr/sbin/xtables-nft-multi", "/usr/sbin/nft", "/usr/sbin/ipset", "/usr/sbin/conntrack", "/bin/busybox")
"""What kube-proxy, the pod network and its policies call, from the node's own Debian with the libraries they need."""

XTABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")

IMPORT = """
mount -t tmpfs tmpfs /run
mount -t proc proc /proc
mkdir /run/import
printf 'version = 2\\nstate = "/run/import/state"\\n[grpc]\\n  address = "/run/import/sock"\\n' > /run/import/config
containerd --config /run/import/config &
runtime=$!
until ctr --address /run/import/sock version >/dev/null 2>&1; do kill -0 $runtime; sleep 0.1; done
for archive in /images/*.tar; do
  ctr --address /run/import/sock --namespace k8s.io images import --digests --snapshotter overlayfs "$archive"
done
kill $runtime
wait $runtime || true
rm -rf /images /var/lib/containerd/tmpmounts
"""


def fill_store(rootfs: Path, binaries: Mapping[str, Path], archives: Iterable[Path], work: Path) -> None:
    """Put the images, and those of the given docker-archives, into the containerd store of a node's root file system.

    containerd itself does it, from that file system and in namespaces of its own: the store's format is its own
    affair, and nothing of the host's containerd, if there is one, is touched.
    """
    log = paths.LOGS / "node-image.log"
    with shell.step("make the control plane's images"):
        made = {}
        for key, layer in _layers(rootfs, binaries).items():
            made[key] = work / f"{key}.tar"
            layers.write_layer(layer, made[key])
        (rootfs / "images").mkdir()
        layers.write_images(IMAGES, made, rootfs / "images" / "node.tar")
        for archive in archives:
            shutil.copy(archive, rootfs / "images")
    unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--net", "--fork", "--kill-child"]
    shell.run(
        [*unshare, "chroot", str(rootfs), "sh", "-euxc", IMPORT],
        log=log,
        title="unpack them into the node's store",
    )


def _layers(rootfs: Path, binaries: Mapping[str, Path]) -> dict[str, Layer]:
    own = {name: Layer({f"/{name}": binaries[name]}) for name in ("coredns", "pause", "local-path-provisioner")}
    own["kube-router"] = Layer({"/usr/local/bin/kube-router": binaries["kube-router"]})
    kube = Layer({"/usr/local/bin/kube": binaries["kube"]}, {f"/usr/local/bin/{name}": "kube" for name in COMPONENTS})
    return {"kube": kube, "tools": _tools(rootfs), **own}


def _tools(rootfs: Path) -> Layer:
    extensions = sorted((rootfs / "usr/lib/x86_64-linux-gnu/xtables").glob("*.so"))
    programs = [*TOOLS, *(f"/{path.relative_to(rootfs)}" for path in extensions)]
    files = {name: (rootfs / name.lstrip("/")).resolve() for name in programs}
    listing = shell.output(["chroot", str(rootfs), "ldd", *programs])
    for library in libraries(listing):
        files[library] = _inside(rootfs, library)
    applets = shell.output(["chroot", str(rootfs), "busybox", "--list"]).split()
    links = {f"/bin/{applet}": "busybox" for applet in applets if applet not in ("busybox", "nft", *XTABLES)}
    links |= {f"/usr/sbin/{name}": "xtables-nft-multi" for name in XTABLES}
    texts = {
        "/etc/passwd": "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
        "/pod-network.sh": (Path(__file__).parent / "pod-network.sh").read_text(),
    }
    return Layer(files, links, texts)


def libraries(listing: str) -> Sequence[str]:
    """The absolute paths that `ldd` lists, each once, without the headings that name the programs."""
    found = re.findall(r"(?:=> |^\s+)(/\S+\.so\S*) \(0x", listing, re.MULTILINE)
    return sorted(set(found))


def _inside(rootfs: Path, name: str) -> Path:
    """The file behind an absolute name of the root file system, whose links may be absolute as well."""
    resolved = shell.output(["chroot", str(rootfs), "readlink", "-f", name]).strip()
    return rootfs / resolved.lstrip("/")
