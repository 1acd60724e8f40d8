"""What the commands are put together from."""

from pathlib import Path

import pytest

from ground import __main__ as command_line
from ground import loading, paths, ready, tools, up


@pytest.mark.parametrize(
    ("text", "version"),
    [("kind v0.30.0 go1.24.6 linux/amd64", (0, 30)), ("kind v1.2.3-alpha+abc go1.26", (1, 2)), ("nonsense", (0, 0))],
)
def test_kind_tells_its_version(text: str, version: tuple[int, int]) -> None:
    assert tools.kind_version(text) == version


def test_what_gets_ready_is_waited_for() -> None:
    manifests = [
        "kind: Namespace\nmetadata: {name: n}\n---\nkind: Deployment\nmetadata: {name: d, namespace: n}\n---\n",
        "kind: DaemonSet\nmetadata: {name: s}\n---\nkind: APIService\nmetadata: {name: v1.x}\n",
    ]
    assert list(ready.waits(manifests)) == [
        ["rollout", "status", "Deployment/d", "--namespace=n"],
        ["rollout", "status", "DaemonSet/s", "--namespace=default"],
        ["wait", "--for=condition=Available", "apiservice/v1.x"],
    ]


def test_built_images_are_found_by_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "CACHE", tmp_path)
    archive = tmp_path / "images" / "llama-server-dev-0123456789ab-01234567.tar"
    archive.parent.mkdir()
    archive.touch()
    assert loading.built("localhost/llama-server:dev-0123456789ab") == archive
    assert loading.built("localhost/llama-server-demo:dev-0123456789ab") is None
    operator = archive.with_name("operator-dev-0123456789ab-5f3c16a2.tar")
    operator.touch()
    assert loading.built("localhost/llama-operator:dev-0123456789ab") == operator
    assert loading.built("localhost/llama-server:1.0") is None


def test_without_a_cluster_its_commands_say_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(up, "RECORD", tmp_path / "cluster.json")
    assert command_line.main(["audit"]) == 1
    assert capsys.readouterr().err == "error: there is no cluster: python -m ground up\n"
    assert command_line.main(["load", "localhost/x:1"]) == 1


def test_env_prints_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["env"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"export KUBECONFIG={paths.KUBECONFIG}",
        f"export PATH={paths.BIN}:$PATH",
    ]


@pytest.mark.parametrize("nodes", ["0", "-1", "two"])
def test_a_number_of_nodes_is_a_number(nodes: str) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["up", "--nodes", nodes])
