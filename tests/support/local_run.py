"""`ostiary run` as a process on free ports, and the lines that it writes.

with running(folder) as run:
    await run.opens()
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS

from ostiary_operator.local.mock_servers import MOCK_SERVERS
from ostiary_tools.common.ports import reserve_port, reserve_ports

_LINK = re.compile(r"http://127\.0\.0\.1:\d+/sign-in\?once=\S+")


@dataclass
class Run:
    """A running `ostiary run`, and the lines that it has written."""

    process: subprocess.Popen[str]
    folder: Path
    port: int
    admin_port: int
    mock_port: int
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/mock-mcp-server/mcp"

    @property
    def console_link(self) -> str:
        """The newest link to the console; it works once."""
        links = [link[0] for line in self.lines if (link := _LINK.search(line))]
        return links[-1]

    @property
    def console_url(self) -> str:
        return self.console_link.partition("/sign-in")[0]

    def has_line(self, *parts: str, after: int = 0) -> bool:
        """Whether one line since then holds all of the parts."""
        return any(all(part in line for part in parts) for line in self.lines[after:])

    async def prints(self, *parts: str, after: int = 0, seconds: float = 60.0) -> None:
        try:
            await eventually(lambda: self.has_line(*parts, after=after), seconds=seconds)
        except AssertionError:
            raise AssertionError(f"no line with {parts} in:\n" + "\n".join(self.lines)) from None

    async def opens(self) -> None:
        await self.prints("Tool calls and refusals follow")

    def edit(self, name: str, old: str, new: str) -> int:
        """Change a file; return how many lines had been written before."""
        before, path = len(self.lines), self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return before

    def text(self) -> str:
        return "\n".join(self.lines)


@contextmanager
def running(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> Iterator[Run]:
    """Start it on free ports; whatever the test did, it must end cleanly when it is asked to."""
    ports = reserve_port(), reserve_port(), reserve_ports(1 + max(row.offset for row in MOCK_SERVERS))
    process = start(folder, *arguments, ports=ports, env=env)
    run = Run(process, folder, *ports)
    reader = threading.Thread(target=_read, args=(process, run.lines), daemon=True)
    reader.start()
    try:
        yield run
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(TIMEOUT_SECONDS)
        finally:
            process.kill()
            reader.join(5)
            assert process.stdout is not None
            process.stdout.close()


def start(
    folder: Path, *arguments: str, ports: Sequence[int], env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    names = ("PORT", "ADMIN_PORT", "MOCK_PORT")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.Popen(
        [sys.executable, "-m", "ostiary_operator.cli", "run", str(folder), *arguments],
        # Next to the project of the test, so that it keeps nothing in the home directory of the user.
        env={
            **inherited,
            "XDG_STATE_HOME": str(folder.parent / "state"),
            **dict(zip(names, map(str, ports), strict=True)),
            **(env or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _read(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip("\n"))  # noqa: PERF401  one by one: the test looks while we read


@contextmanager
def running_before(mock: str, folder: Path, *arguments: str, env: dict[str, str] | None = None) -> Iterator[Run]:
    """Start it in front of a mock server that runs already, which is faster."""
    port = mock.rpartition(":")[2].partition("/")[0]
    with running(folder, "--no-mock-server", "--mock-port", port, *arguments, env=env) as started:
        started.mock_port = int(port)
        yield started
