"""The console next to ``ostiary run``: of the files that it serves, for one user."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final

from ostiary_operator.console.access.one_time_token import OneTimeAdmission
from ostiary_operator.console.application import ConsoleParts, application
from ostiary_operator.console.options import ConsoleOptions
from ostiary_operator.console.server import ConsoleServer
from ostiary_operator.console.sources.prometheus import long_ranges
from ostiary_operator.console.sources.protocols import ConsoleSources
from ostiary_operator.console.sources.replica_evidence import ReplicaEvidence
from ostiary_operator.console.sources.run_objects import RunObjects
from ostiary_operator.local.companion import RunState
from ostiary_operator.local.port_check import PortRequest
from ostiary_operator.local.run_options import RunOptions
from ostiary_operator.view import admin_client
from ostiary_operator.view.admin_client import AdminPort
from ostiary_operator.view.evidence.port_finders import FixedPorts

_LOOPBACK: Final = "127.0.0.1"


class RunConsole:
    """A :class:`~ostiary_operator.local.companion.Companion` of a run.

    ``say`` shows a line in the terminal: a new link after the first one is spent.
    """

    def __init__(self, options: RunOptions, *, say: Callable[[str], None]) -> None:
        self._options = ConsoleOptions(_LOOPBACK, options.console_port or 0)
        self._prometheus = options.prometheus
        self._admission = OneTimeAdmission(self._announce, fixed=options.console_token)
        self._say = say
        self._open = AsyncExitStack()
        self._port = self._options.port
        self._link = ""
        self._is_greeted = False

    def ports(self) -> Sequence[PortRequest]:
        """Return its port."""
        return [PortRequest("--console-port", _LOOPBACK, self._options.port, "the console, for browsers")]

    async def start(self, run: RunState) -> None:
        """Serve pages about a run.

        Raises:
            OSError: the port cannot be bound.
            PrometheusUrlError: the URL of the Prometheus cannot be used.
        """
        http = await self._open.enter_async_context(admin_client.session())
        gateway = run.files.gateway
        replica = AdminPort(run.project.url, "run", gateway, run.project.token)
        platform = gateway.partition("/")[0]
        evidence = ReplicaEvidence(http, FixedPorts([replica], operator_namespace=platform))
        ranges = long_ranges(self._prometheus, http)
        sources = ConsoleSources(RunObjects(run), evidence, ranges, operator_namespace=platform)
        parts = ConsoleParts(self._options, self._admission, sources)
        server = ConsoleServer(application(parts), self._options)
        await server.start()
        self._open.push_async_callback(server.stop)
        self._port = server.port
        self._admission.announce_link()

    def welcome(self) -> str:
        """Return the link to open, which works once."""
        self._is_greeted = True
        return f"Console: {self._link} (works once)"

    async def stop(self) -> None:
        """Close the connections."""
        await self._open.aclose()

    def _announce(self, path: str) -> None:
        """Show a link: the first one is part of the welcome."""
        self._link = f"http://{_LOOPBACK}:{self._port}{path}"
        if self._is_greeted:
            self._say(f"open {self._link} (works once)")
