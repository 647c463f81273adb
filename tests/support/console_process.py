"""`ostiary console` as a process, signed in by the link that it prints.

with ConsoleProcess.started("--kubeconfig", str(file)) as console:
    page = console.get("/")
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from types import MappingProxyType
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, build_opener

import orjson
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.common.processes import wait_until

_LINK = re.compile(r"http://127\.0\.0\.1:\d+/sign-in\?once=\S+")


@dataclass
class ConsoleProcess:
    """A running console, and the lines that it has written."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    code: int | None = None

    def __post_init__(self) -> None:
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    @classmethod
    @contextmanager
    def started(cls, *arguments: str, env: Mapping[str, str] = MappingProxyType({})) -> Iterator["ConsoleProcess"]:
        """Start it on a free port, and end it as Ctrl-C does."""
        process = subprocess.Popen(
            [sys.executable, "-m", "ostiary_operator.cli", "console", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **env},
        )
        console = cls(process)
        reader = threading.Thread(target=console._read, daemon=True)
        reader.start()
        try:
            wait_until(lambda: process.poll() is not None or bool(console.link), what="the link of the console")
            yield console
        finally:
            process.send_signal(signal.SIGINT)
            console.code = process.wait(TIMEOUT_SECONDS)
            reader.join(TIMEOUT_SECONDS)
            assert process.stdout is not None
            process.stdout.close()

    @property
    def link(self) -> str:
        """The newest link; empty before there is one."""
        links = [found[0] for line in self.lines if (found := _LINK.search(line))]
        return links[-1] if links else ""

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return self.link.partition("/sign-in")[0]

    def sign_in(self) -> None:
        """Open the link, which leads to the first page; that may not be there."""
        with suppress(HTTPError):
            self._opener.open(self.link, timeout=TIMEOUT_SECONDS).close()

    def get(self, path: str) -> bytes:
        with self._opener.open(f"{self.url}{path}", timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read()
        return content

    def twin(self, path: str) -> Any:
        """The JSON at a path."""
        return orjson.loads(self.get(path))

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
