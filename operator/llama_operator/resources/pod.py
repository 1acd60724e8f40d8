"""What all pods have in common: how they are locked down, where they run, and what they say of themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.api.types import LlamaModel, Pod
from llama_operator.resources import security, staging
from llama_operator.resources.metadata import labels, stamped

Object = dict[str, Any]

_NOT_PLACEMENT = frozenset({"labels", "annotations", "terminationGracePeriodSeconds"})
"""The last is llama-server's: no other pod has anything to finish."""


def template(model: LlamaModel, component: str, spec: Object) -> Object:
    """A pod template of the model, decorated as the user wants it."""
    pod, names = model.spec.pod, staging.links(model)
    annotations = dict(pod.annotations) | ({constants.FILES: names} if names else {})
    # The stamp tells pods of this version of the template from older ones (see reconcile.status).
    return stamped(
        {"metadata": {"labels": {**pod.labels, **labels(model, component)}, "annotations": annotations}, "spec": spec}
    )


def spec(placement: Pod, **members: Any) -> Object:
    """A PodSpec with these members, placed as the user wants it."""
    placed = msgspec.to_builtins(placement)
    return {
        "automountServiceAccountToken": False,
        # Variables for every Service of the namespace; some would be read as llama-server's own.
        "enableServiceLinks": False,
        "securityContext": security.POD,
        **members,
        **{key: value for key, value in placed.items() if key not in _NOT_PLACEMENT},
    }
