"""The Deployment: stage the file, then serve it."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.api.types import LlamaModel, SpecError
from llama_operator.config import Config
from llama_operator.resources import security, server, sources, staging
from llama_operator.resources.metadata import child, labels, selector, stamped

STAGING_DEADLINE_SECONDS = 6 * 3600
"""Without progress for this long a Deployment counts as failed; a large download is progress that it cannot see."""


def deployment(model: LlamaModel, config: Config) -> dict[str, Any]:
    return child(
        model,
        api_version="apps/v1",
        kind="Deployment",
        name=model.name,
        annotations={
            constants.REPLICAS: str(model.spec.replicas),
            constants.SOURCES: sources.written(sources.of(model)),
        },
        spec={
            "replicas": model.spec.replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": STAGING_DEADLINE_SECONDS,
            "selector": {"matchLabels": selector(model)},
            "strategy": _strategy(model),
            "template": _template(model, config),
        },
    )


def _strategy(model: LlamaModel) -> dict[str, Any]:
    """New pods beside the old ones where that can work, otherwise in their place."""
    storage = model.spec.storage
    if storage and storage.claim and "ReadWriteMany" not in storage.claim.access_modes:
        return {"type": "Recreate"}  # a new pod on another node could not mount the volume
    # A second set of accelerators is seldom free: with a surge the new pod would wait for the old one for ever.
    surge, unavailable = (1, 0) if model.spec.accelerator.type == "cpu" else (0, 1)
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def _template(model: LlamaModel, config: Config) -> dict[str, Any]:
    pod = model.spec.pod
    # The stamp tells pods of this version of the template from older ones (see reconcile.status).
    return stamped(
        {
            "metadata": {
                "labels": {**pod.labels, **labels(model)},
                "annotations": {**pod.annotations, constants.FILES: staging.links(model)},
            },
            "spec": _pod_spec(model, config),
        }
    )


def _pod_spec(model: LlamaModel, config: Config) -> dict[str, Any]:
    pod = model.spec.pod
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        # Variables for every Service of the namespace; some would be read as llama-server's own.
        "enableServiceLinks": False,
        "securityContext": security.POD,
        "terminationGracePeriodSeconds": 60,
        "initContainers": [staging.container(model, config.stage_image)],
        "containers": [server.container(model, _image(model, config))],
        "volumes": [staging.volume(model)],
    }
    placement = msgspec.to_builtins(pod)
    return spec | {key: value for key, value in placement.items() if key not in ("labels", "annotations")}


def _image(model: LlamaModel, config: Config) -> str:
    if model.spec.image:
        return model.spec.image
    kind = model.spec.accelerator.type
    image = config.server_images.get(kind)
    if not image:
        raise SpecError(
            "spec.image",
            f"the operator was installed without an image for accelerator type {kind}; set spec.image",
        )
    return image
