"""What the stager needs from around it, and how patient it is. Tests pass their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from llama_operator.stage.gauge import Gauge
from llama_operator.stage.text import say


@dataclass(frozen=True)
class Policy:
    """Patience with a source. Times in seconds, sizes in bytes."""

    attempts: int = 6
    """Tries in a row that bring nothing new. With the pauses below that is about a minute; then the kubelet takes
    over, which restarts the container with growing pauses of its own."""
    first_pause: float = 1.0
    longest_pause: float = 30.0
    longest_retry_after: float = 120.0
    """A server may ask for more; waiting longer would hide the reason from the model's status."""
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    """Longest silence of the server."""
    slow_window: float = 60.0
    slow_bytes: int = 1 << 20
    """A connection that brings less than this in one window is dropped and opened again."""
    max_redirects: int = 10
    sync_bytes: int = 64 << 20
    """After each of these the file is flushed to the disk, so the final flush is short and a lost node costs
    little."""
    chunk_bytes: int = 32 << 20
    """What one of several connections brings at a time."""
    connections: int = 8
    """At most, to one server."""
    rate_window: float = 0.5
    """So long a number of connections gets under way, and is then measured."""
    rate_rise: float = 1.2
    """Twice the connections must be faster by this factor, or their number goes back."""
    rate_enough: float = 256 << 20
    """Connections that bring as much per second each are held up by this machine, and more would not help."""
    rate_again: float = 4.0
    """After this, more connections are tried again, and after twice as long when that was in vain."""


@dataclass(frozen=True)
class Context:
    """Clock, pause and log line are injected: no test waits for real time."""

    log: Callable[[str], None] = say
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    policy: Policy = field(default_factory=Policy)
    gauge: Gauge = field(default_factory=Gauge)
