"""Which way to a cluster: the user's own Docker and the published images, or Debian packages and Go modules."""

import enum
import os
import urllib.error
import urllib.request
from dataclasses import dataclass

from ground import shell

REGISTRY = "https://registry-1.docker.io/v2/"
REGISTRY_SECONDS = 4.0
DOCKER_SECONDS = 10.0

WAY_VARIABLE = "LLAMA_GROUND_WAY"
NODE_IMAGE_VARIABLE = "LLAMA_GROUND_NODE_IMAGE"


class Way(enum.Enum):
    """The two ways; both end in the same kind cluster."""

    DOCKER = "docker"
    PACKAGES = "packages"


@dataclass(frozen=True)
class Facts:
    """What the choice depends on."""

    forced: str | None
    docker: bool
    registry: bool
    own_node_image: bool
    root: bool


@dataclass(frozen=True)
class Choice:
    """The way and the reason, for a person to read. `obstacle` says why it cannot work, if so."""

    way: Way
    why: str
    obstacle: str | None = None


def facts() -> Facts:
    """Look: is there a Docker engine, a registry, root?"""
    docker = shell.succeeds(["docker", "info"], timeout=DOCKER_SECONDS)
    own_node_image = bool(os.environ.get(NODE_IMAGE_VARIABLE))
    return Facts(
        forced=os.environ.get(WAY_VARIABLE) or None,
        docker=docker,
        registry=docker and not own_node_image and _registry_answers(),
        own_node_image=own_node_image,
        root=os.geteuid() == 0,
    )


def choose(seen: Facts) -> Choice:
    """Docker where it works as it is, packages where not. An unknown forced way raises GroundError."""
    if seen.forced is not None:
        return _forced(seen)
    if seen.docker and seen.own_node_image:
        return Choice(Way.DOCKER, f"a Docker engine answers and {NODE_IMAGE_VARIABLE} names the node image")
    if seen.docker and seen.registry:
        return Choice(Way.DOCKER, "a Docker engine and its image registry answer")
    lack = "no Docker engine answers" if not seen.docker else "the Docker engine's image registry does not answer"
    obstacle = None if seen.root else f"{lack}, and only root can start an engine from Debian packages"
    return Choice(Way.PACKAGES, lack, obstacle)


def _forced(seen: Facts) -> Choice:
    names = [way.value for way in Way]
    if seen.forced not in names:
        raise shell.GroundError(f"{WAY_VARIABLE}={seen.forced}: the ways are {' and '.join(names)}")
    way = Way(seen.forced)
    obstacle = None
    if way is Way.DOCKER and not seen.docker:
        obstacle = "no Docker engine answers"
    if way is Way.PACKAGES and not seen.root:
        obstacle = "only root can start an engine from Debian packages"
    return Choice(way, f"{WAY_VARIABLE} says so", obstacle)


def _registry_answers() -> bool:
    try:
        with urllib.request.urlopen(REGISTRY, timeout=REGISTRY_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401  # the registry's way to say: I am here, log in
    except OSError:
        return False
