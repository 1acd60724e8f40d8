"""Image volumes (`spec.source.oci`) in clusters that cannot have them. Pure.

Without the feature gate ImageVolume (on by default since Kubernetes 1.35) the API server does not refuse them: it takes
the volume and all its mounts out of the pod template and stores the rest (pkg/api/pod/util.go, dropImageVolumes).
Before 1.31 there is no such field, and an apply is refused. A runtime that is too old (containerd before 2.1) fails to
create the container; containerd and CRI-O have words of their own for it.
"""

from __future__ import annotations

import re
from typing import Any

Object = dict[str, Any]

ADVICE = (
    "spec.source.oci needs image volumes: Kubernetes 1.35, or 1.31 with the feature gate ImageVolume on API server and "
    "kubelets, and containerd 2.1 or CRI-O 1.31 on the nodes; use another source, or have the cluster set up for it"
)

_UNKNOWN = re.compile(r"must specify a volume type|\.volumes.*\.image: field not declared in schema")
_UNMOUNTED = re.compile(r"ImageVolumeMountFailed|mkdir : no such file or directory")
"""The error of the CRI for it (k8s.io/cri-api pkg/errors), and what a containerd says that takes the volume for a
folder of the node without a name (kubernetes-sigs/kind#3745)."""


def wanted(child: Object) -> set[str]:
    """Names of the image volumes in a child's pod template."""
    volumes = child["spec"].get("template", {}).get("spec", {}).get("volumes") or []
    return {volume["name"] for volume in volumes if "image" in volume}


def unknown(words: str) -> bool:
    """Whether the API server refuses them, by its message."""
    return bool(_UNKNOWN.search(words))


def unmounted(words: str) -> bool:
    """Whether the container runtime cannot mount them, by the kubelet's message."""
    return bool(_UNMOUNTED.search(words))
