"""What the status of one container says: that it cannot be started, how it ended, what the stager reported."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec

from llama_operator.api.conditions import STAGING_FAILURES, Reason
from llama_operator.api.staging import Failed, Report
from llama_operator.reconcile import advice, imagevolumes
from llama_operator.reconcile.finding import Finding
from llama_operator.resources.server import CONTAINER_NAME as SERVER
from llama_operator.resources.sidecar import CONTAINER_NAME as SIDECAR
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

_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: (?:ErrImagePull: )?|$)')
_NAMED = re.compile(r'(?:pulling|unpack) image "([^"]+)"')
_RPC = re.compile(r"rpc error: code = \w+ desc = ")
_USAGE = "\n\nusage:\n"
"""What llama-server prints after a complaint about a flag (common/arg.cpp): all that the flag takes."""
_NOISE = re.compile(r"^warn: LLAMA_ARG_\w+ environment variable is set, but will be overwritten|^\[\w+ +tini ")
"""What the server image's defaults give, and its init process, in each log."""
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
            f"llama-server in pod {pod} was killed for memory; raise or set spec.resources.limits.memory, or lower "
            "spec.engine.contextSize or spec.engine.slots",
        )
    words, code = last_words(terminated), terminated.get("exitCode", 0)
    return Finding(
        Reason.SERVER_CRASHED,
        f"llama-server in pod {pod} ended with code {code}{words}; {advice.on_crash(words, code)} "
        f"(`kubectl logs {pod} -c llama-server --previous` has the whole log)",
        quotes=True,
    )


def sidecar_failure(terminated: Object, pod: str) -> Finding:
    """The sidecar has ended, which it never does by itself; a pod without it is not Ready, whatever the server does."""
    why, code = terminated.get("reason", "Error"), terminated.get("exitCode")
    return Finding(
        Reason.SIDECAR_FAILED,
        f"the sidecar in pod {pod} ended with {why}, code {code}{last_words(terminated)}; it is started again, and the "
        f"pod gets no requests meanwhile; `kubectl logs {pod} -c sidecar --previous` has the whole log",
        quotes=True,
    )


def last_words(terminated: Object) -> str:
    """The end of the log, or of what was said before the usage of a flag, as `: …`, where there is one.

    In one line, for kubectl shows but the first one of several in a column; from a beginning of a line on.
    """
    said = str(terminated.get("message", "")).partition(_USAGE)[0].splitlines()
    lines = [line.strip() for line in said if line.strip() and not _NOISE.search(line)]
    while len(lines) > 1 and len(" | ".join(lines)) > _TAIL:
        del lines[0]
    tail = " | ".join(lines)[-_TAIL:]
    return f": {tail}" if tail else ""


def staging_failure(terminated: Object, pod: str) -> Finding:
    told = failure(terminated)
    if told and told.reason in STAGING_FAILURES:
        return Finding(Reason(told.reason), told.message, quotes=True)
    return Finding(
        Reason.STAGING_FAILED,
        f"the stager in pod {pod} ended with {terminated.get('reason', 'Error')}, code {terminated.get('exitCode')}"
        f"{last_words(terminated)}; `kubectl logs {pod} -c stage --previous` has the whole log",
        quotes=True,
    )


def staged(terminated: Object) -> Finding:
    """What the stager found, as `status.files` and `status.memory` have a place for it; nothing without a report."""
    done = Finding(Reason.STAGED, "every file is verified and in place")
    try:
        report = msgspec.json.decode(terminated.get("message", ""), type=Report)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return done
    found = tuple(msgspec.to_builtins(file) for file in report.files)
    return replace(done, files=found, memory=msgspec.to_builtins(report.memory))


def _pull_failure(status: Object, reason: str, message: str) -> Finding:
    """While it waits for the next attempt, the kubelet has other words for the same; before 1.32 it had no cause."""
    cause = _RPC.sub("", _BACK_OFF.sub("", message)).strip()
    known = f": {cause or reason}" if cause or reason != "ImagePullBackOff" else ""
    mounted = of_a_file(status)
    if mounted:
        return Finding(
            Reason.IMAGE_PULL_FAILED,
            f"image {mounted}, which holds a file, cannot be pulled{known}; correct the image of the spec's oci "
            "source, see that the node reaches its registry, or set spec.pod.imagePullSecrets",
            quotes=True,
            vague=not known,
        )
    return Finding(
        Reason.IMAGE_PULL_FAILED,
        f"image {status.get('image')} of container {status['name']} cannot be pulled{known}; correct "
        f"{_image_of(status['name'])}, see that the node reaches its registry, or set spec.pod.imagePullSecrets",
        quotes=True,
        vague=not known,
    )


def of_a_file(status: Object) -> str:
    """The image that cannot be pulled, if it is one that the container mounts: the kubelet blames the container."""
    named = _NAMED.search(status.get("state", {}).get("waiting", {}).get("message", ""))
    other = named and status["name"] in (STAGE, SERVER) and _bare(named[1]) != _bare(str(status.get("image")))
    return named[1] if named and other else ""


def _config_failure(status: Object, words: str) -> Finding:
    if imagevolumes.unmounted(words):
        words = f"container {status['name']} cannot be started: {_RPC.sub('', words)[-_TAIL:]}; {imagevolumes.ADVICE}"
        return Finding(Reason.IMAGE_VOLUME_UNSUPPORTED, words, quotes=True)
    missing = re.search(r"not found$|couldn't find key", words)
    return Finding(
        Reason.CONTAINER_CONFIG_INVALID,
        f"container {status['name']} cannot be started: {_RPC.sub('', words)[-_TAIL:]}; "
        + ("create what it names, or correct the spec" if missing else f"correct {_image_of(status['name'])}"),
        quotes=True,
    )


def _bare(image: str) -> str:
    """The image without what the runtime adds to a short name."""
    name = image.removeprefix("docker.io/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def _image_of(container: str) -> str:
    """Where the image of a container is set."""
    ours = "the chart's value `image`"
    return {SERVER: "spec.image", STAGE: ours, SIDECAR: ours}.get(container, "its image")


def failure(terminated: Object) -> Failed | None:
    """The stager's termination message. It may be a log tail instead, if the stager was killed."""
    try:
        return msgspec.json.decode(terminated.get("message", ""), type=Failed)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
