"""Log lines for people and for machines: a message that is always the same, and the facts beside it."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Literal

import msgspec

_NOISY = ("aiohttp.access", "kopf.objects")
"""A line per request or per watch event."""


class Log:
    """`log.info("applied", model="default/qwen", kind="Service")`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, **facts: Any) -> None:
        self._logger.debug(message, extra={"facts": facts})

    def info(self, message: str, **facts: Any) -> None:
        self._logger.info(message, extra={"facts": facts})

    def warning(self, message: str, **facts: Any) -> None:
        self._logger.warning(message, extra={"facts": facts})

    def error(self, message: str, **facts: Any) -> None:
        self._logger.error(message, extra={"facts": facts})

    def exception(self, message: str, **facts: Any) -> None:
        """With the traceback of the exception that is being handled."""
        self._logger.exception(message, extra={"facts": facts})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **_facts(record),
            "logger": record.name,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={_plain(value)}" for name, value in _facts(record).items())
        line = f"{_time(record)} {record.levelname:<7} {record.getMessage()}{facts}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    """Ours; of a line of kopf, the object that it is about."""
    ref = getattr(record, "k8s_ref", None)
    about = {"object": f"{ref['kind']} {ref['namespace']}/{ref['name']}"} if ref else {}
    return about | getattr(record, "facts", {})


def _plain(value: Any) -> str:
    """Many texts come from users: none may end the line and begin one of its own."""
    text = str(value)
    return text if text.isprintable() else repr(text)


def _time(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"


def configure(style: Literal["json", "text"]) -> None:
    """Send every logger's lines to stderr, ours and kopf's alike; Python's warnings too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if style == "json" else _Text())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
