"""Entry point of the sidecar."""

import sys

from llama_operator.sidecar.cli import main

if __name__ == "__main__":
    main(sys.argv[1:])
