"""The Job that stages a model's files ahead of the pods that will serve them."""

from __future__ import annotations

from typing import Any

from llama_operator import constants
from llama_operator.api.types import LlamaModel
from llama_operator.config import Config
from llama_operator.resources import security, sources, staging
from llama_operator.resources.metadata import child, digest, labels, stamped

ATTEMPTS = 2**31 - 1
"""As patient as an init container: the kubelet tries again, with growing pauses, and the pod tells why it failed."""


def stage_job(model: LlamaModel, config: Config) -> dict[str, Any]:
    """Its name is that of the files, so a Job for other files is another Job."""
    files = sources.written(sources.of(model))
    return child(
        model,
        api_version="batch/v1",
        kind="Job",
        name=f"{model.name}-stage-{digest(files)}",
        annotations={constants.SOURCES: files},
        spec={
            "backoffLimit": ATTEMPTS,
            "template": stamped(
                {
                    "metadata": {
                        "labels": {**labels(model), constants.COMPONENT_LABEL: constants.STAGER},
                        "annotations": {constants.FILES: staging.links(model)},
                    },
                    "spec": {
                        "automountServiceAccountToken": False,
                        "enableServiceLinks": False,
                        "restartPolicy": "OnFailure",
                        "securityContext": security.POD,
                        "containers": [staging.container(model, config.stage_image)],
                        "volumes": [staging.volume(model)],
                    },
                }
            ),
        },
        component=constants.STAGER,
    )
