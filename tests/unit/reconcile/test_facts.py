"""What servers say: whom to ask, how it gets into the status, and what stays of it when nobody says anything."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from llama_operator.api.sidecar import Facts
from llama_operator.reconcile.respondents import MOST, PAUSE_SECONDS, TROUBLE_SECONDS, Respondent, after_facts
from llama_operator.reconcile.status import Observed, asked, compute
from llama_operator.resources.files import files
from tests.unit.reconcile.case import by_type
from tests.unit.reconcile.cases_ahead import NEW, STORED, held
from tests.unit.reconcile.cases_facts import BROKEN, GOOD, UID, but, heard, loading, up
from tests.unit.reconcile.objects import (
    FILE,
    LATER,
    NAME,
    STARTED,
    Object,
    answering,
    condition,
    container,
    observed,
    running,
    serving,
    staging,
    template_hash,
    waiting,
)
from tests.unit.resources.models import model, raw

NOW, SOON = "2026-11-24T03:00:00Z", "2026-11-24T03:00:10Z"
LESS = but(context_size=512)
SERVED: Object = {
    "build": "b11669-Debian",
    "model": GOOD.model,
    "contextSize": 4096,
    "slots": 1,
    "contextTrained": 32768,
    "parameters": 7_241_732_096,
    "bytes": 4096,
    "quantization": "Q4_K - Medium",
    "sha256": "ab" * 32,
    "architecture": "llama",
}
ON_A_VOLUME = {"source": {"volume": {"claimName": "disk", "path": "a.gguf"}}}
SPLIT = {"source": {"url": {"url": "https://files.example/a-00001-of-00002.gguf"}}}


def told(seen: Observed, old: Object | None = None, generation: int = 1, **spec: Any) -> Object:
    manifest = raw(**spec) | ({"status": old} if old else {})
    manifest["metadata"]["generation"] = generation
    return compute(manifest, seen, None, NOW if old is None else SOON)


def reporting(report: str, pod: Object) -> Object:
    """The pod, whose stager has ended with these words."""
    found = copy.deepcopy(pod)
    found["status"]["initContainerStatuses"][0]["state"]["terminated"]["message"] = report
    return found


class TestWhoIsAsked:
    def servers(self, *pods: Object) -> list[Respondent]:
        return asked(raw(), observed(list(pods)))[1]

    def test_every_server_that_runs_ready_or_not(self) -> None:
        found = self.servers(up("tiny-a", podIP="10.0.0.1"), loading(name="tiny-b", podIP="10.0.0.2"))
        assert found == [
            Respondent("uid-tiny-a", "10.0.0.1", f"0 {STARTED}", ready=True),
            Respondent("uid-tiny-b", "10.0.0.2", f"0 {STARTED}", ready=False),
        ]

    def test_another_start_is_another_one_to_ask(self) -> None:
        again = serving(container("llama-server", running(LATER), restarts=1), podIP="10.0.0.1")
        assert self.servers(again)[0].start == f"1 {LATER}"

    @pytest.mark.parametrize(
        "pod",
        [
            up(),
            staging(podIP="10.0.0.1"),
            up(podIP="10.0.0.1", version="old"),
            loading(podIP="10.0.0.1") | {"status": loading(podIP="10.0.0.1")["status"] | {"phase": "Failed"}},
            serving(container("llama-server", waiting("CrashLoopBackOff")), podIP="10.0.0.1"),
        ],
        ids=["without an address", "stages", "older version", "evicted", "does not run"],
    )
    def test_nobody_else(self, pod: Object) -> None:
        assert self.servers(copy.deepcopy(pod)) == []

    def test_of_many_some(self) -> None:
        assert len(self.servers(*(up(f"tiny-{n:02}", podIP="10.0.0.1") for n in range(3 * MOST)))) == MOST

    def test_who_is_ready_and_has_said_so_is_not_asked_again(self) -> None:
        ready, starting = Respondent("a", "10.0.0.1", ready=True), Respondent("a", "10.0.0.1")
        assert after_facts(ready, GOOD) is None
        assert after_facts(starting, GOOD) == PAUSE_SECONDS
        assert after_facts(ready, Facts()) == PAUSE_SECONDS
        assert after_facts(starting, BROKEN) == TROUBLE_SECONDS
        assert after_facts(ready, Facts(answered=True)) == TROUBLE_SECONDS, "it does not say what it serves"


class TestServed:
    def test_it_is_what_the_server_says(self) -> None:
        assert told(heard([up()], GOOD))["served"] == SERVED

    def test_what_it_does_not_say_is_left_out(self) -> None:
        status = told(heard([up()], Facts(answered=True, slots=1)))
        assert status["served"] == {"slots": 1}
        assert "Degraded" not in by_type(status)
        assert "served" not in told(heard([up()], Facts(answered=True)))
        assert "served" not in told(heard([up()], None))

    def test_devices_are_told_as_the_api_server_gives_them_back(self) -> None:
        assert told(heard([up()], but(devices=("/dev/nvidia0",))))["served"]["devices"] == ["/dev/nvidia0"]

    @pytest.mark.parametrize("spec", [ON_A_VOLUME, SPLIT], ids=["in place", "in parts"])
    def test_a_digest_that_no_stager_has_given_is_not_told(self, spec: Object) -> None:
        facts = but(model=files(model(**spec))[0].path)
        status = told(heard([up(version=template_hash(**spec))], facts, **spec), **spec)
        known = {k: v for k, v in SERVED.items() if k not in ("sha256", "architecture")}
        assert status["served"] == known | {"model": facts.model}

    def test_of_another_file_no_digest_is_told(self) -> None:
        status = told(heard([up()], but(model="/models/other.gguf", sha256="cd" * 32)))
        assert "sha256" not in status["served"]
        assert "/models/other.gguf" in by_type(status)["Ready"]["message"]

    @pytest.mark.parametrize(
        ("report", "digest"),
        [("", "ab"), (json.dumps({"files": [FILE]}), "cd"), (json.dumps({"files": [FILE | {"sha256": ""}]}), "")],
        ids=["no report", "another file", "neither has a digest"],
    )
    def test_the_architecture_is_that_of_the_file_which_is_served(self, report: str, digest: str) -> None:
        """The engine does not tell it, and the stager's header is of the file that it has published."""
        status = told(heard([reporting(report, up())], but(sha256=digest * 32)))
        assert "architecture" not in status["served"]
        assert status["served"].get("sha256", "") == digest * 32

    def test_of_several_the_one_with_least(self) -> None:
        pods = [up("tiny-a"), up("tiny-b"), up("tiny-c")]
        assert told(heard(pods, GOOD, LESS, None, replicas=3), replicas=3)["served"]["contextSize"] == 512

    def test_who_is_not_ready_serves_nothing(self) -> None:
        pods = [up("tiny-a"), loading(name="tiny-b")]
        assert told(heard(pods, GOOD, LESS, replicas=2), replicas=2)["served"]["contextSize"] == 4096

    def test_it_stays_while_the_answer_is_awaited(self) -> None:
        """The operator has been restarted, or a container has."""
        status = told(heard([up()], LESS))
        assert told(heard([up()]), status) == status
        pods = [up("tiny-a"), up("tiny-b")]
        status = told(heard(pods, GOOD, LESS, replicas=2), replicas=2)
        assert told(heard(pods, GOOD, replicas=2), status, replicas=2) == status

    def test_it_goes_when_no_answer_comes(self) -> None:
        status = told(heard([up()], None), told(heard([up()], LESS)))
        assert "served" not in status
        assert "Degraded" not in by_type(status)

    def test_it_goes_when_nobody_serves(self) -> None:
        status = told(heard([loading()], LESS), told(heard([up()], LESS)))
        assert "served" not in status
        assert "Degraded" not in by_type(status)

    def test_while_a_rollout_is_under_way_the_older_servers_are_told_of_but_not_judged(self) -> None:
        spec = {"engine": {"contextSize": 512}}
        pods = [loading(version=template_hash(**spec)), up("tiny-old")]
        rollout = {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 2}
        status = told(heard(pods, status=rollout, **spec), told(heard([up()], LESS)), generation=2, **spec)
        assert status["served"]["contextSize"] == 512
        assert "Degraded" not in by_type(status)


class TestDegraded:
    def reason(self, facts: Facts, **spec: Any) -> str:
        pod = up(version=template_hash(**spec))
        return str(by_type(told(heard([pod], facts, **spec), **spec)).get("Degraded", {}).get("reason", ""))

    def test_reasons(self) -> None:
        assert self.reason(GOOD) == ""
        assert self.reason(but(context_size=4095)) == "ContextSmaller"
        assert self.reason(but(context_size=8192)) == ""
        assert self.reason(but(slots=2)) == "SlotsDiffer"
        assert self.reason(but(slots=2, context_size=2048)) == "SlotsDiffer"
        assert self.reason(but(slots=2), engine={"slots": 2}) == ""
        assert self.reason(but(model="/models/other.gguf", slots=2)) == "OtherModel"

    def test_a_file_is_held_against_what_was_staged_for_its_own_pod(self) -> None:
        """They may differ: then the source has changed, which Staged tells."""
        newer = json.dumps({"files": [{"role": "model", "bytes": 9, "sha256": "cd" * 32}]})
        pods = [up("tiny-a"), reporting(newer, up("tiny-b"))]
        for second, reason in (("cd" * 32, None), ("ab" * 32, "OtherModel")):
            found = by_type(told(heard(pods, GOOD, but(sha256=second), replicas=2), replicas=2))
            assert found.get("Degraded", {}).get("reason") == reason
            assert found["Staged"]["reason"] == "FilesDiffer"

    def test_a_stager_that_told_no_digest_has_no_say(self) -> None:
        assert "Degraded" not in by_type(told(heard([reporting("", up())], but(sha256="cd" * 32))))

    def test_an_accelerator(self) -> None:
        spec = {"accelerator": {"type": "cuda"}}
        assert self.reason(GOOD, **spec) == "AcceleratorUnused"
        assert self.reason(but(slots=9), **spec) == "AcceleratorUnused", "all is slow: that comes before what is less"
        assert self.reason(but(devices=("/dev/nvidia0",)), **spec) == ""
        assert self.reason(but(devices=None), **spec) == "", "nobody could see it"

    def test_context_is_that_of_one_request(self) -> None:
        assert (
            self.reason(but(context_size=2048, slots=4), engine={"contextSize": 8192, "slots": 4}) == "ContextSmaller"
        )
        assert self.reason(but(context_size=8192, slots=4), engine={"contextSize": 8192, "slots": 4}) == ""

    def test_the_advice_fits_the_cause(self) -> None:
        trained = told(heard([up()], but(context_size=512, context_trained=512)))
        other = told(heard([up()], LESS))
        assert "set spec.engine.contextSize to 512" in by_type(trained)["Degraded"]["message"]
        assert "see what spec.image and spec.engine make of --ctx-size" in by_type(other)["Degraded"]["message"]

    def test_a_column_shows_it(self) -> None:
        assert told(heard([up()], LESS))["state"] == "Degraded: ContextSmaller"
        assert told(heard([up()], but(model="/a.gguf")))["state"] == "Stalled: OtherModel"
        assert told(heard([up()], GOOD))["state"] == "Ready"

    def test_servers_that_are_kept_meanwhile_are_held_against_their_own_spec(self) -> None:
        """A Job stages another source; the spec asks for another context already."""
        spec = NEW | {"engine": {"contextSize": 512}}
        seen = held(server=answering(version=template_hash(**STORED), podIP="10.0.0.7"))
        path = files(model(**STORED))[0].path
        for context, reason in ((4096, ""), (512, "ContextSmaller")):
            said = Observed(seen.children, seen.pods, told={UID: but(model=path, context_size=context)})
            assert by_type(told(said, **spec)).get("Degraded", {}).get("reason", "") == reason

    def test_a_forged_condition_is_not_believed(self) -> None:
        status = told(heard([up()], LESS))
        for c in status["conditions"]:
            if c["type"] == "Degraded":
                c["reason"] = "Whatever"
        assert "Degraded" not in by_type(told(heard([up()]), status))


class TestNoCompletion:
    def test_it_is_not_forgotten_with_the_process(self) -> None:
        status = told(heard([loading()], BROKEN))
        assert told(heard([loading()]), status) == status

    def test_it_is_about_one_pod(self) -> None:
        status = told(heard([loading()], BROKEN))
        assert by_type(told(heard([loading(name=f"{NAME}z")]), status))["Available"]["reason"] == "Starting"

    def test_it_goes_when_the_server_says_other_things(self) -> None:
        status = told(heard([loading()], BROKEN))
        assert by_type(told(heard([loading()], Facts()), status))["Available"]["reason"] == "Starting"

    def test_other_numbers_are_no_news(self) -> None:
        status = told(heard([loading()], Facts(problem="no answer within 10 s")))
        assert told(heard([loading()], Facts(problem="no answer within 11 s")), status) == status

    def test_a_crash_before_is_not_the_trouble_now(self) -> None:
        ended = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": STARTED}}
        pod = serving(container("llama-server", running(LATER), ended, 1))
        assert by_type(told(heard([pod], BROKEN)))["Ready"]["reason"] == "NoCompletion"

    def test_a_server_that_was_ready_once_has_a_reason_now(self) -> None:
        pod = serving(container("llama-server", running()), ready=condition("Ready", False, since=LATER))
        assert by_type(told(heard([pod], BROKEN)))["Ready"]["reason"] == "NoCompletion"
        assert by_type(told(heard([pod], Facts())))["Ready"]["reason"] == "Unresponsive"

    def test_known_words_have_their_advice(self) -> None:
        status = told(heard([loading()], Facts(problem="status 500: failed to allocate compute buffers")))
        assert "lower spec.engine.contextSize" in by_type(status)["Ready"]["message"]
