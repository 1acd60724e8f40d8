"""`python -m llama_operator`: run the operator until SIGTERM or SIGINT.

Exit codes: 0 told to stop; 1 failed, start it again; 2 wrong configuration, starting again is no use.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from llama_operator import __version__
from llama_operator.config import Config, ConfigError, read
from llama_operator.engine import Engine
from llama_operator.kube import errors
from llama_operator.kube.client import connect
from llama_operator.kube.connection import LoginError, login
from llama_operator.lease import Lease, LeaseLost
from llama_operator.runtime import logs
from llama_operator.runtime.resync import HistoryRewound

log = logs.Log(__name__)


async def operate(config: Config) -> None:
    """Run the operator with this configuration, until a signal ends it."""
    task = asyncio.current_task()
    assert task is not None
    # Until kopf installs its own: as process 1 of a container we would not even die of SIGTERM otherwise.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    client = connect(
        login(),
        qps=config.api_qps,
        burst=config.api_burst,
        max_concurrent_writes=config.max_concurrent_writes,
        max_connections=config.workers + config.max_concurrent_writes + 4,  # more than can be in use: none waits
    )
    log.info("starting", version=__version__, namespaces=", ".join(config.namespaces) or "all")
    lease = Lease(client, *config.lease.split("/")) if config.lease else None
    await Engine(config, client, lease).run(login)


def main() -> int:
    try:
        config = read(os.environ)
    except ConfigError as error:
        print(f"llama-operator: {error}", file=sys.stderr)
        return 2
    logs.configure(config.log_format)
    # Never closed: that would wait for every task, and a watch of kopf's has been seen to survive its cancellation.
    runner = asyncio.Runner()
    try:
        runner.run(operate(config))
    except (asyncio.CancelledError, KeyboardInterrupt):
        log.info("stopped before it had started")
    except LoginError as error:
        log.error("no credentials", error=str(error))
        return 2
    except LeaseLost as error:
        log.error("lease lost", error=str(error))
        return 1
    except HistoryRewound as error:
        log.error("starting over", error=str(error))
        return 1
    except errors.NotFound as error:
        log.error("is the CRD installed?", error=str(error))
        return 1
    except errors.APIError as error:
        log.error("cannot start", error=str(error))
        return 1
    except Exception:
        log.exception("ended by an error")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all that is ours has ended, and what is not may never end
