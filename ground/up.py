"""`up` and `down`: from whatever there is to a cluster that is ready, and back to nothing."""

import os
from collections.abc import Mapping
from pathlib import Path

from ground import addons, choose, engine, forward, kindconfig, paths, ready, shell, store, tools
from ground.choose import Choice, Way
from ground.cluster import Cluster
from ground.node import image

WAY_FILE = paths.STATE / "way"


def up(nodes: int, *, bare: bool = False) -> None:
    """Have a cluster with this many nodes, its addons (unless `bare`) ready. Says which way it takes and why."""
    with store.lock("up"):
        choice = _decide()
        paths.STATE.mkdir(exist_ok=True)
        made = tools.ensure(choice.way)
        started = choice.way is Way.PACKAGES and engine.start()
        WAY_FILE.write_text(f"{choice.way.value}\n")
        target = current()
        reference = _node_image(target, made)
        if started:
            target.delete()  # what an earlier engine left; its nodes do not survive a restart
        ports = kindconfig.Ports.from_environment()
        _have_nodes(target, reference, nodes, ports)
        target.connect(ports)
        target.have_kubectl()
        ready.install(target, [] if bare else addons.manifests(target.way.value))


def down() -> None:
    """Remove the cluster and, where it is ours, the engine with everything in it."""
    with store.lock("up"):
        way = _recorded()
        if way is None:
            shell.say("there is no cluster")
            return
        if way is Way.DOCKER or engine.pid() is not None:
            current().delete()
        if way is Way.PACKAGES:
            engine.stop()
            forward.PID_FILE.unlink(missing_ok=True)
        paths.KUBECONFIG.unlink(missing_ok=True)
        WAY_FILE.unlink()


def current() -> Cluster:
    """The cluster that `up` made or is making. Raises GroundError when there is none."""
    way = _recorded()
    if way is None:
        raise shell.GroundError("there is no cluster: python -m ground up")
    return Cluster(way, paths.BIN / "kind", paths.BIN / "kubectl")


def _recorded() -> Way | None:
    return Way(WAY_FILE.read_text().strip()) if WAY_FILE.exists() else None


def _decide() -> Choice:
    """The recorded way as long as the cluster stands, else the choice of this moment."""
    way = _recorded()
    if way is None:
        choice = choose.choose(choose.facts())
    else:
        choice = Choice(way, "the cluster was made this way")
    shell.say(f"way: {choice.way.value}, because {choice.why}")
    if choice.obstacle is not None:
        raise shell.GroundError(choice.obstacle)
    return choice


def _node_image(target: Cluster, made: Mapping[str, Path]) -> str:
    own = os.environ.get(choose.NODE_IMAGE_VARIABLE)
    if own:
        return own
    if target.way is Way.DOCKER:
        return kindconfig.NODE_IMAGE
    return image.ensure(made, target.environment())


def _have_nodes(target: Cluster, reference: str, wanted: int, ports: kindconfig.Ports) -> None:
    nodes = target.nodes()
    if nodes and not all(node.running for node in nodes):
        shell.say("the cluster's nodes have stopped; it is made anew")
        target.delete()
        nodes = []
    if not nodes:
        target.create(reference, wanted, ports)
    elif len(nodes) != wanted:
        raise shell.GroundError(f"the cluster has {len(nodes)} nodes, not {wanted}: python -m ground down, then up")
    elif any(node.image != reference for node in nodes):
        shell.say("the node image has changed since the cluster was made; down and up would use the new one")
