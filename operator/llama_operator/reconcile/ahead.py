"""Stage first, then roll: what the Deployment is built from, and when a Job stages ahead of it. Pure.

Everything follows from what is there: the Deployment says what its pod template was made from (`resources.served`) and
whether anybody answers, the Job which files it stages, and whether they are complete. So a restart of the operator in
the middle of it is no special case.

    files that the Deployment serves    spec.replicas    held    Job for the spec's files    pod template
    (there is none)                     1 or more        -       none                        the spec's
    (any, or there is none)             0                -       wanted                      the spec's
    the spec's                          1 or more        -       none                        the spec's
    others                              1 or more        no      none                        the spec's
    others                              1 or more        yes     wanted, not complete yet    the one that it has
    others                              1 or more        yes     complete                    the spec's

The hold is on the whole pod template. It begins only where somebody is served, for otherwise there is nothing to
protect, and a mistake in the first source would delay its correction. It goes on as long as a Job stages, whatever the
servers do, for otherwise a node that restarts would put a bad source in a good one's place. So it can end, but not
flap: a hold makes its Job at once, and without one the spec's files are served, and there is nothing left to hold.

    the spec asks for other files, and              available replicas    a Job stages    held
    servers answer                                  1 or more             no              begins
    a rollout is under way, older pods answer       1 or more             no              begins
    no pod has ever answered, or none can           0                     no              no
    Recreate is between two pods                    0                     no              no
    an autoscaler has the Deployment at 0           (does not matter)     no              no
    servers crash, restart or are scaled to 0       (does not matter)     yes             goes on
    the files are others again                      (does not matter)     the former      goes on, with a new Job
    somebody has deleted the Job                    1 or more             no              begins anew
    somebody has deleted the Job                    0                     no              no

Not held either: a claim that one pod alone can have, and a Deployment that does not say what it was made from, or says
something that cannot be built any more. It is rolled at once. What happens after that, to a version that does not come
to answer, is told in `rollback`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_operator import constants
from llama_operator.api.types import LlamaModel, Spec, SpecError
from llama_operator.config import Config
from llama_operator.reconcile import jobs, rollback
from llama_operator.reconcile.finding import Finding
from llama_operator.reconcile.rollback import Standing
from llama_operator.resources import build, job, sources, staging
from llama_operator.resources import served as record
from llama_operator.resources.metadata import stamped

Object = dict[str, Any]


def desired(
    model: LlamaModel, config: Config, observed: Sequence[Object], cause: Finding | None = None
) -> list[Object]:
    """All children of the model, as they should be now.

    `observed`: its present ones; `cause`: why pods of the present template fail for good (`blame`). Raises `SpecError`.
    """
    children, wanted, deployment = build(model, config), record.of(model, config), _deployment(observed)
    before = rollback.standing(deployment)
    failed = rollback.failed(before.serves, cause.reason, cause.message) if cause and before.serves else None
    old = held(model, observed, rollback.stays(rollback.still(before, wanted), wanted, failed))
    stager, done = job.stage_job(model, config), stager_of(model, observed)
    waits = old is not None and not (done and jobs.complete(done))
    standing = rollback.after(before, wanted, answers=rollback.answers(deployment), cause=failed, waits=waits)
    if standing.serves and standing.serves != wanted:
        try:
            kept = build(record.put(model, standing.serves), config)
        except SpecError:
            return children  # the operator was installed anew, without a folder or flag that the old pods have
        children = _with_template(model, standing.serves, children, kept, observed)
    if standing != Standing(standing.serves):
        children = [_remembering(model, child, standing) for child in children]
    return [*children, stager] if staged_ahead(model, standing, old) else children


def feasible(
    model: LlamaModel, config: Config, observed: Sequence[Object], cause: Finding | None = None
) -> tuple[list[Object], SpecError | None]:
    """What is `desired`; of a spec that cannot be built, what is `kept`, and why."""
    try:
        return desired(model, config, observed, cause), None
    except SpecError as error:
        return kept(model, config, observed, cause), error


def kept(model: LlamaModel, config: Config, observed: Sequence[Object], cause: Finding | None = None) -> list[Object]:
    """All children of a model whose spec `desired` has refused: made from what its pods are made from, which are still
    put back, scaled and rolled back, and the Job that stages. Empty if nothing is known that could be built again."""
    deployment = _deployment(observed)
    before = rollback.standing(deployment)
    if before.serves is None:
        return []
    failed = rollback.failed(before.serves, cause.reason, cause.message) if cause else None
    answers = rollback.answers(deployment)
    standing = before if before.failed else rollback.after(before, before.serves, answers=answers, cause=failed)
    old = standing.serves or before.serves
    try:
        children = build(record.put(model, old), config)
    except SpecError:
        return []
    children = _with_template(model, old, children, children, observed)
    if standing != Standing(old):
        children = [_remembering(model, child, standing) for child in children]
    return [*children, *_jobs(observed)]


def staged_ahead(model: LlamaModel, standing: Standing, old: Spec | None) -> bool:
    """Whether a Job is to stage the spec's sources; `old` is what is `held` meanwhile."""
    if model.spec.storage is None or standing.failed:
        return False  # each pod stages for itself, beside those that serve; or nobody is going to serve them
    return model.spec.replicas == 0 or old is not None


def held(model: LlamaModel, observed: Sequence[Object], old: Spec | None) -> Spec | None:
    """What the pod template is made from (`old`), if it must stay until other files are staged beside it."""
    storage = model.spec.storage
    if storage is None or model.spec.replicas == 0:
        return None  # nothing that a Job could share, or nobody to be served
    if storage.claim and "ReadWriteOncePod" in storage.claim.access_modes:
        return None  # while a server has the volume no other pod can
    if old is None or sources.of(old) == sources.of(model.spec):
        return None
    return old if _answers(_deployment(observed)) or _staging(old, observed) else None


def stager_of(model: LlamaModel, observed: Sequence[Object]) -> Object | None:
    """The Job that stages what the spec says, if there is one."""
    wanted = sources.of(model.spec)
    return next((child for child in _jobs(observed) if jobs.staged_by(child) == wanted), None)


def _answers(deployment: Object) -> bool:
    """The status is older than the spec for a moment after somebody has scaled to 0."""
    return deployment["spec"].get("replicas") != 0 and bool(deployment.get("status", {}).get("availableReplicas"))


def _staging(old: Spec, observed: Sequence[Object]) -> bool:
    """Whether a hold has begun: for these files, or for others that the spec asked for before."""
    return any(jobs.staged_by(child) not in (None, sources.of(old)) for child in _jobs(observed))


def _with_template(
    model: LlamaModel, old: Spec, children: Sequence[Object], kept: Sequence[Object], observed: Sequence[Object]
) -> list[Object]:
    """The children with the Deployment of `kept`, and an Ingress to the path below which the servers answer.

    An Ingress that is new waits, if it has another path: for all of its host nobody has asked.
    """
    old_ones = {child["kind"]: child for child in kept}
    waits = not record.same_prefix(model, old) and not any(child["kind"] == "Ingress" for child in observed)
    return [
        old_ones[child["kind"]] if child["kind"] in ("Deployment", "Ingress") else child
        for child in children
        if not (child["kind"] == "Ingress" and waits)
    ]


def _remembering(model: LlamaModel, child: Object, standing: Standing) -> Object:
    """The Deployment with what the next reconcile has to know, and with the files that a rollback would need."""
    if child["kind"] != "Deployment":
        return child
    annotations = child["metadata"]["annotations"] | rollback.marks(standing)
    links = staging.links(record.put(model, standing.fallback)) if standing.fallback else ""
    annotations |= {constants.FILES: links} if links else {}
    return stamped(child | {"metadata": child["metadata"] | {"annotations": annotations}})


def _deployment(observed: Sequence[Object]) -> Object:
    return next((child for child in observed if child["kind"] == "Deployment"), {})


def _jobs(observed: Sequence[Object]) -> list[Object]:
    """Those that nobody has deleted."""
    return [child for child in observed if child["kind"] == "Job" and "deletionTimestamp" not in child["metadata"]]
