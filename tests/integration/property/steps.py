"""What can happen to models, children, operator and API server: the words of which a sequence is made. Data only.

A step that makes no sense at its moment (editing a child that is not there) does nothing, so every list of steps can be
played, in any order and with any of them left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.integration.engine.proxy import Fault, Sight

Object = dict[str, Any]


@dataclass(frozen=True)
class Apply:
    """Create the model, or give it this spec."""

    name: str
    spec: Object


@dataclass(frozen=True)
class Delete:
    """`propagation` is Background or Foreground."""

    name: str
    propagation: str = "Background"


@dataclass(frozen=True)
class Recreate:
    """Delete the model and make it again under the same name, at once."""

    name: str
    spec: Object


@dataclass(frozen=True)
class Scale:
    """`kubectl scale llama`."""

    name: str
    replicas: int


@dataclass(frozen=True)
class Autoscale:
    """What a HorizontalPodAutoscaler does to the Deployment."""

    name: str
    replicas: int


@dataclass(frozen=True)
class Forge:
    """Somebody writes nonsense into the model's status."""

    name: str


@dataclass(frozen=True)
class Decorate:
    """Somebody puts a label and an annotation on the model; neither is the operator's business."""

    name: str


@dataclass(frozen=True)
class DeleteChild:
    name: str
    kind: str


@dataclass(frozen=True)
class EditChild:
    """`edit` is the name of a hand edit of this kind (see `edits`)."""

    name: str
    kind: str
    edit: str


@dataclass(frozen=True)
class Occupy:
    """Somebody makes an object that has the name of a child, where that is free."""

    name: str
    kind: str


@dataclass(frozen=True)
class Restart:
    """End the operator, by SIGKILL or by SIGTERM, and start another."""

    kill: bool = True


@dataclass(frozen=True)
class Down:
    """End the operator; another is started by `Up`, or at the end."""

    kill: bool = True


@dataclass(frozen=True)
class Up:
    pass


@dataclass(frozen=True)
class Freeze:
    """SIGSTOP, until `Thaw` or the end."""


@dataclass(frozen=True)
class Thaw:
    pass


@dataclass(frozen=True)
class KillAtWrite:
    """The API server does the n-th write from now, and the operator never hears of it: it is killed."""

    n: int


@dataclass(frozen=True)
class Watches:
    """What the watches of a kind (empty: all) tell from now on."""

    sight: Sight
    plural: str = ""


@dataclass(frozen=True)
class Cut:
    """The watches of a kind (empty: all) break; they may come again at once."""

    plural: str = ""


@dataclass(frozen=True)
class Blind:
    """All watches break, and none comes through until `See`. `expired`: they are told 410 then."""

    expired: bool = True


@dataclass(frozen=True)
class See:
    pass


@dataclass(frozen=True)
class Fail:
    """What happens to the next requests, writes or reads."""

    fault: Fault
    count: int = 1
    write: bool = True


@dataclass(frozen=True)
class RestartAPIServer:
    """It forgets what its watches have told; with `compact` etcd forgets it, too."""

    compact: bool = False


@dataclass(frozen=True)
class Let:
    """Let the operator make so many requests, if it has any to make."""

    requests: int


@dataclass(frozen=True)
class Rest:
    """Wait until everything is as it should be, if the operator is able to see to it."""


Step = (
    Apply
    | Delete
    | Recreate
    | Scale
    | Autoscale
    | Forge
    | Decorate
    | DeleteChild
    | EditChild
    | Occupy
    | Restart
    | Down
    | Up
    | Freeze
    | Thaw
    | KillAtWrite
    | Watches
    | Cut
    | Blind
    | See
    | Fail
    | RestartAPIServer
    | Let
    | Rest
)


@dataclass(frozen=True)
class Sequence:
    """Steps, and how often the operator lists everything meanwhile: seldom means that it lives by its watches."""

    steps: list[Step]
    resync_seconds: float = 1.5
