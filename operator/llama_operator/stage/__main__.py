"""Entry point of the init container."""

import sys

from llama_operator.stage.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
