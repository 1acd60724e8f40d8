"""Put images into the cluster's nodes: a node has no registry to pull from."""

from collections.abc import Sequence
from pathlib import Path

from ground import images, paths, shell, up


def load(wanted: Sequence[str]) -> None:
    """Load images by reference or by file of a docker-archive; what all nodes have already is left alone."""
    target = up.current()
    for word in wanted:
        if not Path(word).is_file() and target.has(word):
            shell.say(f"{word} is there")
            continue
        archive = Path(word) if Path(word).is_file() else built(word)
        with shell.step(f"load {word}"):
            if archive is not None:
                target.load(archive)
            else:
                target.load_from_engine(word)


def built(reference: str) -> Path | None:
    """The archive of an image that `build` made, by its reference; None for any other image."""
    repository, _, tag = reference.rpartition(":")
    names = [name for name, recipe in images.RECIPES.items() if recipe.repository == repository]
    if not names or not tag.startswith("dev-"):
        return None
    found = sorted((paths.CACHE / "images").glob(f"{names[0]}-{tag}-*.tar"))
    return found[-1] if found else None
