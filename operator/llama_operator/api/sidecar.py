"""What the sidecar of a server tells the operator, and where. Both sides of it share this module."""

from __future__ import annotations

import msgspec

PORT = 8082
LIVE_PATH = "/livez"
READY_PATH = "/readyz"
DRAIN_PATH = "/drain"
FACTS_PATH = "/facts"


class Facts(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What llama-server says of itself; what it does not say is left out.

    `answered`: it has answered a real request since it started; `problem` tells why not, where that is known.
    `context_size`: tokens of one slot. `context_trained`: tokens that the model was trained with. `parameters`: values
    of all tensors. `bytes`: of the model's tensors. `build`: of the engine, as it names it. `model`: path of the file.
    """

    answered: bool = False
    problem: str = ""
    build: str = ""
    model: str = ""
    context_size: int = 0
    slots: int = 0
    context_trained: int = 0
    parameters: int = 0
    bytes: int = 0
