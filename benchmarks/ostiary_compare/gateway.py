"""What a gateway is to the comparison: a program that may be installed, and ways to run it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Final

from ostiary_bench.probes import answers
from ostiary_bench.servers import MEASURED_CORE, on_core
from ostiary_compare.requests import Endpoint
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

#: The modes that gateways have in common.
UNGOVERNED: Final = "ungoverned"
GOVERNED: Final = "governed"
CONFIGS: Final = Path(__file__).with_name("configs")
#: The key that governed callers send.
KEY: Final = "compare-key-for-the-benchmark-only"
#: How many allow rules a governed call passes; the last allows the tool that is called.
RULES: Final = 100
#: The rate limit of what is measured, in calls a second.
NEVER_USED_UP: Final = 1_000_000
_STARTS_WITHIN: Final = 180.0


class PortTakenError(ToolError):
    """A port that was free a moment ago is not: another one must be chosen."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a gateway is started with.

    Attributes:
        directory: its own, for its config, logs and state.
        upstream_port: where the MCP server listens; its path is `/mcp`.
        collector_port: where an OTLP collector takes spans over HTTP.
        program: the path of its program.
        path: the directories of programs, as in PATH.
        rate: how many calls a second its rate limit lets pass, if it has one.
        processes: all that were started.
    """

    directory: Path
    upstream_port: int
    collector_port: int
    program: Path
    path: str
    rate: int = NEVER_USED_UP
    processes: list[Process] = field(default_factory=list)

    @property
    def upstream(self) -> str:
        """The URL of the MCP server."""
        return f"http://127.0.0.1:{self.upstream_port}/mcp"

    def write(self, config: str, **values: object) -> Path:
        """Write a file of `configs/` with its placeholders filled in; return its path."""
        known = {"directory": self.directory, "upstream": self.upstream, "upstream_port": self.upstream_port}
        known |= {"rate": self.rate}
        text = Template((CONFIGS / config).read_text()).substitute(
            known, collector=f"http://127.0.0.1:{self.collector_port}", key=KEY, **values
        )
        file = self.directory / Path(config).name.removesuffix(".template")
        file.write_text(text)
        return file

    def start(
        self,
        name: str,
        *command: str | Path,
        port: int,
        env: Mapping[str, str] | None = None,
        core: str = MEASURED_CORE,
    ) -> Process:
        """Start a process on the measured core, or another, and wait until it listens at ``port``.

        Raises:
            PortTakenError: another program listens there.
            ToolError: it ended, or does not listen in time.
        """
        if answers(port):
            raise PortTakenError(f"another program listens at port {port}, which was chosen for {name}")
        own = {"PATH": self.path, "HOME": str(self.directory), "LANG": "C.UTF-8", "TMPDIR": str(self.directory)}
        process = Process(
            name,
            on_core(core, *command),
            log=self.directory / f"{name}.log",
            cwd=self.directory,
            env={**own, **(env or {})},
        )
        self.processes.append(process)
        wait_until(lambda: answers(port), what=f"{name} at its port", timeout=_STARTS_WITHIN, processes=[process])
        return process


@dataclass(frozen=True, slots=True)
class Started:
    """A gateway that runs: the process whose CPU counts, with its children, and its endpoint."""

    process: Process
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Claims:
    """What a mode is said to enforce, which is tried before anything is measured.

    Attributes:
        key: whether a caller without a key is refused.
        rules: whether a tool that no rule allows is refused.
        limit: whether calls beyond the rate limit are refused.
        spans: how many spans of each call arrive at the collector, at least.
    """

    key: bool = False
    rules: bool = False
    limit: bool = False
    spans: int = 0


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run a gateway. ``policies`` says what it does for each call besides forwarding."""

    name: str
    policies: str
    start: Callable[[Surroundings], Started]
    claims: Claims = Claims()


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that may be compared.

    Attributes:
        name: as tables show it.
        program: what is looked for on PATH.
        install: one sentence that says how to install it.
        modes: the ways to run it.
        version: returns its version, given the program.
        needs: further programs.
        origin: returns how it was obtained, given the program; otherwise its files say so.
    """

    name: str
    program: str
    install: str
    modes: Sequence[Mode]
    version: Callable[[Path], str]
    needs: Sequence[str] = ()
    origin: Callable[[Path], str] | None = None

    def missing(self, path: str) -> list[str]:
        """Return the programs that are not installed."""
        return [each for each in (self.program, *self.needs) if not shutil.which(each, path=path)]


def printed(program: Path, *arguments: str) -> str:
    """Return the first line with a digit that a program prints, for example of its version."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
    return next((line for line in lines if any(map(str.isdigit, line))), "unknown")


def last_word_printed(program: Path, *arguments: str) -> str:
    """Return the last word of that line: the version of a program that names itself before it."""
    return printed(program, *arguments).rpartition(" ")[2]


def search_path(more: Sequence[Path]) -> str:
    """Return the directories of programs: of this checkout, of ``more`` and their `bin`, PATH and `/usr/sbin`."""
    found = [str(folder) for each in more for folder in (each, each / "bin", *sorted(each.glob("*/bin")))]
    found.insert(0, str(Path(sys.executable).parent))
    return os.pathsep.join([*found, os.environ.get("PATH", ""), "/usr/sbin"])


def program_of(gateway: Gateway, path: str) -> Path:
    """Return the path of a gateway's program.

    Raises:
        ToolError: it is not installed.
    """
    found = shutil.which(gateway.program, path=path)
    if found is None:
        raise ToolError(f"{gateway.program} is not installed. {gateway.install}")
    return Path(found)


def listening(port: int) -> tuple[str, ...]:
    """Return the arguments with which most programs listen at a port of loopback."""
    return "--host", "127.0.0.1", "--port", str(port)


def free_port() -> int:
    """Return a port of loopback for a gateway."""
    return reserve_port()
