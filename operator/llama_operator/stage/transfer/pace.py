"""How many connections: doubled as long as that makes the whole measurably faster, and less where a server minds."""

from __future__ import annotations

from llama_operator.stage.context import Context


class Pace:
    """Starts with one. Each number gets a window to get going and one in which its rate is measured."""

    def __init__(self, context: Context) -> None:
        self._policy, self._clock = context.policy, context.monotonic
        self._most = context.policy.connections
        self.wanted = 1
        self._before: tuple[int, float] | None = None
        """The number that was tried before this one, and its rate."""
        self._measured_from: tuple[int, float] | None = None
        self._until = self._clock() + self._policy.rate_window
        self._patience = self._policy.rate_again

    def look(self, present: int) -> int:
        """`present`: bytes so far. Returns the number of connections that there should be."""
        now = self._clock()
        if now < self._until:
            return self.wanted
        if self._measured_from is None:
            self._measured_from = present, now
            self._until = now + self._policy.rate_window
            return self.wanted
        bytes_then, then = self._measured_from
        self._judge((present - bytes_then) / max(now - then, 1e-9))
        return self.wanted

    def refused(self) -> None:
        """The server gave one connection nothing: that many are too many for it."""
        self._most = self.wanted = max(1, self.wanted - 1)
        self._rest(self._policy.rate_window)

    def _judge(self, rate: float) -> None:
        if self._before is not None and rate < self._before[1] * self._policy.rate_rise:
            self.wanted = self._before[0]
            self._rest(self._patience)
            self._patience *= 2
        elif self.wanted < self._most and rate < self.wanted * self._policy.rate_enough:
            self._rest(self._policy.rate_window)
            self._before = self.wanted, rate
            self.wanted = min(2 * self.wanted, self._most)
        else:
            self._rest(self._patience)

    def _rest(self, seconds: float) -> None:
        self._before = self._measured_from = None
        self._until = self._clock() + seconds
