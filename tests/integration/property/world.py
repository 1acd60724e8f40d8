"""Plays a sequence: one namespace, one operator behind a proxy, and everything that happens to them."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

from ground import apiserver
from tests import polling
from tests.integration.engine.operator_process import Operator, eventually
from tests.integration.engine.proxy import Proxy, Sight
from tests.integration.property import judge, kubelet, steps
from tests.integration.property.audit import AuditLog
from tests.integration.property.cluster import MODEL, Cluster, child_name
from tests.integration.property.edits import EDITS, Edit
from tests.integration.property.models import STRANGERS
from tests.integration.property.steps import Sequence, Step
from tests.integration.server import Object, RefusedError

CONVERGENCE_SECONDS = 100.0
"""The longest honest way: a name that was taken is looked up again after 60 s."""
PERIOD_SECONDS = 1.5
"""Between two lists of an operator that is watched for silence."""
STOP_SECONDS = 40.0
GROUP_PATH = "/apis/llama-operator.dev/v1alpha1"


class World:
    def __init__(self, server: apiserver.Server, cluster: Cluster, proxy: Proxy, folder: Path) -> None:
        self.server = server
        self.cluster = cluster
        self.proxy = proxy
        self.counts: Counter[str] = Counter()
        """Steps by name as they were played, and what came of some."""
        self._config = proxy.kubeconfig(folder / "kubeconfig")
        self.log = folder / "operator.log"
        self._audit = AuditLog(server.audit_log)
        self._operator: Operator | None = None
        self._started_at = 0
        self._frozen = False
        self._killed: Operator | None = None
        self._unseeing = False
        self._missed = False
        self._kept: list[tuple[str, str, str, Edit]] = []
        self._resync_seconds = PERIOD_SECONDS

    def play(self, sequence: Sequence) -> None:
        """Raises AssertionError or NotQuietError when what must hold afterwards does not."""
        self._resync_seconds = sequence.resync_seconds
        self._start()
        for step in sequence.steps:
            self._replace_the_dead()
            self.counts[type(step).__name__] += 1
            self._do(step)
        self._heal()
        self._converge()
        self._be_quiet()
        log = self.log.read_text()
        # Not simply "Traceback": told to stop in its first moments, kopf leaves a task behind that asyncio tells about.
        assert "this is a bug" not in log, "the operator's log tells of a bug"
        assert "ended by an error" not in log, "the operator's log tells of its end"

    def watch_silence(self, seconds: float) -> None:
        """After `play`: so much of the API server's time without a write. Raises NotQuietError."""
        since = self._audit.end()

        def over() -> None:
            assert self._audit.seconds(since) >= seconds

        polling.eventually(over, 3 * seconds, every=1.0)
        self._audit.expect_silence(since, self.cluster.namespace)

    def end(self) -> None:
        if self._operator and self._operator.alive():
            self._operator.kill()

    # What happens

    def _do(self, step: Step) -> None:
        match step:
            case steps.Apply(name, spec):
                self._apply(name, spec)
            case steps.Delete(name, propagation):
                self.cluster.delete(MODEL, name, propagation)
            case steps.Recreate(name, spec):
                self.cluster.delete(MODEL, name)
                self._apply(name, spec)
            case steps.Scale(name, replicas):
                self.cluster.patch(f"{self.cluster.path(MODEL, name)}/scale", {"spec": {"replicas": replicas}})
            case steps.Autoscale(name, replicas):
                self.cluster.patch(f"{self.cluster.path('Deployment', name)}/scale", {"spec": {"replicas": replicas}})
            case steps.Forge(name):
                forged = {"observedGeneration": 99, "ingressURL": "http://forged", "replicas": 99, "model": None}
                self.cluster.patch(f"{self.cluster.path(MODEL, name)}/status", {"status": forged})
            case steps.Decorate(name):
                theirs = {"labels": {"theirs": "kept"}, "annotations": {"theirs": "kept"}}
                self.cluster.patch(self.cluster.path(MODEL, name), {"metadata": theirs})
            case steps.DeleteChild(name, kind):
                self.cluster.delete(kind, child_name(name, kind))
            case steps.EditChild(name, kind, edit):
                self._edit(kind, child_name(name, kind), EDITS[kind][edit])
            case steps.Occupy(name, kind):
                self._occupy(kind, child_name(name, kind))
            case _:
                self._disturb(step)

    def _disturb(self, step: Step) -> None:
        match step:
            case steps.Restart(kill):
                self._stop(kill)
                self._start()
            case steps.Down(kill):
                self._stop(kill)
            case steps.Up():
                self._start()
            case steps.Freeze():
                self._signal(signal.SIGSTOP)
            case steps.Thaw():
                self._signal(signal.SIGCONT)
            case steps.KillAtWrite(n):
                self._kill_at_write(n)
            case steps.Watches(sight, plural):
                self.proxy.look(sight, plural)
                self._unseeing |= sight is not Sight.ALL
                self._missed |= sight is Sight.DROPPED
            case steps.Cut(plural):
                self.proxy.cut(plural)
            case steps.Blind(expired):
                self.proxy.blind(expired=expired)
                self._unseeing = self._missed = True
            case steps.See():
                self._see()
            case steps.Fail(fault, count, write):
                faults = self.proxy.write_faults if write else self.proxy.read_faults
                faults.extend([fault] * count)
            case steps.RestartAPIServer(compact):
                if compact:
                    self.server.compact()
                self.server.restart(GROUP_PATH)
                self._missed = True  # after 410 nobody is told of deletions
            case steps.Let(requests):
                self.proxy.await_requests(requests, 0.5)
            case steps.Rest():
                if self._operator and not self._frozen and not self._unseeing and not self._lossy():
                    self._converge()

    def _apply(self, name: str, spec: Object) -> None:
        kind = {"apiVersion": "llama-operator.dev/v1alpha1", "kind": MODEL}
        try:
            if not self.cluster.create(MODEL, {**kind, "metadata": {"name": name}, "spec": spec}):
                self.cluster.change(MODEL, name, lambda obj: obj.update(spec=spec))
        except RefusedError as error:
            if error.code != 422:  # a rule of the CRD: storage cannot be taken away
                raise
            self.counts["edits of models that the CRD refused"] += 1

    def _edit(self, kind: str, name: str, edit: Edit) -> None:
        try:
            edited = self.cluster.change(kind, name, edit.change)
        except RefusedError as error:
            if error.code != 422:  # some edits do not go together
                raise
            self.counts["edits of children that the API server refused"] += 1
            return
        if edited and edit.stays:
            self._kept.append((kind, name, edited["metadata"]["uid"], edit))

    def _occupy(self, kind: str, name: str) -> None:
        self.cluster.create(kind, {"metadata": {"name": name}, "spec": STRANGERS[kind]})

    # The operator

    def _start(self) -> None:
        if self._operator is None:
            env = {
                "WATCH_NAMESPACES": self.cluster.namespace,
                "RESYNC_SECONDS": str(self._resync_seconds),
                "API_QPS": "500",
            }
            self._started_at = self.log.stat().st_size if self.log.exists() else 0
            self._operator = Operator(self._config, self.log, **env)

    def _stop(self, kill: bool) -> None:
        operator, self._operator = self._operator, None
        if operator is None or not operator.alive():
            return
        if self._frozen and not kill:
            operator.process.send_signal(signal.SIGCONT)
        self._frozen = False
        if kill:
            operator.kill()
        else:
            code = operator.stop(STOP_SECONDS)
            too_early = code == -signal.SIGTERM and self.log.stat().st_size == self._started_at
            # Its last write may be the one at which it was to be killed.
            killed = code == -signal.SIGKILL and self._killed is operator
            assert code == 0 or too_early or killed, f"told to stop, the operator has ended with {code}"

    def _signal(self, number: signal.Signals) -> None:
        if self._operator and self._operator.alive():
            self._operator.process.send_signal(number)
            self._frozen = number is signal.SIGSTOP

    def _kill_at_write(self, n: int) -> None:
        operator, left = self._operator, [n]

        def kill(method: str, path: str) -> None:
            left[0] -= 1
            if operator and left[0] == 0:
                self.counts["killed at a write"] += 1
                self._killed = operator
                operator.kill()

        self.proxy.on_write = kill

    def _replace_the_dead(self) -> None:
        """What a kubelet does."""
        if self._operator and not self._operator.alive():
            code = self._operator.process.returncode
            assert code == -signal.SIGKILL, f"the operator has ended by itself, with {code}"
            self._operator, self._frozen = None, False
            self._start()

    # Afterwards

    def _lossy(self) -> bool:
        """Whether the operator may have missed what only its next list will tell, and that is far away."""
        return self._missed and self._resync_seconds > PERIOD_SECONDS

    def _see(self) -> None:
        self.proxy.see()
        self._unseeing = False

    def _heal(self) -> None:
        """No more faults. What has been lost comes with a list: soon, or with the start of another operator."""
        self.proxy.on_write = lambda method, path: None
        self.proxy.write_faults.clear()
        self.proxy.read_faults.clear()
        self._see()
        self._signal(signal.SIGCONT)
        self._replace_the_dead()
        if self._lossy():
            self._stop(kill=False)
        self._start()

    def _converge(self) -> None:
        def right() -> None:
            self._replace_the_dead()
            view = judge.look(self.cluster)
            assert not kubelet.run(self.cluster, view.pods), "some pods did not run yet"
            found = judge.wrong(view) + self._vanished()
            assert not found, "\n".join(found)

        polling.eventually(right, CONVERGENCE_SECONDS)

    def _vanished(self) -> list[str]:
        """Additions of others that are gone, although the object is still the same."""
        gone = []
        for kind, name, uid, edit in self._kept:
            live = self.cluster.find(kind, name)
            if live and live["metadata"]["uid"] == uid and edit.stays and not edit.stays(live):
                gone.append(f"{kind} {name} has lost what somebody added to it: {live}")
        return gone

    def _be_quiet(self) -> None:
        """Two more lists, and not one write. One that hardly ever lists is replaced: a restart is silent, too."""
        if self._resync_seconds > PERIOD_SECONDS:
            self._stop(kill=False)
            self._resync_seconds = PERIOD_SECONDS
            self._start()
        else:
            self._await_lists(2)  # a watch may still be telling what happened long ago; the second list is of now
        assert self._operator
        self._operator.ready()

        def undisturbed() -> None:
            self._converge()
            assert self._operator
            self._operator.settle()
            since = self._audit.end()
            self._await_lists(2)
            self._audit.expect_silence(since, self.cluster.namespace)

        polling.eventually(undisturbed, CONVERGENCE_SECONDS)

    def _await_lists(self, more: int) -> None:
        """Wait until the operator has listed everything so many more times."""
        before = self._lists()

        def listed() -> None:
            self._replace_the_dead()
            assert self._lists() >= before + more

        eventually(listed)

    def _lists(self) -> int:
        assert self._operator
        return sum(" listed " in line for line in self._operator.lines())
