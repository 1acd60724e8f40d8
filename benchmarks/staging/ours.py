"""Our side: fetch, verify and flush one file, as the stager does before it publishes. Prints the seconds without the
start of Python.

    python -m benchmarks.staging.ours URL SHA256 FOLDER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from llama_operator.stage.context import Context
from llama_operator.stage.store.room import Room
from llama_operator.stage.store.work import Work
from llama_operator.stage.transfer import remote
from llama_operator.stage.transfer.fetch import Fetch
from llama_operator.stage.transfer.partial import Partial
from llama_operator.stage.transfer.remote import Remote


def main(url: str, sha256: str, folder: str) -> None:
    begun, root = time.monotonic(), Path(folder)
    context = Context(log=lambda line: print(line, file=sys.stderr))
    with remote.client(context.policy) as http, Partial(root / "file.part", context) as part:
        Fetch(http, Remote(url, sha256), part, Room(Work(root, context), root, 0, context.log), context).run()
        if part.hexdigest() != sha256:
            raise SystemExit("the digest is wrong")
        part.finish()
    print(time.monotonic() - begun)


if __name__ == "__main__":
    main(*sys.argv[1:])
