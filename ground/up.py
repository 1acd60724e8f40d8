"""`up` and `down`: from whatever there is to a cluster that is ready, and back to nothing."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ground import addons, choose, engine, forward, kindconfig, paths, ready, shell, store, tools
from ground.choose import Choice, Way
from ground.cluster import Cluster
from ground.node import image

RECORD = paths.STATE / "cluster.json"
LOCK = engine.CGROUP
"""One `up` or `down` of this checkout at a time."""


def up(nodes: int, *, bare: bool = False) -> None:
    """Have a cluster with this many nodes, its addons (unless `bare`) ready. Says which way it takes and why."""
    with store.lock(LOCK):
        way = _decide()
        made = tools.ensure(way)
        started = way is Way.PACKAGES and engine.start()
        if not RECORD.exists():
            ports = kindconfig.Ports.from_environment()
            RECORD.write_text(json.dumps({"way": way.value, "http": ports.http, "https": ports.https}))
        target = current()
        archives = addons.archives(way.value)
        reference = _node_image(target, made, archives)
        if started:
            target.delete()  # what an earlier engine left; its nodes do not survive a restart
        _have_nodes(target, reference, nodes)
        target.connect()
        target.have_kubectl()
        if bare:
            ready.install(target, [], {})
        else:
            ready.install(target, addons.manifests(way.value), archives)


def down() -> None:
    """Remove the cluster and, where it is ours, the engine with everything in it."""
    with store.lock(LOCK):
        if not RECORD.exists():
            shell.say("there is no cluster")
            return
        target = current()
        if target.way is Way.DOCKER or engine.pid() is not None:
            tools.ensure_kind()
            target.delete()
        if target.way is Way.PACKAGES:
            engine.stop()
            forward.stop()
        paths.KUBECONFIG.unlink(missing_ok=True)
        RECORD.unlink()


def current() -> Cluster:
    """The cluster that `up` made or is making. Raises GroundError when there is none."""
    if not RECORD.exists():
        raise shell.GroundError("there is no cluster: python -m ground up")
    record = json.loads(RECORD.read_text())
    ports = kindconfig.Ports(record["http"], record["https"])
    return Cluster(Way(record["way"]), ports, paths.BIN / "kind", paths.BIN / "kubectl")


def _decide() -> Way:
    """The way the cluster was made, as long as it stands; else the choice of this moment."""
    if RECORD.exists():
        choice = Choice(current().way, "the cluster was made this way")
    else:
        choice = choose.choose(choose.facts())
    shell.say(f"way: {choice.way.value}, because {choice.why}")
    if choice.obstacle is not None:
        raise shell.GroundError(choice.obstacle)
    paths.STATE.mkdir(exist_ok=True)
    return choice.way


def _node_image(target: Cluster, made: Mapping[str, Path], archives: Mapping[str, Path]) -> str:
    own = os.environ.get(choose.NODE_IMAGE_VARIABLE)
    if own:
        return own
    if target.way is Way.DOCKER:
        return kindconfig.NODE_IMAGE
    return image.ensure(made, archives, target.environment())


def _have_nodes(target: Cluster, reference: str, wanted: int) -> None:
    nodes = target.nodes()
    if nodes and not all(node.running for node in nodes):
        shell.say("the cluster's nodes have stopped; it is made anew")
        target.delete()
        nodes = []
    if not nodes:
        target.create(reference, wanted)
    elif len(nodes) != wanted:
        raise shell.GroundError(f"the cluster has {len(nodes)} nodes, not {wanted}: python -m ground down, then up")
    elif any(node.image != reference for node in nodes):
        shell.say("the node image has changed since the cluster was made; down and up would use the new one")
