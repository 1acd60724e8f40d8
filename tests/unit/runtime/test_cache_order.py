"""News reaches the cache by three ways and in any order: it ends at the truth."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from llama_operator.runtime.cache import Cache
from tests.unit.runtime.cached import KEY, child, replace


class History:
    """The API server's side: one sequence of writes to a few objects, told by three messengers of different speed."""

    def __init__(self) -> None:
        self.version = 0
        self.truth: dict[str, int] = {}
        self.watch: dict[str, list[tuple[int, bool]]] = {}
        self.answers: list[tuple[str, int]] = []
        self.lists: list[tuple[dict[str, int], int]] = []

    def write(self, name: str, *, by_us: bool) -> None:
        self.version += 1
        self.truth[name] = self.version
        self.watch.setdefault(name, []).append((self.version, False))
        if by_us:
            self.answers.append((name, self.version))

    def delete(self, name: str) -> None:
        if name in self.truth:
            self.version += 1
            del self.truth[name]
            self.watch[name].append((self.version, True))

    def deliver(self, cache: Cache, chance: random.Random) -> None:
        """One message: events of one object in order, everything else in any order, as kopf and the network do."""
        names = [name for name, events in self.watch.items() if events]
        choices = ["watch"] * len(names) + ["answer"] * len(self.answers) + ["list"] * len(self.lists)
        match chance.choice(choices or ["nothing"]):
            case "watch":
                name = chance.choice(names)
                version, deleted = self.watch[name].pop(0)
                cache.observe("Service", child(version, name), deleted=deleted)
            case "answer":
                name, version = self.answers.pop(chance.randrange(len(self.answers)))
                cache.store("Service", child(version, name))
            case "list":
                items, version = self.lists.pop(0)  # one resync runs at a time
                replace(cache, "Service", [child(v, name) for name, v in items.items()], version)

    def pending(self) -> bool:
        return bool(self.answers or self.lists or any(self.watch.values()))


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "apply", "delete", "list", "deliver", "deliver"]), st.sampled_from("ab")),
    max_size=40,
)


def play(steps: list[tuple[str, str]], history: History, cache: Cache, chance: random.Random) -> None:
    for step, name in steps:
        if step == "delete":
            history.delete(name)
        elif step == "list":
            history.lists.append((dict(history.truth), history.version))
        elif step == "deliver":
            history.deliver(cache, chance)
        else:
            history.write(name, by_us=step == "apply")


def cached(cache: Cache) -> dict[str, int]:
    return {obj["metadata"]["name"]: int(obj["metadata"]["resourceVersion"]) for obj in cache.snapshot(KEY).children}


@settings(max_examples=400, deadline=None)
@given(STEPS, st.integers())
def test_in_whatever_order_news_arrives_the_cache_ends_at_the_truth(steps: list[tuple[str, str]], seed: int) -> None:
    cache, history, chance = Cache(lambda: 0.0), History(), random.Random(seed)
    play(steps, history, cache, chance)
    while history.pending():
        history.deliver(cache, chance)
    assert cached(cache) == history.truth
    assert cache.unconfirmed_since() is None


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers())
def test_one_list_heals_a_watch_that_lost_everything(steps: list[tuple[str, str]], seed: int) -> None:
    cache, history, chance = Cache(lambda: 0.0), History(), random.Random(seed)
    play(steps, history, cache, chance)
    history.watch = {name: [] for name in history.watch}
    while history.pending():
        history.deliver(cache, chance)
    history.lists.append((dict(history.truth), history.version))
    history.deliver(cache, chance)
    assert cached(cache) == history.truth
