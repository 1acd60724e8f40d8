"""`python -m llama_operator.stage`, all of it, with less patience: so that no test waits for a pause or a timeout.

STAGE_POLICY holds fields of `stage.context.Policy` as JSON; STAGE_CLOCK_JUMPS=1 has the wall clock jump an hour back
or forth each time it is looked at.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from unittest import mock

from llama_operator.stage import cli
from llama_operator.stage.context import Context, Policy

_PATIENCE = {"first_pause": 0.01, "longest_pause": 0.05, "longest_retry_after": 0.2}


def main() -> int:
    chosen = Policy(**{**_PATIENCE, **json.loads(os.environ["STAGE_POLICY"])})
    made = functools.partial(Context, policy=chosen, now=_clock())
    with mock.patch.object(cli, "Context", made):
        return cli.main(sys.argv[1:])


def _clock() -> Callable[[], float]:
    if os.environ.get("STAGE_CLOCK_JUMPS") != "1":
        return time.time
    jumps = itertools.cycle((0.0, 3600.0, -3600.0))
    return lambda: time.time() + next(jumps)


if __name__ == "__main__":
    sys.exit(main())
