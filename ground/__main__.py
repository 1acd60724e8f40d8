"""Command line of the ground: `python -m ground COMMAND`, from the root of the checkout."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable

from ground import doctor, images, loading, paths, shell, up


def main(words: list[str] | None = None) -> int:
    """Run one command; 0 when it worked, 1 with a message on stderr when not."""
    arguments = _parser().parse_args(words)
    command: Callable[[argparse.Namespace], None] = arguments.run
    try:
        command(arguments)
    except shell.GroundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `python -m ground down` removes what was begun", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ground", description="A real Kubernetes cluster to work on.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    add("doctor", "say what is here, what is missing, and which way `up` would take", lambda _: doctor.report())
    start = add("up", "have a cluster with its addons ready", lambda a: up.up(a.nodes, bare=a.bare))
    start.add_argument("--nodes", type=_count, default=_count(os.environ.get("NODES", "1")), help="1 unless NODES")
    start.add_argument("--bare", action="store_true", help="without Ingress controller and metrics-server")
    add("down", "remove the cluster and all that belongs to it", lambda _: up.down())
    build = add("build", "build images; prints their references", _build)
    build.add_argument("name", nargs="+", choices=list(images.RECIPES))
    build.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="as of docker build")
    load = add("load", "put images into the cluster", lambda a: loading.load(a.image))
    load.add_argument("image", nargs="+", help="reference of an image, or file of a docker-archive")
    add("env", "print the shell lines that make kubectl and helm use this cluster", lambda _: _env())
    add("audit", "print the API server's audit log, one JSON document a line", lambda _: _audit())
    add("apiserver", "run etcd and kube-apiserver alone, until interrupted", lambda _: _apiserver())
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _build(arguments: argparse.Namespace) -> None:
    for name in arguments.name:
        print(images.build(name, arguments.build_arg)[0])


def _env() -> None:
    print(f"export KUBECONFIG={shlex.quote(str(paths.KUBECONFIG))}")
    print(f"export PATH={shlex.quote(str(paths.BIN))}:$PATH")


def _audit() -> None:
    sys.stdout.write(up.current().audit())


def _apiserver() -> None:
    from ground import apiserver  # it takes its time to import nothing else needs it

    apiserver.main()


if __name__ == "__main__":
    sys.exit(main())
