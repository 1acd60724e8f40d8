"""What the sidecar of a server tells the kubelet and the operator, and where. Both sides of it share this module."""

from __future__ import annotations

from typing import Literal

import msgspec

PORT = 8082
START_PATH = "/startz"
"""200 once llama-server has answered a real request since it started, else 503: the startup probe."""
START_WAIT_SECONDS = 1
"""So long a 503 is held back, and a 200 comes at the moment when it is true. It is the probe's period: somebody always
waits then, and the kubelet counts as many refusals in a time as if it were told no at once."""
DRAIN_PATH = "/drain"
"""Answers when nothing is in flight any more: the preStop hook. It changes nothing, for anybody can ask."""
FACTS_PATH = "/facts"

MOST_DEVICES = 16
"""Accelerators that are told of."""

Mode = Literal["chat", "embedding", "rerank"]


class Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The one argument of the sidecar, as JSON.

    `port` and `prefix` are llama-server's, `mode` is what it is asked for first. It is ended after so many seconds
    with work to do and without progress: `waiting`, if it uses no CPU time meanwhile, or `computing`, if it does.
    `drain`: seconds that a drain may take. `key_file`: path of the file with its API keys, one a line, if it has any.
    """

    port: int
    prefix: str = ""
    mode: Mode = "chat"
    waiting: float = 40.0
    computing: float = 3600.0
    drain: float = 285.0
    key_file: str = ""


class Facts(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What llama-server says of itself, and the kernel of its process; what neither says is left out.

    `answered`: it has answered a real request since it started; `problem` tells why not, where that is known.
    `ended`: why the sidecar has ended the process before this one. `context_size`: tokens of one slot.
    `context_trained`: tokens that the model was trained with. `parameters`: values of all tensors. `bytes`: of the
    model's tensors. `build`: of the engine, as it names it. `model`: path of the file. `quantization`: how most
    tensors are stored, as the engine names it. `sha256`: of the file that is mapped, where the stager has published it.
    `devices`: paths of accelerators that are open; None if nobody could see that.
    """

    answered: bool = False
    problem: str = ""
    ended: str = ""
    build: str = ""
    model: str = ""
    context_size: int = 0
    slots: int = 0
    context_trained: int = 0
    parameters: int = 0
    bytes: int = 0
    quantization: str = ""
    sha256: str = ""
    devices: tuple[str, ...] | None = None
