from __future__ import annotations

import pytest

from llama_operator.config import ConfigError, read
from llama_operator.flags import table

STAGE = {"STAGE_IMAGE": "operator:1"}


def test_defaults_need_only_the_stage_image() -> None:
    config = read(STAGE)
    assert config.stage_image == "operator:1"
    assert config.server_images == {}
    assert config.namespaces == ()
    assert (config.resync_seconds, config.api_qps, config.workers) == (600, 500, 32)


def test_everything_can_be_set() -> None:
    config = read(
        {
            **STAGE,
            "SERVER_IMAGE_CPU": "server:1",
            "SERVER_IMAGE_CUDA": "server-cuda:1",
            "SERVER_BUILD_CPU": table.builds()[0],
            "WATCH_NAMESPACES": " team-a, team-b,,team-a",
            "RESYNC_SECONDS": "30",
            "API_QPS": "7.5",
            "API_BURST": "9",
            "MAX_CONCURRENT_WRITES": "3",
            "WORKERS": "2",
            "HEALTH_PORT": "9000",
            "NODE_PATHS": "/srv/models, /mnt/a.b",
            "LOG_FORMAT": "text",
        }
    )
    assert config.server_images == {"cpu": "server:1", "cuda": "server-cuda:1"}
    assert config.server_builds == {"cpu": table.builds()[0]}
    assert config.namespaces == ("team-a", "team-b")
    assert (config.resync_seconds, config.api_qps, config.api_burst) == (30, 7.5, 9)
    assert (config.max_concurrent_writes, config.workers, config.health_port) == (3, 2, 9000)
    assert config.node_paths == ("/srv/models", "/mnt/a.b")
    assert config.log_format == "text"


@pytest.mark.parametrize(("host", "listens"), [("", "0.0.0.0"), ("10.96.0.1", "0.0.0.0"), ("fd00:10:96::1", "::")])
def test_servers_listen_on_addresses_of_the_family_that_the_cluster_has(host: str, listens: str) -> None:
    assert read({**STAGE, "KUBERNETES_SERVICE_HOST": host}).any_address == listens


def test_empty_variables_count_as_absent() -> None:
    config = read({**STAGE, "SERVER_IMAGE_CUDA": "", "WORKERS": " ", "WATCH_NAMESPACES": ""})
    assert config.server_images == {}
    assert config.workers == 32


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({}, "STAGE_IMAGE"),
        ({**STAGE, "WORKERS": "many"}, "WORKERS.*'many'"),
        ({**STAGE, "SERVER_BUILD_CPU": "b1"}, "SERVER_BUILD_CPU.*'b1'.*" + table.builds()[0]),
        ({**STAGE, "WORKERS": "0"}, "WORKERS.*>= 1.*'0'"),
        ({**STAGE, "RESYNC_SECONDS": "-1"}, "RESYNC_SECONDS.*> 0"),
        ({**STAGE, "HEALTH_PORT": "70000"}, "HEALTH_PORT.*65535"),
        ({**STAGE, "LOG_FORMAT": "xml"}, "LOG_FORMAT.*'xml'"),
        ({**STAGE, "WATCH_NAMESPACES": "team-*"}, "WATCH_NAMESPACES.*'team-\\*'"),
        ({**STAGE, "WATCH_NAMESPACES": "!team"}, "WATCH_NAMESPACES"),
        *(
            ({**STAGE, "NODE_PATHS": f"/srv/models,{path}"}, "NODE_PATHS")
            for path in ("models", "/", "//srv", "/srv/", "/srv/../etc", "/srv/./a", "/srv", "/srv/models/a")
        ),
    ],
)
def test_errors_name_the_variable(env: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read(env)
