"""Events are counted, repeated and take turns; none of that is news."""

from __future__ import annotations

import itertools
import random

import pytest

from llama_operator.reconcile.evidence import judge
from llama_operator.reconcile.finding import Finding, steady
from tests.unit.reconcile.objects import LATER, STARTED, Object, event
from tests.unit.reconcile.test_evidence import ATTACH, NFS, POD, RUNTIME, SANDBOX, TIMED_OUT


class TestStillness:
    STORY = (
        event("FailedAttachVolume", ATTACH, first=STARTED, last=LATER),
        event("FailedMount", TIMED_OUT, first=LATER, last=LATER),
    )

    @pytest.mark.parametrize("events", list(itertools.permutations(STORY)))
    def test_the_order_of_the_list_means_nothing(self, events: tuple[Object, ...]) -> None:
        found = judge(POD, events, overdue=False)
        assert found is not None
        assert found.message.index("FailedAttachVolume") < found.message.index("FailedMount")
        assert "another node still has the volume" in found.message

    def test_who_was_heard_last_means_nothing(self) -> None:
        attach, mount = self.STORY
        again = {**attach, "deprecatedLastTimestamp": "2026-11-24T02:06:00Z", "deprecatedCount": 7}
        assert judge(POD, [attach, mount], overdue=False) == judge(POD, [again, mount], overdue=False)

    def test_another_sandbox_is_no_news(self) -> None:
        one, another = (
            judge(POD, [event("FailedCreatePodSandBox", SANDBOX.format(sandbox * 32))], overdue=False)
            for sandbox in ("ab", "0f")
        )
        assert one is not None
        assert another is not None
        assert one != another
        assert steady(another, {"reason": one.reason, "message": one.message}) == Finding(
            one.reason, one.message, quotes=True
        )

    def test_what_was_overcome_is_not_told(self) -> None:
        """An hour ago the volume could not be attached. Now the sandbox cannot be made."""
        past = event("FailedAttachVolume", ATTACH, first="2026-11-24T01:00:00Z")
        found = judge(POD, [past, event("FailedCreatePodSandBox", RUNTIME)], overdue=False)
        assert found is not None
        assert "FailedAttachVolume" not in found.message

    def test_series_of_the_new_kind_count_as_late_as_they_were_seen_last(self) -> None:
        old = event("FailedMount", NFS, first="2026-11-24T01:00:00Z", series={"lastObservedTime": f"{LATER[:-1]}.5Z"})
        found = judge(POD, [old, event("FailedCreatePodSandBox", RUNTIME)], overdue=False)
        assert found is not None
        assert "FailedMount" in found.message

    def test_a_message_stays_readable(self) -> None:
        events = [event(f"Reason{n}", f"{n} " + "word " * 999) for n in range(9)]
        random.Random(0).shuffle(events)
        found = judge(POD, events, overdue=False)
        assert found is not None
        assert len(found.message) < 1000
