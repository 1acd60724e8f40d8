"""The Job that stages ahead: a new source while the old one is served, or a model that has no servers yet."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.api.types import LlamaModel, Pod
from llama_operator.config import Config
from llama_operator.resources import pod, sources, staging, storage
from llama_operator.resources.metadata import child, digest
from llama_operator.resources.volumes import volumes

_FOREVER = 2**31 - 1
"""The Job never gives up: the kubelet's back-off goes on, as it does for an init container."""
_NAME_LENGTH = 63


def stage_job(model: LlamaModel, config: Config) -> dict[str, Any]:
    """Without accelerators, on the nodes that the servers may use, and beside one of them if there is one.

    Its name is that of the sources, so a Job for others is another Job. Raises `SpecError` as `build` does.
    """
    storage.check(model, config)
    files = sources.written(sources.of(model.spec))
    template = pod.template(
        model,
        constants.STAGER,
        pod.spec(
            _placement(model),
            restartPolicy="OnFailure",
            containers=[staging.container(model, config.stage_image, ahead=True)],
            volumes=volumes(model),
        ),
    )
    end = f"-stage-{digest([model.name, files])}"
    return child(
        model,
        api_version="batch/v1",
        kind="Job",
        name=model.name[: _NAME_LENGTH - len(end)].rstrip("-") + end,
        component=constants.STAGER,
        annotations={constants.SOURCES: files},
        spec={"backoffLimit": _FOREVER, "template": template},
    )


def _placement(model: LlamaModel) -> Pod:
    """Where a pod of the model is, for no other node may be able to mount its volume; anywhere if there is none.

    The latter because the Job's pod has the label, too, and the scheduler lets the first of a kind pass
    (k8s.io/kubernetes pkg/scheduler/framework/plugins/interpodaffinity, satisfyPodAffinity). So the template, which is
    immutable, is the same for any number of replicas. The user's own rules about other pods are for servers, and
    could forbid just this node.
    """
    ours = {
        "labelSelector": {"matchLabels": {constants.MODEL_LABEL: model.name}},
        "topologyKey": "kubernetes.io/hostname",
    }
    beside = {"requiredDuringSchedulingIgnoredDuringExecution": [ours]}
    nodes = {key: value for key, value in model.spec.pod.affinity.items() if key == "nodeAffinity"}
    affinity = {**nodes, "podAffinity": beside}
    return msgspec.structs.replace(model.spec.pod, affinity=affinity, topology_spread_constraints=())
