"""The Pod Security Standard `restricted`, and `baseline` which it contains, written down from its page.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

VOLUME_TYPES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",  # not on the page yet; the admission plugin lets it pass (tests/integration/test_children.py)
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SAFE_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe")


def violations(spec: Object) -> list[str]:
    """What the standard forbids in this PodSpec; empty if it conforms."""
    return [*_pod(spec), *(line for container in _containers(spec) for line in _container(spec, container))]


def _containers(spec: Object) -> list[Object]:
    return [c for kind in ("initContainers", "containers", "ephemeralContainers") for c in spec.get(kind, [])]


def _pod(spec: Object) -> Iterator[str]:
    context = spec.get("securityContext", {})
    yield from (f"{name} is set" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    for volume in spec.get("volumes", []):
        yield from (f"volume type {kind}" for kind in volume if kind != "name" and kind not in VOLUME_TYPES)
    yield from (f"sysctl {s['name']}" for s in context.get("sysctls", []) if s["name"] not in SAFE_SYSCTLS)
    yield from _contexts("pod", context)


def _contexts(where: str, context: Object) -> Iterator[str]:
    """What pod and container have in common."""
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{where}: seLinuxOptions"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield f"{where}: hostProcess"
    if context.get("runAsUser") == 0:
        yield f"{where}: runAsUser is 0"
    if context.get("appArmorProfile", {"type": "RuntimeDefault"})["type"] == "Unconfined":
        yield f"{where}: AppArmor is Unconfined"
    if context.get("seccompProfile", {"type": "RuntimeDefault"})["type"] not in ("RuntimeDefault", "Localhost"):
        yield f"{where}: seccomp is Unconfined"


def _container(spec: Object, container: Object) -> Iterator[str]:
    name, context, pod = container["name"], container.get("securityContext", {}), spec.get("securityContext", {})
    yield from _contexts(name, context)
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield f"{name}: capabilities are not dropped"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"{name}: capabilities are added"
    if context.get("privileged"):
        yield f"{name}: privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation"
    if context.get("procMount", "Default") != "Default":
        yield f"{name}: procMount"
    if context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield f"{name}: runAsNonRoot"
    if not (context.get("seccompProfile") or pod.get("seccompProfile")):
        yield f"{name}: seccomp is not set"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield f"{name}: hostPort"
    actions = [container.get(probe, {}) for probe in HANDLERS] + list(container.get("lifecycle", {}).values())
    if any(action.get(how, {}).get("host") for action in actions for how in ("httpGet", "tcpSocket")):
        yield f"{name}: a probe of another host"
