"""The stand-in keeps the hub's contract: huggingface_hub itself downloads from it, where that is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.staging import hub as hubs
from tests.integration.staging.hub import SIGNATURE, Hub

SCRIPT = """
import json, sys
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError
endpoint, token, cache = sys.argv[1:]
def get(repo, file, revision="main", token=token):
    path = hf_hub_download(repo, file, revision=revision, endpoint=endpoint, token=token or False, cache_dir=cache)
    return open(path, "rb").read().decode("latin-1")
def name(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__
api = HfApi(endpoint, token=token)
print(json.dumps({
    "large": get("org/model", "sub dir/m.gguf"),
    "small": get("org/model", "config.json"),
    "moved": get("old/model", "config.json"),
    "branch": get("org/model", "config.json", "refs/pr/1"),
    "gated": get("org/gated", "g.gguf"),
    "anonymous": name(lambda: get("org/gated", "h.gguf", token="")),
    "forbidden": name(lambda: get("org/gated", "h.gguf", token="hf_other")),
    "unknown": name(lambda: get("org/none", "x")),
    "revision": name(lambda: get("org/model", "config.json", "v9")),
    "entry": name(lambda: get("org/model", "none.gguf")),
    "files": sorted(api.list_repo_files("org/model")),
    "sha": api.model_info("org/model").sha,
    "tree": [[f.path, f.size, f.lfs and f.lfs.sha256] for f in api.list_repo_tree("org/model", recursive=True)],
}))
"""

MODEL, CONFIG = b"GGUF" * 1000, b"{}"


@pytest.mark.skipif(importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed")
@pytest.mark.parametrize("prefix", ["", "/mirrors/hf"])
def test_the_real_client_is_content(tmp_path: Path, prefix: str) -> None:
    with hubs.running(prefix) as hub:
        hub.page = 1
        commit = hub.push("org/model", {"sub dir/m.gguf": MODEL, "config.json": CONFIG})
        hub.push("org/model", {"config.json": b"[]"}, "refs/pr/1")
        hub.moved["old/model"] = "org/model"
        hub.push("org/gated", {"g.gguf": MODEL, "h.gguf": MODEL})
        hub.repos["org/gated"].gated = True
        found = run_client(hub, tmp_path)
        digest = hub.cdn_path(MODEL).rpartition("/")[2]
    assert found == {
        "large": MODEL.decode(),
        "small": "{}",
        "moved": "{}",
        "branch": "[]",
        "gated": MODEL.decode(),
        "anonymous": "GatedRepoError",
        "forbidden": "GatedRepoError",
        "unknown": "RepositoryNotFoundError",
        "revision": "RevisionNotFoundError",
        "entry": "RemoteEntryNotFoundError",
        "files": ["config.json", "sub dir/m.gguf"],
        "sha": commit,
        "tree": [["config.json", 2, None], ["sub dir/m.gguf", 4000, digest]],
    }
    assert all("Authorization" not in one.headers for one in hub.cdn.requests())


def run_client(hub: Hub, home: Path) -> object:
    env = {**os.environ, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    words = [sys.executable, "-c", SCRIPT, hub.endpoint, hub.token, str(home / "cache")]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_large_file_is_elsewhere_and_listed_beforehand(hub: Hub) -> None:
    commit = hub.push("org/model", {"m.gguf": MODEL})
    head = httpx.head(f"{hub.endpoint}/org/model/resolve/main/m.gguf")
    assert head.status_code == 302
    assert head.headers["X-Repo-Commit"] == commit
    assert head.headers["X-Linked-Size"] == str(len(MODEL))
    assert head.headers["X-Linked-Etag"].strip('"') == hub.cdn_path(MODEL).rpartition("/")[2]
    target = urlsplit(head.headers["Location"])
    assert (target.port, target.query) == (hub.cdn.server_port, SIGNATURE)
    assert httpx.get(head.headers["Location"]).content == MODEL


def test_an_old_commit_stays(hub: Hub) -> None:
    first = hub.push("org/model", {"m.gguf": MODEL})
    second = hub.push("org/model", {"n.gguf": MODEL})
    listed = [httpx.get(f"{hub.endpoint}/api/models/org/model/revision/{at}").json() for at in (first, "main")]
    assert [(one["sha"], one["siblings"]) for one in listed] == [
        (first, [{"rfilename": "m.gguf"}]),
        (second, [{"rfilename": "n.gguf"}]),
    ]
