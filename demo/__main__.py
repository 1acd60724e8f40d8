"""The demo's script: read `main` for what happens, in order."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from demo import chat, cluster, files, model, progress
from demo.stopwatch import Stopwatch
from ground.paths import REPO

NAMESPACE = "default"
FILE_SERVER = "model-files"
IMAGES = ("operator", "llama-server")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. Exit status 0 when the model has answered twice, 1 with the next step for a person otherwise."""
    options = _options(arguments)
    watch = Stopwatch()
    try:
        choice = model.example()
        if options.model:
            choice = model.hugging_face(options.model)
            model.write(choice)
        _run(choice, options.timeout, watch)
    except cluster.StepError as error:
        print(f"\nerror: {error}\nnext:  {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; `make demo` goes on from here, `make cluster-down` removes the cluster", file=sys.stderr)
        return 130
    _next_steps(choice)
    print(f"\nWhere the time went\n{watch.table()}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description="From nothing to a chat on a real cluster.")
    parser.add_argument(
        "--model",
        metavar="ORG/REPO/FILE.gguf",
        default=os.environ.get("MODEL", ""),
        help="a file on Hugging Face instead of the hand-made test model (default: the variable MODEL)",
    )
    parser.add_argument("--timeout", type=float, default=1800, help="seconds to wait for Ready (default: 1800)")
    return parser.parse_args(arguments)


def _run(choice: model.Choice, timeout: float, watch: Stopwatch) -> None:
    with watch.step("A Kubernetes cluster on this machine"):
        cluster.ground("up")
    with watch.step("Images of the operator and of llama-server"):
        images = cluster.build(*IMAGES)
        cluster.ground("load", *images.values())
    if choice.handmade:
        with watch.step("A file server inside the cluster, with the hand-made test model"):
            content = model.handmade_file()
            cluster.apply(files.manifests(FILE_SERVER, NAMESPACE, images["operator"], {"tiny.gguf": content}))
            cluster.kubectl("rollout", "status", f"deployment/{FILE_SERVER}", "-n", NAMESPACE, "--timeout=120s")
            print(f"  {len(content):,} bytes at {choice.manifest['spec']['source']['url']['url']}")
    with watch.step("The operator: helm upgrade --install llama-operator charts/llama-operator"):
        cluster.install(images)
    command = ("apply", "-f", os.path.relpath(choice.path, REPO))
    with watch.step(f"A model: kubectl {' '.join(command)}"):
        print("  " + cluster.kubectl(*command, "-n", NAMESPACE).strip())
        progress.wait_ready(choice.name, NAMESPACE, timeout, say=lambda line: print(line, flush=True))
    with watch.step("Answers"):
        _ask(choice)


def _ask(choice: model.Choice) -> None:
    key = chat.api_key(choice.name, NAMESPACE)
    port = choice.manifest["spec"].get("service", {}).get("port", 8000)
    with chat.port_forward(choice.name, NAMESPACE, port) as local:
        answer = chat.ask(f"http://127.0.0.1:{local}", key)
    print(f"  through the Service (kubectl port-forward service/{choice.name}):\n    {answer}")
    outside = chat.ingress_port()
    answer = chat.ask(f"http://127.0.0.1:{outside}", key, host=f"{choice.host}:{outside}")
    print(f"  through the Ingress (http://{choice.host}:{outside}):\n    {answer}")


def _next_steps(choice: model.Choice) -> None:
    address = f"http://{choice.host}:{chat.ingress_port()}"
    secret = f"kubectl get secret {choice.name}-api-key -o jsonpath={{.data.key}} | base64 -d"
    question = '{"messages": [{"role": "user", "content": "Hello"}]}'
    print(f"""
What to try next
  eval "$(.venv/bin/python -m ground env)"      kubectl and helm for this cluster
  kubectl get llama                             all models
  kubectl describe llama {choice.name:<22} conditions and events of this one
  {address + "/":<45} llama-server's web UI, in your browser (Settings: API key)
  KEY=$({secret})
  curl {address}/v1/chat/completions -H "Authorization: Bearer $KEY" -d '{question}'
  make cluster-down                             removes the cluster and everything that belongs to it""")


if __name__ == "__main__":
    sys.exit(main())
