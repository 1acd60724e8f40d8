"""The stager as the operator runs it: a process with one request as its argument, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from llama_operator.api.staging import S3, Failed, File, HuggingFace, Report, Request, Url

Source = Url | HuggingFace | S3


@dataclass(frozen=True)
class Outcome:
    """`answer` is the termination message, `log` all that the process wrote, `bytes` what is served (None: nothing)."""

    code: int
    answer: Report | Failed
    log: str
    message: str
    bytes: bytes | None

    @property
    def reason(self) -> str:
        """Empty when all is in place."""
        return self.answer.reason if isinstance(self.answer, Failed) else ""


@dataclass
class Stager:
    """Runs stagers over one volume (`root`) below `home`. `policy` are fields of `stage.context.Policy`."""

    home: Path
    trusted: Path
    policy: dict[str, float] = field(default_factory=dict)
    wrapper: Sequence[str] = ()
    """Words before the command: another mount namespace, say."""
    timeout: float = 120.0
    """Ends a test that hangs; nothing depends on its value."""

    def __post_init__(self) -> None:
        self.root.mkdir(exist_ok=True)

    @property
    def root(self) -> Path:
        return self.home / "volume"

    @property
    def path(self) -> Path:
        return self.root / "model.gguf"

    @property
    def termination(self) -> Path:
        return self.home / "termination-log"

    def run(self, source: Source, sha256: str = "", env: Mapping[str, str] | None = None) -> Outcome:
        """To the end. Without exception whatever the outcome, but for one that hangs."""
        command = [*self.wrapper, *self.command(self.request(source, sha256))]
        done = subprocess.run(
            command, env=self.environment(env), capture_output=True, text=True, timeout=self.timeout, check=False
        )
        message = self.termination.read_text()
        answer: Report | Failed
        if done.returncode == 0:
            answer = msgspec.json.decode(message, type=Report)
        else:
            answer = msgspec.json.decode(message, type=Failed)
        served = self.path.read_bytes() if self.path.exists() else None
        return Outcome(done.returncode, answer, done.stdout + done.stderr, message, served)

    def url(self, url: str, sha256: str = "", headers: Path | None = None) -> Outcome:
        return self.run(Url(url, str(headers or "")), sha256)

    def run_with_clock(self, url: str, sha256: str) -> Outcome:
        """Like `url`, while the wall clock jumps (see `impatient`)."""
        return self.run(Url(url), sha256, {"STAGE_CLOCK_JUMPS": "1"})

    def request_of(self, url: str, sha256: str) -> Request:
        return self.request(Url(url), sha256)

    def request(self, source: Source, sha256: str = "") -> Request:
        file = File(role="model", field="spec.source", path=str(self.path), source=source, sha256=sha256)
        return Request(files=(file,), root=str(self.root))

    def command(self, request: Request) -> list[str]:
        argument = msgspec.json.encode(request).decode()
        return [sys.executable, "-m", "tests.integration.staging.impatient", argument]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """As little as possible: no proxies, no tokens of whoever runs the tests."""
        own = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
            "SSL_CERT_FILE": str(self.trusted),
            "STAGE_POLICY": msgspec.json.encode(self.policy).decode(),
            "TERMINATION_LOG": str(self.termination),
        }
        return own | dict(extra or {})

    def parts(self) -> list[Path]:
        """Unfinished downloads."""
        return sorted(self.root.glob(".stage/**/*.part"))

    def published(self) -> list[Path]:
        return sorted(self.root.glob("sha256/*/[!.]*"))
