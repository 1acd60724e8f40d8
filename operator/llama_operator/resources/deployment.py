"""The Deployment: stage the files, then serve them."""

from __future__ import annotations

from typing import Any

from llama_operator import constants
from llama_operator.api.types import LlamaModel
from llama_operator.config import Config
from llama_operator.flags import table
from llama_operator.flags.check import check
from llama_operator.resources import auth, pod, served, server, sidecar, staging, storage
from llama_operator.resources.metadata import child, selector
from llama_operator.resources.volumes import volumes

STAGING_DEADLINE_SECONDS = 6 * 3600
"""Without progress for this long a Deployment counts as failed; a large download is progress that it cannot see."""


def deployment(model: LlamaModel, config: Config) -> dict[str, Any]:
    made_from = served.written(served.of(model, config))
    return child(
        model,
        api_version="apps/v1",
        kind="Deployment",
        name=model.name,
        annotations={constants.REPLICAS: str(model.spec.replicas)}
        | ({constants.SERVED: made_from} if made_from else {}),
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
    claim = model.spec.storage.claim if model.spec.storage else None
    if claim and "ReadWriteMany" not in claim.access_modes:
        return {"type": "Recreate"}  # a new pod on another node could not mount the volume
    # A second set of accelerators is seldom free: with a surge the new pod would wait for the old one for ever.
    beside = model.spec.accelerator.type == "cpu" and model.spec.rollout.surge == "Auto"
    surge, unavailable = (1, 0) if beside else (0, 1)
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def _template(model: LlamaModel, config: Config) -> dict[str, Any]:
    storage.check(model, config)
    check(model.spec.engine, _flags(model, config))
    members = {
        "terminationGracePeriodSeconds": model.spec.pod.termination_grace_period_seconds,
        "shareProcessNamespace": True,
        "initContainers": [staging.container(model, config.stage_image)],
        # llama-server first: it is the one that `kubectl logs` and `kubectl exec` take.
        "containers": [
            server.container(model, server.image(model, config), config.any_address),
            sidecar.container(model, config.stage_image),
        ],
        "volumes": [*volumes(model), *auth.volumes(model)],
    }
    return pod.template(model, constants.SERVER, pod.spec(model.spec.pod, **members))


def _flags(model: LlamaModel, config: Config) -> table.Table | None:
    """What the image's build knows; an image that the user chose is of a build that nobody knows here."""
    build = "" if model.spec.image else config.server_builds.get(model.spec.accelerator.type)
    return table.of(build) if build else None
