"""What the status of one container says: that it cannot be started, how it ended, what the stager reported."""

from __future__ import annotations

import json
import re
from typing import Any

from llama_operator.api.conditions import STAGING_FAILURES, Reason
from llama_operator.reconcile import advice
from llama_operator.reconcile.finding import Finding
from llama_operator.resources.server import CONTAINER_NAME as SERVER
from llama_operator.resources.staging import CONTAINER_NAME as STAGE

Object = dict[str, Any]

# Reasons that the kubelet gives a waiting container: k8s.io/kubernetes pkg/kubelet/images/types.go, .../container.
_PULL_FAILURES = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONFIG_FAILURES = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_START_FAILURES = frozenset({"StartError", "ContainerCannotRun"})
"""The same as RunContainerError, once the kubelet waits before it tries again: containerd's word, and dockershim's."""

_UNSEEN = frozenset({"Unknown", "ContainerStatusUnknown"})
"""Of a container that a node had before it was started again: no fault of the container."""

_MODEL_FIELDS = {"name": str, "architecture": str, "bytes": int, "sha256": str, "revision": str}
"""Members of `status.model`. The API server drops others, so writing them would never come to rest."""

_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: (?:ErrImagePull: )?|$)')
_RPC = re.compile(r"rpc error: code = \w+ desc = ")
_TAIL = 500
"""Characters of a container's last words: with the advice after them, they fit into the note of an Event."""


def blocked(status: Object) -> Finding | None:
    """The kubelet cannot even start the container."""
    waiting = status.get("state", {}).get("waiting", {})
    reason = waiting.get("reason", "")
    if reason in _PULL_FAILURES:
        return _pull_failure(status, reason, waiting.get("message", ""))
    failed = ended(status)
    if failed and failed.get("reason") in _START_FAILURES:
        return _config_failure(status, failed.get("message") or failed["reason"])
    if reason in _CONFIG_FAILURES:
        return _config_failure(status, waiting.get("message") or reason)
    return None


def ended(status: Object) -> Object | None:
    """How the container has ended, now or the last time; None, too, if it went with its node and nobody saw how."""
    found: Object | None = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
    return None if found and found.get("reason") in _UNSEEN else found


def crash(terminated: Object, pod: str) -> Finding:
    """llama-server has ended. How often is no news: it would be a write for each time."""
    if terminated.get("reason") == "OOMKilled":
        return Finding(
            Reason.OUT_OF_MEMORY,
            f"llama-server in pod {pod} was killed for memory; raise spec.resources.limits.memory, or lower "
            "spec.engine.contextSize or spec.engine.slots",
        )
    words, code = last_words(terminated), terminated.get("exitCode", 0)
    return Finding(
        Reason.SERVER_CRASHED,
        f"llama-server in pod {pod} ended with code {code}{words}; {advice.on_crash(words, code)} "
        f"(`kubectl logs {pod} -c llama-server --previous` has the whole log)",
        quotes=True,
    )


def last_words(terminated: Object) -> str:
    """The end of the log, as `: …`, where there is one."""
    tail = str(terminated.get("message", "")).strip()[-_TAIL:]
    return f": {tail}" if tail else ""


def staging_failure(terminated: Object, pod: str) -> Finding:
    report = _report(terminated) or {}
    if report.get("reason") in STAGING_FAILURES:
        return Finding(Reason(report["reason"]), str(report.get("message", "")), quotes=True)
    return Finding(
        Reason.STAGING_FAILED,
        f"the stager in pod {pod} ended with {terminated.get('reason', 'Error')}, code {terminated.get('exitCode')}"
        f"{last_words(terminated)}; `kubectl logs {pod} -c stage --previous` has the whole log",
        quotes=True,
    )


def model(terminated: Object) -> Object | None:
    """What the stager found in the file, as far as `status.model` has a place for it."""
    report = _report(terminated) or {}
    return {key: report[key] for key, type_ in _MODEL_FIELDS.items() if isinstance(report.get(key), type_)} or None


def _pull_failure(status: Object, reason: str, message: str) -> Finding:
    """While it waits for the next attempt, the kubelet has other words for the same; before 1.32 it had no cause."""
    cause = _RPC.sub("", _BACK_OFF.sub("", message)).strip()
    known = f": {cause or reason}" if cause or reason != "ImagePullBackOff" else ""
    return Finding(
        Reason.IMAGE_PULL_FAILED,
        f"image {status.get('image')} of container {status['name']} cannot be pulled{known}; correct "
        f"{_image_of(status['name'])}, see that the node reaches its registry, or set spec.pod.imagePullSecrets",
        quotes=True,
        vague=not known,
    )


def _config_failure(status: Object, words: str) -> Finding:
    missing = re.search(r"not found$|couldn't find key", words)
    return Finding(
        Reason.CONTAINER_CONFIG_INVALID,
        f"container {status['name']} cannot be started: {_RPC.sub('', words)[-_TAIL:]}; "
        + ("create what it names, or correct the spec" if missing else f"correct {_image_of(status['name'])}"),
        quotes=True,
    )


def _image_of(container: str) -> str:
    """Where the image of a container is set."""
    return {SERVER: "spec.image", STAGE: "the chart's value `image`"}.get(container, "its image")


def _report(terminated: Object) -> Object | None:
    """The stager's termination message. It may be a log tail instead, if the stager was killed."""
    try:
        report = json.loads(terminated.get("message", ""))
    except ValueError:
        return None
    return report if isinstance(report, dict) else None
