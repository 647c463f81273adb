"""What runs next to the gateway of ``ostiary run``, and what it is told of the run.

The console is one. It is not imported from here: the command line puts both together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ostiary_core.contract.manifest import Manifest
from ostiary_operator.local.port_check import PortRequest
from ostiary_operator.local.project import ProjectState
from ostiary_operator.local.running_projects import RunningProject


@dataclass(slots=True)
class RunState:
    """What a run serves now. The run replaces the members when files change.

    ``manifest`` is that of the config in force. ``problem`` says why the newest config is not in force; empty if it is.
    """

    project: RunningProject
    files: ProjectState
    manifest: Manifest
    problem: str = ""


class Companion(Protocol):
    """A server that runs while the gateway serves its config.

    It starts after the first config is in force, and ends before the gateway does.
    """

    def ports(self) -> Sequence[PortRequest]:
        """Return the ports that it listens on, which are checked before anything is started."""
        ...

    async def start(self, run: RunState) -> None:
        """Start; the state stays up to date.

        Raises:
            OstiaryError: it cannot start; the message says why.
            OSError: it cannot listen.
        """
        ...

    def welcome(self) -> str:
        """Return the line of the welcome text that says how to reach it."""
        ...

    async def stop(self) -> None:
        """End. It does nothing if it was not started."""
        ...
