"""The project's own images, built here under a tag that names their content."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ground import bases, binaries, buildah, context, paths, shell, store
from ground.node import layers


@dataclass(frozen=True)
class Recipe:
    """How one image is built; the paths are relative to the repository's root."""

    repository: str
    dockerfile: str
    context: str
    target: str | None = None


RECIPES = {
    "operator": Recipe("localhost/llama-operator", "images/operator/Dockerfile", "."),
    "llama-server": Recipe("localhost/llama-server", "images/llama-server/Dockerfile", "images/llama-server"),
    "llama-server-demo": Recipe(
        "localhost/llama-server-demo", "images/llama-server/Dockerfile", "images/llama-server", "demo"
    ),
    "llama-server-cuda": Recipe(
        "localhost/llama-server-cuda", "images/llama-server/Dockerfile", "images/llama-server", "cuda"
    ),
}


def build(name: str, arguments: Sequence[str] = ()) -> tuple[str, Path]:
    """Build an image, unless it is there: its reference and its docker-archive.

    `arguments` are NAME=VALUE for the Dockerfile's ARGs. The tag is `dev-` and 12 hex digits of the SHA-256 of all
    that the build is given, so a changed image always has another name. Raises GroundError for a name that is not in
    RECIPES, CommandError when the build fails.
    """
    if name not in RECIPES:
        raise shell.GroundError(f"no image {name!r}; there are {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    dockerfile = paths.REPO / recipe.dockerfile
    with store.scratch("context") as folder:
        context.lay_out(paths.REPO / recipe.context, _rules(dockerfile, paths.REPO / recipe.context), folder)
        tag = f"dev-{paths.content_key(folder, dockerfile, extra=[recipe.target or '', *arguments])[:12]}"
        ref = f"{recipe.repository}:{tag}"
        archive = paths.CACHE / "images" / f"{name}-{tag}-{bases.key()[:8]}.tar"
        # Targets of one Dockerfile share stages: built at the same time, both would compile the same.
        with store.lock(f"image-{dockerfile.parent.name}"):
            if not archive.exists():
                _build(name, ref, folder, dockerfile, arguments, archive)
    store.forget_old(archive.parent, f"{name}-dev-*.tar")
    return ref, archive


def plain_reference(name: str) -> str:
    """The reference of the image that holds one program of ground.binaries; the tag names its content."""
    key = paths.content_key(Path(layers.__file__), extra=[binaries.target(name).parent.name])
    return f"localhost/ground-{name}:{key[:12]}"


def archive(name: str) -> Path:
    """The docker-archive of an image with one program and nothing else, built if need be. Deterministic."""
    reference = plain_reference(name)
    target = paths.CACHE / "images" / f"{reference.removeprefix('localhost/').replace(':', '-')}.tar"
    with store.lock(f"image-{name}"):
        if not target.exists():
            program = binaries.ensure(name)[name]
            with store.publish(target) as partial:
                layer = partial.with_name("layer.tar")
                layers.write_layer(layers.Layer(files={f"/{name}": program}), layer)
                whole = layers.Image(reference, [name], [f"/{name}"])
                layers.write_images([whole], {name: layer}, partial)
    store.forget_old(target.parent, f"ground-{name}-*.tar")
    return target


def _build(name: str, ref: str, folder: Path, dockerfile: Path, arguments: Sequence[str], archive: Path) -> None:
    log = paths.LOGS / f"image-{name}.log"
    words = [f"--build-arg={argument}" for argument in arguments]
    words += [f"--target={target}"] if (target := RECIPES[name].target) else []
    with shell.step(f"build {ref}"), store.publish(archive) as partial:
        if _docker_has_base():
            _docker_build(ref, folder, dockerfile, words, partial, log)
        else:
            buildah.build(ref, folder, dockerfile, words, partial, log)


def _docker_has_base() -> bool:
    """Whether a Docker engine answers that has the base image or gets it from a registry."""
    if not shell.succeeds(["docker", "version"], timeout=10):
        return False
    have = shell.succeeds(["docker", "image", "inspect", bases.REF], timeout=10)
    return have or shell.succeeds(["docker", "pull", "--quiet", bases.REF], timeout=120)


def _docker_build(ref: str, folder: Path, dockerfile: Path, words: Sequence[str], archive: Path, log: Path) -> None:
    shell.run(["docker", "build", "--file", dockerfile, "--tag", ref, *words, folder], log=log)
    shell.run(["docker", "save", "--output", archive, ref], log=log)


def _rules(dockerfile: Path, root: Path) -> list[context.Rule]:
    """The ignore file beside the Dockerfile, else the context's own, else none: as BuildKit looks for it."""
    for path in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), root / ".dockerignore"):
        if path.is_file():
            return context.parse(path.read_text())
    return []
