"""Does the engine work, is it only busy, or does it hang? Pure: what was seen at one look, after all before it.

llama-server's /health is answered by a thread of its own and stays 200 whatever the engine does, so it proves nothing.
What does is progress: the tokens and prompts that its slots count. Without any, and with work to do, the CPU time of
the main thread, on which all computing is done, tells a long batch from a hang: the one computes, the other waits for
something that does not come. An engine that waits in a loop looks like one that computes, so it has more time.

Time is counted in looks: a pause of the whole machine, or of the sidecar, counts for one.
"""

from __future__ import annotations

from dataclasses import dataclass

LOOK_SECONDS = 5.0
"""Between two looks."""

COMPUTES_SECONDS = 0.05
"""CPU time of the main thread, since it was last seen to compute, that is no accident. An idle one, which wakes once a
second, uses a twentieth of it in a minute (measured); one that has a hundredth of a CPU, ten times as much."""

LOADING, NOBODY = 503, 0
"""What /health tells of a server that loads; and for nobody listens."""


@dataclass(frozen=True)
class Patience:
    """Seconds. `waiting`: with work to do, without progress and without CPU time; `computing`: with CPU time."""

    waiting: float
    computing: float


@dataclass(frozen=True)
class Process:
    """Process IDs are used again; with the time of its start (in the kernel's ticks since boot) it is the only one."""

    pid: int
    started: int


@dataclass(frozen=True)
class Thread:
    """The process and its main thread: seconds of CPU, and whether it waits for a disk (state D)."""

    process: Process
    seconds: float
    disk: bool = False


@dataclass(frozen=True)
class Activity:
    """What the engine says of its work: requests that it is at, and everything that it counts."""

    busy: int
    counts: tuple[float, ...]


@dataclass(frozen=True)
class Seen:
    """One look, `at` seconds of a clock. `health`: the status of /health, None without an answer. `tells`: whether the
    engine tells its activity when asked; `activity`: its answer, if one came. `thread`: None if it cannot be seen."""

    at: float
    health: int | None
    tells: bool
    activity: Activity | None
    thread: Thread | None


@dataclass(frozen=True)
class State:
    """`stuck`: seconds with work to do and without progress; `waits`: and without CPU time. `since`: CPU seconds of
    the thread when it was last seen to compute, or to have no reason to."""

    at: float
    thread: Thread | None = None
    activity: Activity | None = None
    since: float = 0.0
    waits: float = 0.0
    stuck: float = 0.0


def judge(state: State, seen: Seen) -> State:
    """The state after this look."""
    thread, activity = seen.thread, seen.activity or state.activity
    if _process(thread) != _process(state.thread) or _well(state, seen):
        return State(seen.at, thread, activity, thread.seconds if thread else 0.0)
    elapsed = min(max(seen.at - state.at, 0.0), 2 * LOOK_SECONDS)
    stuck = state.stuck + elapsed
    if thread is None:
        return State(seen.at, None, activity, stuck=stuck)
    if thread.disk or thread.seconds - state.since >= COMPUTES_SECONDS:
        return State(seen.at, thread, activity, thread.seconds, stuck=stuck)
    return State(seen.at, thread, activity, state.since, state.waits + elapsed, stuck)


def verdict(state: State, patience: Patience) -> str:
    """Why the engine hangs; empty if it does not, or nobody can know."""
    if state.thread is None:
        return ""
    if state.waits >= patience.waiting:
        return f"it had work to do, and neither got on nor used CPU time for {state.waits:.0f} s"
    if state.stuck >= patience.computing:
        return f"it used CPU time, and did not get on for {state.stuck:.0f} s"
    return ""


def _process(thread: Thread | None) -> Process | None:
    return thread.process if thread else None


def _well(state: State, seen: Seen) -> bool:
    """It got on, or has nothing to do; or that cannot be judged, because it loads, does not run, or does not tell."""
    if seen.health in (LOADING, NOBODY):
        return True
    if not seen.tells:
        return seen.health is not None
    if seen.activity is None:
        return False
    return seen.activity.busy == 0 or state.activity is None or seen.activity.counts != state.activity.counts
