"""What the operator is told from outside: environment variables, read once, checked, frozen."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from llama_operator.flags import table

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
LeaseName = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9.-]+/[a-z0-9.-]+)?$")]

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_IMAGE_PREFIX = "SERVER_IMAGE_"
_BUILD_PREFIX = "SERVER_BUILD_"


class ConfigError(Exception):
    """A setting is missing or makes no sense; the message names the environment variable."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of one operator process. `read` names the environment variable of each.

    `stage_image` runs the stager, so it is the operator's own image. `server_images` is by accelerator type; a type
    without an image needs `spec.image`. `server_builds` says which build of llama.cpp is in them, for those whose flags
    are known (`llama_operator.flags`). No `namespaces` means the whole cluster.
    """

    stage_image: Annotated[str, msgspec.Meta(min_length=1)]
    server_images: dict[str, str] = {}
    server_builds: dict[str, str] = {}
    namespaces: tuple[str, ...] = ()
    lease: LeaseName = ""
    """`namespace/name` of the Lease by which replicas find their leader; empty: this process is the only one."""
    resync_seconds: Seconds = 600.0
    """Between two full lists. Lists heal what a watch has lost, so this bounds how long a loss can last."""
    api_qps: Seconds = 500.0
    """Calls to the API server per second, in the long run. Hardly reached in good times: it is there for bad ones."""
    api_burst: Count = 1000
    """Calls that may be made at once after a quiet time."""
    max_concurrent_writes: Count = 32
    workers: Count = 32
    """Models that are reconciled at the same time."""
    health_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8081
    node_paths: tuple[str, ...] = ()
    """Folders of nodes that LlamaModels may use as a cache; none by default, for they are no business of tenants."""
    log_format: Literal["json", "text"] = "json"
    kubernetes_service_host: str = ""
    """Address of the API server, which Kubernetes tells each container."""

    @property
    def any_address(self) -> str:
        """What a server listens on to be reached at its pod's address, whose family is the one that the cluster has
        first. `::` is not for everywhere: a node may have no IPv6."""
        return "::" if ":" in self.kubernetes_service_host else "0.0.0.0"

    @property
    def namespace(self) -> str:
        """Where the operator runs, which is where its Lease is; empty without one."""
        return self.lease.partition("/")[0]


def read(env: Mapping[str, str]) -> Config:
    """Read the configuration from environment variables; an empty variable counts as absent.

    Raises `ConfigError`.
    """
    given = {name: value.strip() for name, value in env.items() if value.strip()}
    if "STAGE_IMAGE" not in given:
        raise ConfigError("STAGE_IMAGE is not set: the image of the init container that stages model files")
    fields: dict[str, Any] = {
        "server_images": _by_accelerator(given, _IMAGE_PREFIX),
        "server_builds": _builds(given),
        "namespaces": _namespaces(given.get("WATCH_NAMESPACES", "")),
    }
    fields["node_paths"] = _node_paths(given.get("NODE_PATHS", ""))
    for field in Config.__struct_fields__:
        if field not in fields and field.upper() in given:
            fields[field] = _value(field, given[field.upper()])
    return msgspec.convert(fields, Config)


def _by_accelerator(given: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix).lower(): text for name, text in given.items() if name.startswith(prefix)}


def _builds(given: Mapping[str, str]) -> dict[str, str]:
    found, known = _by_accelerator(given, _BUILD_PREFIX), table.builds()
    for accelerator, build in found.items():
        if build not in known:
            raise ConfigError(
                f"{_BUILD_PREFIX}{accelerator.upper()}: the flags of build {build!r} are not known, only those of "
                f"{', '.join(known)}; leave it out for an image of another build"
            )
    return found


def _parts(text: str) -> tuple[str, ...]:
    """What stands between commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _node_paths(text: str) -> tuple[str, ...]:
    """Folders as they are compared with the spec: absolute, below the root, without `.`, `..` or a slash too many."""
    paths = _parts(text)
    for path in paths:
        if path == "/" or not path.startswith("/") or posixpath.normpath(path) != path or path.startswith("//"):
            raise ConfigError(f"NODE_PATHS: {path!r} is not an absolute path without . or .. or a slash at its end")
        if around := next((other for other in paths if path.startswith(f"{other}/")), None):
            raise ConfigError(f"NODE_PATHS: {path!r} is in {around!r}, where each folder is a namespace's; choose one")
    return paths


def _namespaces(text: str) -> tuple[str, ...]:
    """Exact names only: kopf would take `*` and `!` as patterns, for which the operator's role has no rights."""
    names = _parts(text)
    for name in names:
        if not _NAMESPACE.fullmatch(name):
            raise ConfigError(f"WATCH_NAMESPACES: {name!r} is not the name of a namespace")
    return names


def _value(field: str, text: str) -> Any:
    """One variable as the type of its field."""
    wanted = msgspec.structs.fields(Config)[Config.__struct_fields__.index(field)].type
    try:
        return msgspec.convert(text, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{field.upper()}: {error}, got {text!r}") from error
