"""States in which servers say themselves what they serve, or why they do not."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator.api.sidecar import Facts
from llama_operator.reconcile.status import Observed
from llama_operator.resources.files import files
from tests.unit.reconcile.case import Case
from tests.unit.reconcile.objects import (
    NAME,
    Object,
    answering,
    container,
    observed,
    running,
    serving,
    staging,
    template_hash,
)
from tests.unit.resources.models import model

UID = f"uid-{NAME}"
GOOD = Facts(
    answered=True,
    build="b11669-Debian",
    model=files(model())[0].path,
    context_size=4096,
    slots=1,
    context_trained=32768,
    parameters=7_241_732_096,
    bytes=4096,
    quantization="Q4_K - Medium",
    sha256="ab" * 32,
    devices=(),
)
GPU = {"type": "cuda", "count": 2}
BROKEN = Facts(problem="status 500: the template is broken")


def but(**other: Any) -> Facts:
    return msgspec.structs.replace(GOOD, **other)


def heard(pods: list[Object], *told: Facts | None, **given: Any) -> Observed:
    """These pods, all with an address, and what the first ones of them say."""
    for number, found in enumerate(pods):
        found["status"]["podIP"] = f"10.0.0.{number + 7}"
    seen = observed(pods, **given)
    said = {found["metadata"]["uid"]: facts for found, facts in zip(pods, told, strict=False)}
    return Observed(seen.children, seen.pods, told=said)


def up(name: str = NAME, **more: Any) -> Object:
    return answering(name=name, **more)


def loading(**more: Any) -> Object:
    return serving(container("llama-server", running()), **more)


FACTS = [
    Case("serves what was asked", heard([up()], GOOD), "Ready Staged Available Exposed"),
    Case("does not say what it serves", heard([up()], None), "Ready Staged Available Exposed"),
    Case(
        "has less context than asked",
        heard([up()], but(context_size=2048, context_trained=2048)),
        "Ready Staged Available Exposed Degraded",
        words="1 of 1 servers answer; a request may use 2048 tokens, asked for 4096: the model was trained with no",
    ),
    Case(
        "has other slots",
        heard([up()], but(slots=4)),
        "Ready Staged Available Exposed Degraded",
        words="llama-server has 4 slots, asked for 1",
    ),
    Case(
        "serves another model",
        heard([up()], but(model="/app/own.gguf", context_size=1)),
        "OtherModel Staged Available Exposed Stalled Degraded",
        words="llama-server serves /app/own.gguf",
    ),
    Case(
        "serves another file by the same name",
        heard([up()], but(sha256="cd" * 32)),
        "OtherModel Staged Available Exposed Stalled Degraded",
        words=f"llama-server serves a file with the SHA-256 {'cd' * 32}, and {'ab' * 32} was staged",
    ),
    Case(
        "has a GPU and does not use it",
        heard([up(version=template_hash(accelerator=GPU))], GOOD, accelerator=GPU),
        "Ready Staged Available Exposed Degraded",
        {"accelerator": GPU},
        words="llama-server has no accelerator open and computes on the CPU, asked for 2 nvidia.com/gpu",
    ),
    Case(
        "one of two has less context, and a third is being started",
        heard([up("tiny-a"), up("tiny-b"), loading(name="tiny-c")], GOOD, but(context_size=512), replicas=3),
        "RollingOut Staged Available Exposed Reconciling Degraded",
        {"replicas": 3},
    ),
    Case(
        "is up and completes no request",
        heard([loading()], BROKEN),
        "NoCompletion Staged NoCompletion Exposed Reconciling",
        words=f"llama-server in pod {NAME} has loaded the model, and completes no request: status 500: the template",
    ),
    Case(
        "old version answers, the new one completes no request",
        heard(
            [loading(), up("tiny-old", version="old")],
            BROKEN,
            but(slots=9),
            status={"updatedReplicas": 1, "availableReplicas": 1, "replicas": 2},
        ),
        "NoCompletion Staged Available Exposed Reconciling",
    ),
    Case(
        "stages, whatever somebody says",
        heard([staging()], but(slots=9)),
        "Staging Staging Pending Exposed Reconciling",
    ),
]
