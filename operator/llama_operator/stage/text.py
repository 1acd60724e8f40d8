"""Text for people: one line, short, and without secrets."""

from __future__ import annotations

from urllib.parse import urlsplit

_STEPS = ("B", "KiB", "MiB", "GiB", "TiB")


def one_line(text: str, limit: int = 300) -> str:
    """What a stranger sent (a header, a field of the file), made safe to print: no control characters, not long."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def say(line: str) -> None:
    """One log line, written at once: a killed process must not keep it in a buffer."""
    print(one_line(line, 2000), flush=True)


def redact(url: str) -> str:
    """The address without user, password, query and fragment: signed URLs carry their secret in the query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(unreadable URL)"
    host = f"[{host}]" if ":" in host else host
    query = "?…" if parts.query else ""
    return one_line(f"{parts.scheme}://{host}{port}{parts.path}{query}")


def size(count: float) -> str:
    """Bytes with a binary unit, as Kubernetes writes quantities."""
    for step in _STEPS:
        if count < 1024 or step == _STEPS[-1]:
            return f"{count:.0f} {step}" if step == "B" else f"{count:.1f} {step}"
        count /= 1024
    raise AssertionError("the last unit has no upper end")
