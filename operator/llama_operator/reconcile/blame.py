"""Whether a version on trial fails for good, by its own fault: what `rollback` returns for. Pure.

what its pods say                                              counts
the server ends, or is killed for memory                       when three runs in a row of one pod have ended
it neither ends nor answers, from the start on                 after as long as loading may take
it is up and completes no request, as its sidecar says         when all pods of it have said so for two minutes
the server's image, or a file's, cannot be pulled              after two minutes of it: a registry may be away
a container cannot be created: a Secret, a command, a mount    after two minutes of it: somebody may create it
staging fails, and trying again does not mend it               when three runs have ended
no node, no volume, quota, evicted, a silent node, a mesh      never: that is not the version's fault
the stager's own image cannot be pulled                        never: the operator brings it
another pod of the same version answers                        never
older pods fail for the same reason                            never: the version is not what makes the difference

Of a server that completes no request the sidecar asks one every ten seconds, and the operator asks the sidecar once a
minute, so that is a dozen requests and three answers. They are the only ones: it gets none of anybody else before it is
ready, so it is not overloaded, and /health has said before that it is loaded and warm. Anybody who may make pods can
say such a thing, so one pod is not believed that another one of its version does not bear out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from llama_operator.api.conditions import PERMANENT, Reason
from llama_operator.api.sidecar import Facts
from llama_operator.reconcile import containers, facts, pods, respondents, rollback, stagers, workload
from llama_operator.reconcile.finding import Finding
from llama_operator.reconcile.pods import Container
from llama_operator.resources.probes import START_SECONDS
from llama_operator.resources.server import CONTAINER_NAME as SERVER
from llama_operator.resources.staging import CONTAINER_NAME as STAGE

Object = dict[str, Any]

RUNS = 3
PATIENCE = timedelta(minutes=2)
LOADING = timedelta(seconds=START_SECONDS)
_AT_ONCE = datetime.min.replace(tzinfo=UTC)
_LOOK_UP = re.compile(r"(?: \(|; )`kubectl logs \S+ -c \S+(?: --previous)?` has (?:the whole log|what it said)\)?")
"""A rolled back pod is gone, and its log with it."""

Charge = tuple[Finding, datetime]
"""What a pod says, and from when on it counts."""
Complaints = Mapping[str, tuple[Facts, float]]
"""What servers say that complete no request, and for how many seconds, by uid of the pod."""
Since = Mapping[Container, datetime]


def blame(
    deployment: Object,
    observed: Sequence[Object],
    now: datetime,
    complaints: Complaints,
    blocked: Mapping[Container, float],
) -> tuple[Finding | None, float | None]:
    """Why the version on trial fails, and after how many seconds that may be so without any event.

    Both None where nothing is on trial. `observed`: all pods of the model; `blocked`: which containers cannot be
    started, and for how many seconds.
    """
    if rollback.standing(deployment).fallback is None:
        return None, None
    servers = [pod for pod in observed if stagers.is_server(pod)]
    current = workload.current_pods(servers, deployment)
    if any(_ready(pod) for pod in current):
        return None, None
    names = {pod["metadata"]["name"] for pod in current}
    older = [
        pod for pod in servers if pod["metadata"]["name"] not in names and "deletionTimestamp" not in pod["metadata"]
    ]
    begun = {container: now - timedelta(seconds=seconds) for container, seconds in blocked.items()}
    charges = [charge for pod in current for charge in _charges(pod, begun) if not _shared(charge[0], older)]
    due = [finding for finding, since in charges if since <= now] + _complaint(current, older, complaints)
    if due:
        return Finding(due[0].reason, _LOOK_UP.sub("", due[0].message)), None
    return None, min(((since - now).total_seconds() for _, since in charges), default=None)


def _complaint(current: Sequence[Object], older: Sequence[Object], complaints: Complaints) -> list[Finding]:
    """What the first pod says, if no pod does without its complaint. Older ones that do not answer either are not
    asked, so they may suffer the same."""
    up = respondents.servers(current)
    told = [complaints[server.pod] for server in up if server.pod in complaints]
    if not up or len(up) < min(len(current), respondents.MOST) or len(told) < len(up):
        return []
    if any(seconds < PATIENCE.total_seconds() for _, seconds in told) or (older and not any(map(_ready, older))):
        return []
    return list(facts.problems(current, {up[0].pod: told[0][0]}, {}).values())


def _charges(pod: Object, since: Since) -> Iterator[Charge]:
    if pods.failed(pod):
        return
    stage, server = _container(pod, "initContainerStatuses", STAGE), _container(pod, "containerStatuses", SERVER)
    staged = stage.get("state", {}).get("terminated", {})
    if staged.get("exitCode") == 0:
        yield from _of_server(pod, server, since)
    else:
        yield from _of_stager(pod, stage, since)


def _of_stager(pod: Object, status: Object, since: Since) -> Iterator[Charge]:
    blocked, ended = containers.blocked(status), containers.ended(status)
    if blocked and (blocked.reason != Reason.IMAGE_PULL_FAILED or containers.of_a_file(status)):
        yield blocked, since[pod["metadata"]["uid"], STAGE] + PATIENCE
    elif ended and ended.get("exitCode") != 0 and _runs(status) >= RUNS:
        found = containers.staging_failure(ended, pod["metadata"]["name"])
        if found.reason in PERMANENT:
            yield found, _AT_ONCE


def _of_server(pod: Object, status: Object, since: Since) -> Iterator[Charge]:
    name, blocked, ended = pod["metadata"]["name"], containers.blocked(status), containers.ended(status)
    running = status.get("state", {}).get("running")
    if blocked:
        yield blocked, since[pod["metadata"]["uid"], SERVER] + PATIENCE
    elif ended and _runs(status) >= RUNS:
        yield containers.crash(ended, name), _AT_ONCE
    elif ended and _silent(pod, ended) and _lasted(pod, ended) >= LOADING:
        yield _never(name), _AT_ONCE  # the kubelet has given up on it, and starts it again
    elif running and _silent(pod, running):
        yield _never(name), _time(running["startedAt"], pod) + LOADING


def _runs(status: Object) -> int:
    """How many have ended."""
    return int(status.get("restartCount", 0)) + ("running" not in status.get("state", {}))


def _silent(pod: Object, run: Object) -> bool:
    """Whether it was not Ready in this run: the condition changes when it becomes so, and when it is so no more."""
    conditions: list[Object] = pod.get("status", {}).get("conditions") or []
    ready: Object = next((c for c in conditions if c["type"] == "Ready"), {})
    started = run.get("startedAt")
    return bool(started) and _time(ready.get("lastTransitionTime"), pod) <= _time(started, pod)


def _lasted(pod: Object, run: Object) -> timedelta:
    return _time(run.get("finishedAt"), pod) - _time(run.get("startedAt"), pod)


def _never(name: str) -> Finding:
    minutes = int(LOADING.total_seconds()) // 60
    return Finding(Reason.UNRESPONSIVE, f"llama-server in pod {name} has not answered within {minutes} minutes")


def _shared(finding: Finding, older: Sequence[Object]) -> bool:
    """Whether older pods fail for the same reason."""
    told = [pods.serving(pod, (), {}) for pod in older]
    return any(other.reason == finding.reason for other in told)


def _ready(pod: Object) -> bool:
    conditions: list[Object] = pod.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _container(pod: Object, field: str, name: str) -> Object:
    return next((s for s in pod.get("status", {}).get(field) or [] if s["name"] == name), {})


def _time(written: str | None, pod: Object) -> datetime:
    """The pod's own beginning where nobody knows better."""
    return datetime.fromisoformat(written or pod["metadata"]["creationTimestamp"])
