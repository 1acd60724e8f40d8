"""kind is told the nodes, the ports and the audit log."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ground import kindconfig


def config(nodes: int = 1) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(kindconfig.config(nodes, kindconfig.Ports(1080, 1443), Path("/p.yaml")))
    return document


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_one_control_plane_and_workers(nodes: int) -> None:
    assert [node["role"] for node in config(nodes)["nodes"]] == ["control-plane"] + ["worker"] * (nodes - 1)


def test_ports_are_on_the_loopback_only() -> None:
    document = config()
    assert document["networking"]["apiServerAddress"] == "127.0.0.1"
    assert document["nodes"][0]["extraPortMappings"] == [
        {"containerPort": 80, "hostPort": 1080, "listenAddress": "127.0.0.1"},
        {"containerPort": 443, "hostPort": 1443, "listenAddress": "127.0.0.1"},
    ]


def test_the_api_server_finds_its_audit_policy() -> None:
    document = config()
    mount = document["nodes"][0]["extraMounts"][0]
    server = yaml.safe_load(document["kubeadmConfigPatches"][0])["apiServer"]
    assert mount["hostPath"] == "/p.yaml"
    assert server["extraArgs"]["audit-policy-file"] == mount["containerPath"]
    assert any(volume["hostPath"] == mount["containerPath"] for volume in server["extraVolumes"])
    folders = [volume["mountPath"] for volume in server["extraVolumes"]]
    assert str(Path(server["extraArgs"]["audit-log-path"]).parent) in folders


def test_the_audit_policy_writes_requests_without_content() -> None:
    policy = yaml.safe_load(Path(kindconfig.__file__).with_name("audit-policy.yaml").read_text())
    assert {rule["level"] for rule in policy["rules"]} == {"None", "Metadata"}
    assert policy["rules"][-1] == {"level": "Metadata"}


def test_ports_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INGRESS_PORT", raising=False)
    monkeypatch.setenv("INGRESS_TLS_PORT", "9443")
    assert kindconfig.Ports.from_environment() == kindconfig.Ports(8080, 9443)


def test_the_api_port_is_read_from_the_kubeconfig(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump({"clusters": [{"cluster": {"server": "https://127.0.0.1:40123"}}]}))
    assert kindconfig.api_port(kubeconfig) == 40123
