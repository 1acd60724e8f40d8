"""What the cluster has beyond kind's own: an Ingress controller and metrics."""

from pathlib import Path

import yaml

from ground import binaries, images

PUBLISHED = {
    "traefik": "docker.io/library/traefik",
    "metrics-server": "registry.k8s.io/metrics-server/metrics-server",
}
"""Where each addon's image is published; the tag is the version that the local build has too."""

HERE = Path(__file__).parent


def manifests(way: str) -> list[str]:
    """The YAML of each addon. In the way "packages" its image is one made here, in "docker" the published one."""
    return [manifest(name, image(name, way), pull=way == "docker") for name in PUBLISHED]


def image(name: str, way: str) -> str:
    """The reference of an addon's image."""
    if way == "docker":
        return f"{PUBLISHED[name]}:{binaries.version(name)}"
    return images.plain_reference(name)


def archives(way: str) -> dict[str, Path]:
    """The images to load before the manifests are applied: by reference, the docker-archive."""
    if way == "docker":
        return {}
    return {image(name, way): images.archive(name) for name in PUBLISHED}


def manifest(name: str, reference: str, *, pull: bool) -> str:
    """An addon's manifest with this image; without `pull`, a node that lacks the image says so at once."""
    documents = list(yaml.safe_load_all((HERE / f"{name}.yaml").read_text()))
    for document in documents:
        for container in _containers(document):
            container["image"] = reference
            container["imagePullPolicy"] = "IfNotPresent" if pull else "Never"
    return yaml.safe_dump_all(documents, sort_keys=False)


def _containers(document: dict[str, object]) -> list[dict[str, object]]:
    if document["kind"] != "Deployment":
        return []
    spec: dict[str, dict[str, dict[str, list[dict[str, object]]]]] = document["spec"]  # type: ignore[assignment]
    return spec["template"]["spec"]["containers"]
