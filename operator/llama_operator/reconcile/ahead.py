"""Stage first, then roll: which sources the Deployment is built with, and when a Job stages ahead of it. Pure.

Everything follows from what is there: the Deployment says which sources its template serves, the Job which ones it
stages, and whether it is complete. So a restart of the operator in the middle of it is no special case.

    what the Deployment serves    replicas     Job for the spec's sources    Deployment's sources
    (there is none)               1 or more    none                          the spec's
    (there is none)               0            wanted                        the spec's
    the spec's                    1 or more    none                          the spec's
    the spec's, or none run       0            wanted                        the spec's
    others                        1 or more    wanted, not complete yet      those that it has
    others                        1 or more    complete                      the spec's
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_operator import constants
from llama_operator.api.types import LlamaModel
from llama_operator.config import Config
from llama_operator.reconcile import jobs
from llama_operator.resources import build, job, sources
from llama_operator.resources.sources import Sources

Object = dict[str, Any]


def desired(model: LlamaModel, config: Config, observed: Sequence[Object]) -> list[Object]:
    """All children of the model, as they should be now. `observed`: its present ones. Raises `SpecError`."""
    children = build(model, config)
    deployment = _deployment(observed)
    if not staged_ahead(model, deployment):
        return children
    stager, old = job.stage_job(model, config), held(model, deployment)
    done = stager_of(model, observed)
    if old is not None and not (done and jobs.complete(done)):
        # With what it serves, and all else of the spec: other changes go through in the meantime.
        kept = {child["kind"]: child for child in build(sources.put(model, old), config)}
        children = [kept["Deployment"] if child["kind"] == "Deployment" else child for child in children]
    return [*children, stager]


def staged_ahead(model: LlamaModel, deployment: Object) -> bool:
    """Whether a Job is to stage the spec's sources. `deployment` is empty if there is none."""
    storage = model.spec.storage
    if storage is None:
        return False  # nothing to share: each pod stages for itself, beside those that serve
    return model.spec.replicas == 0 or held(model, deployment) is not None


def held(model: LlamaModel, deployment: Object) -> Sources | None:
    """What the running pods serve, if that is not what the spec says and a Job can stage beside them."""
    storage, old = model.spec.storage, served(deployment)
    if storage is None or old is None or old.same(sources.of(model)):
        return None
    if model.spec.replicas == 0 or deployment["spec"].get("replicas") == 0:
        return None  # nobody is served
    if storage.claim and "ReadWriteOncePod" in storage.claim.access_modes:
        return None  # while a server has the volume no other pod can
    return old


def served(deployment: Object) -> Sources | None:
    """What the Deployment's template serves; None if there is no Deployment, or it does not say."""
    return sources.read((deployment.get("metadata", {}).get("annotations") or {}).get(constants.SOURCES, ""))


def stager_of(model: LlamaModel, observed: Sequence[Object]) -> Object | None:
    """The Job that stages what the spec says, if there is one."""
    wanted = sources.of(model)
    for child in observed:
        if child["kind"] == "Job" and "deletionTimestamp" not in child["metadata"]:
            found = jobs.staged_by(child)
            if found and found.same(wanted):
                return child
    return None


def _deployment(observed: Sequence[Object]) -> Object:
    return next((child for child in observed if child["kind"] == "Deployment"), {})
