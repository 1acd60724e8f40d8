"""A docker-archive as buildah writes it, freed of what belongs to the building machine, or to chance.

Those are the variables that the base lends to RUN, in the image's environment and in its history, the random names of
the containers that built the layers, and the names of the images between, which are digests over these. Without them
two builds of the same layers are the same image, with the same digest.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BY_CHANCE = ("container", "container_config", "parent")
"""Of the image's config: the container that made the last layer, and a digest over such a config."""
_BUILT_UPON = re.compile(r"FROM [0-9a-f]{12}")


def plain(archive: Path, target: Path, lent: Iterable[str]) -> None:
    """Copy an archive of one image to `target`, its config rewritten; `lent` are names of variables."""
    with tarfile.open(archive) as source, tarfile.open(target, "w") as copy:
        (image,) = json.loads(_content(source, "manifest.json"))
        config = json.dumps(rewritten(json.loads(_content(source, image["Config"])), frozenset(lent))).encode()
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        for layer in dict.fromkeys(image["Layers"]):
            member = source.getmember(layer)
            copy.addfile(_entry(layer, member.size), source.extractfile(member))
        for text, content in ((name, config), ("manifest.json", json.dumps([{**image, "Config": name}]).encode())):
            copy.addfile(_entry(text, len(content)), io.BytesIO(content))


def rewritten(config: dict[str, Any], lent: frozenset[str]) -> dict[str, Any]:
    """An image's config without what is lent or random."""
    run = {key: value for key, value in config["config"].items() if key != "Hostname"}
    run["Env"] = [pair for pair in run["Env"] if pair.partition("=")[0] not in lent]
    history = [_anonymous(step) for step in config["history"] if _lends(step) not in lent]
    return {key: value for key, value in config.items() if key not in BY_CHANCE} | {"config": run, "history": history}


def _lends(step: dict[str, Any]) -> str | None:
    """The name of the variable that a step of the history sets, if that is all it does."""
    _, env, assignment = step.get("created_by", "").partition("#(nop) ENV ")
    return assignment.partition("=")[0] if env and step.get("empty_layer") else None


def _anonymous(step: dict[str, Any]) -> dict[str, Any]:
    """A step of the history without the name of the image that it was built upon."""
    return {key: value for key, value in step.items() if key != "comment" or not _BUILT_UPON.fullmatch(value)}


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    if stream is None:
        raise ValueError(f"{name} is no file in the archive")
    return stream.read()


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry
