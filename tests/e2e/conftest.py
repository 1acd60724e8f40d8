"""The real cluster, the operator installed by its chart, a file server, and models that are cleaned up.

Everything lives in namespaces that enforce PodSecurity `restricted`; a name of its own for each run lets the tests run
again and again on one cluster.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo import cluster, files
from ground.paths import KUBECONFIG, STATE
from tests.e2e import model_files, operator_pods
from tests.e2e.file_server import SERVER as SERVER
from tests.e2e.file_server import FileServer as FileServer
from tests.e2e.routes import ThroughIngress, ThroughService
from tests.e2e.witness import MODEL_LABEL, Model, Witness, eventually

CDN = "cdn"
MEASUREMENTS = pytest.StashKey[dict[str, Any]]()
HOST_DOMAIN = "localhost"
NODE_PATH = "/var/lib/llama-models"
VALUES = {"nodePaths": f"{{{NODE_PATH}}}"}
"""Values of the chart with which the operator is installed."""
GRACE_SECONDS = 300
"""What a server may take to end (spec.pod.terminationGracePeriodSeconds), if it does not answer when it is asked to."""


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The cluster is up and has the images; their references."""
    try:
        cluster.ground("up")
        built = cluster.build("operator", "llama-server")
        cluster.ground("load", *built.values())
    except cluster.StepError as error:
        pytest.fail(f"{error}\n{error.hint}", pytrace=False)
    return built


@pytest.fixture(scope="session")
def witness(images: dict[str, str]) -> Iterator[Witness]:
    """The operator is installed and running; whatever the tests did to it, its log has no traceback in the end."""
    try:
        cluster.install(images, values=VALUES)
    except cluster.StepError as error:
        pytest.fail(f"{error}\n{error.hint}", pytrace=False)
    witness = Witness(KUBECONFIG)
    yield witness
    for pod in operator_pods.by_uid(witness).values():
        assert "raceback" not in witness.log(pod, cluster.OPERATOR_NAMESPACE), f"see the log of {pod}"


@pytest.fixture(scope="session")
def namespace(witness: Witness) -> Iterator[str]:
    name = f"e2e-{secrets.token_hex(3)}"
    witness.apply(cluster.namespace(name, cluster.RESTRICTED))
    yield name

    def left(selector: str = "") -> list[str]:
        return [pod["metadata"]["name"] for pod in witness.all("Pod", name, selector)]

    def drained() -> None:
        assert not (servers := left(MODEL_LABEL)), f"still there: {servers}"

    # Kubernetes looks at a namespace with a pod in it again only after half of the pod's grace period.
    eventually(drained, timeout=GRACE_SECONDS + 60)
    witness.delete("Namespace", name)

    def gone() -> None:
        assert witness.get("Namespace", name) is None, f"the namespace is still there, and in it the pods {left()}"

    eventually(gone, timeout=GRACE_SECONDS + 60)


@pytest.fixture(scope="session")
def files_in_cluster(
    witness: Witness, namespace: str, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> FileServer:
    content = model_files.make(tmp_path_factory.mktemp("models"))
    server = FileServer(witness, namespace, content)
    script = Path(__file__).with_name("serve.py").read_bytes()
    command = ["python", f"{files.FOLDER}/serve.py", f"http://{CDN}.{namespace}.svc:{files.PORT}"]
    objects = files.manifests(SERVER, namespace, images["operator"], content | {"serve.py": script}, command)
    second = json.loads(json.dumps(objects[-1]))
    second["metadata"]["name"] = CDN  # another host name for the same pod
    cluster.apply([*objects, second])
    cluster.kubectl("rollout", "status", f"deployment/{SERVER}", "-n", namespace, "--timeout=120s")
    return server


@pytest.fixture
def new_model(witness: Witness, namespace: str) -> Iterator[Callable[[str], Model]]:
    """Makes handles of models; what was applied through them is deleted after the test."""
    made: list[Model] = []

    def make(name: str) -> Model:
        made.append(Model(witness, namespace, name))
        return made[-1]

    yield make
    for model in made:
        model.delete()


@pytest.fixture(scope="session")
def served(witness: Witness, files_in_cluster: FileServer) -> Iterator[Model]:
    """A model with an Ingress that is Ready, for tests that only talk to it."""
    model = Model(witness, files_in_cluster.namespace, "served")
    host = f"served-{model.namespace}.{HOST_DOMAIN}"
    model.apply(source=files_in_cluster.source(), engine={"slots": 2, "contextSize": 512}, ingress={"host": host})
    model.ready()
    yield model
    model.delete()


@pytest.fixture(scope="session")
def routes(served: Model, files_in_cluster: FileServer) -> dict[str, ThroughService | ThroughIngress]:
    """Both ways to the served model, at the addresses that its status tells."""
    return both_routes(served, files_in_cluster)


def both_routes(model: Model, server: FileServer) -> dict[str, ThroughService | ThroughIngress]:
    status = model.read()["status"]
    return {
        "service": ThroughService(status["url"], server.namespace, server.pod()),
        "ingress": ThroughIngress(status["ingressURL"]),
    }


@pytest.fixture(scope="session")
def measurements(pytestconfig: pytest.Config) -> dict[str, Any]:
    """What is measured on the way: printed at the end of the run, and kept in .ground/measurements.json."""
    return pytestconfig.stash.setdefault(MEASUREMENTS, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    measured = config.stash.get(MEASUREMENTS, {})
    if not measured:
        return
    target = STATE / "measurements.json"
    target.write_text(json.dumps(measured, indent=2) + "\n")
    terminalreporter.section(f"measured (kept in {target.relative_to(STATE.parent)})")
    for name, value in measured.items():
        terminalreporter.write_line(f"{name.replace('_', ' ')}: {value}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failed test shows what the cluster looked like at that moment."""
    report: Any = yield
    where = getattr(item, "funcargs", {}).get("namespace")
    if report.failed and report.when == "call" and where:
        commands = (
            ("get", "llama,pods,deployments,services,ingresses,pvc", "-o", "wide", "-n", where),
            ("get", "events", "--sort-by=.lastTimestamp", "-n", where),
            ("logs", "-l", operator_pods.LABELS, "--prefix", "--tail=40", "-n", cluster.OPERATOR_NAMESPACE),
        )
        for command in commands:
            report.sections.append((f"kubectl {' '.join(command)}", _said(command)))
    return report  # type: ignore[no-any-return]


def _said(command: tuple[str, ...]) -> str:
    try:
        return "\n".join(cluster.kubectl(*command, timeout=30).splitlines()[-40:])
    except cluster.StepError as error:
        return str(error)
