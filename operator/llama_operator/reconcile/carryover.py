"""What stays as it is in the cluster although the builders, who do not look there, would have it otherwise. Pure.

Three things belong to somebody else as long as nobody asks for a change:

- The number of replicas, where a scaler (a HorizontalPodAutoscaler, KEDA) works on the Deployment itself.
- The image of stager and sidecar. It is the operator's own, so with every upgrade of the operator all pods of all
  models would be replaced. The new image comes with the next change of the pod template.
- The size of a claim that somebody has enlarged (an autoresizer, a hand in need): none can be made smaller.
"""

from __future__ import annotations

import copy
from typing import Any

from llama_operator import constants
from llama_operator.resources import quantity, sidecar, staging
from llama_operator.resources.metadata import stamped

Object = dict[str, Any]

SCALERS = frozenset({"kube-controller-manager", "keda", "keda-operator"})
"""Field managers of HorizontalPodAutoscaler and KEDA. Whoever else scales a Deployment is a person with a tool."""


def carried_over(desired: Object, observed: Object) -> Object:
    """The desired child with what the observed one of the same model keeps."""
    match desired["kind"]:
        case "Deployment":
            return _replicas(_images(desired, observed), observed)
        case "PersistentVolumeClaim":
            return _size(desired, observed)
    return desired


def _images(desired: Object, observed: Object) -> Object:
    """With the observed images of our own containers, if these alone make the pod template the observed one."""
    images = {name: container.get("image") for name, container in _own(observed).items()}
    if all(container["image"] == images.get(name) for name, container in _own(desired).items()):
        return desired
    kept = copy.deepcopy(desired)
    for name, container in _own(kept).items():
        container["image"] = images.get(name, container["image"])
    kept["spec"]["template"] = stamped(kept["spec"]["template"])
    return stamped(kept) if _version(kept) == _version(observed) else desired


def _replicas(desired: Object, observed: Object) -> Object:
    """Without a number of replicas, if a scaler has had the last word.

    The spec has it again when its number changes (the annotation tells which one was applied last) and when it is 0,
    which stops a model and its autoscaler.
    """
    asked, applied = _asked(desired), _asked(observed)
    if asked == "0" or asked != applied or not scaler(observed):
        return desired
    return {**desired, "spec": {name: value for name, value in desired["spec"].items() if name != "replicas"}}


def _size(desired: Object, observed: Object) -> Object:
    """With the observed size, if that is larger. Asked for a smaller one the API server refuses the claim for ever."""
    sizes = [claim["spec"]["resources"]["requests"]["storage"] for claim in (desired, observed)]
    if quantity.parse(sizes[0]) >= quantity.parse(sizes[1]):
        return desired
    return {**desired, "spec": {**desired["spec"], "resources": {"requests": {"storage": sizes[1]}}}}


def scaler(deployment: Object) -> str | None:
    """Which of `SCALERS` set the number of replicas, if one did: through the `scale` subresource, as they do.

    `kubectl scale` uses the same subresource, but is a hand edit and is undone like any other.
    """
    for entry in deployment["metadata"].get("managedFields", []):
        owns = "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        if owns and entry.get("subresource") == "scale" and entry.get("manager") in SCALERS:
            return str(entry["manager"])
    return None


def _own(deployment: Object) -> dict[str, Object]:
    """The containers with the operator's image, by name; without those that somebody took out."""
    pod = deployment["spec"]["template"]["spec"]
    containers = [*(pod.get("initContainers") or []), *pod["containers"]]
    names = (staging.CONTAINER_NAME, sidecar.CONTAINER_NAME)
    return {container["name"]: container for container in containers if container["name"] in names}


def _version(deployment: Object) -> str | None:
    annotations = deployment["spec"]["template"]["metadata"].get("annotations") or {}
    return annotations.get(constants.APPLIED_HASH)


def _asked(deployment: Object) -> str | None:
    annotations = deployment["metadata"].get("annotations") or {}
    return annotations.get(constants.REPLICAS)
