"""The mock MCP servers of ``ostiary run``: those whose address a proxy names.

One speaks every revision, one those with sessions, one that without sessions, and there are replicas. Each is a process
of its own, so that one of several behind one endpoint can be stopped to see what the others do.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ostiary_operator.demo.scenarios import Scenario, scenario_of
from ostiary_operator.demo.served_eras import ServedEras
from ostiary_operator.local import upstreams
from ostiary_operator.local.manifests import ObjectManifest
from ostiary_operator.local.mock_server_process import MockServerError, MockServerProcess
from ostiary_operator.local.port_check import PortRequest, is_taken
from ostiary_operator.local.run_options import MOCK_PORT

_KINDS: Final = {
    ServedEras.BOTH: "",
    ServedEras.LEGACY: " with sessions only",
    ServedEras.MODERN: " without sessions",
}


@dataclass(frozen=True, slots=True)
class MockServerRow:
    """A mock server: the distance of its port from MOCK_PORT, and its eras.

    ``title`` is its name in messages. One of a ``scenario`` is for proxies with its annotation alone, and only where no
    other server is at its port.
    """

    offset: int
    eras: ServedEras
    title: str
    scenario: Scenario | None = None

    @property
    def default_port(self) -> int:
        """The port by which files name it."""
        return MOCK_PORT + self.offset


#: One of each kind, one for its REST service (which every one has), and two more replicas of the first.
MOCK_SERVERS: Final = (
    *(MockServerRow(eras.port_offset, eras, f"the mock MCP server{_KINDS[eras]}") for eras in ServedEras),
    MockServerRow(3, ServedEras.BOTH, "the mock REST service"),
    MockServerRow(4, ServedEras.BOTH, "the second replica of the mock MCP server"),
    MockServerRow(5, ServedEras.BOTH, "the third replica of the mock MCP server"),
    *(MockServerRow(each.port_offset, ServedEras.BOTH, f"the {each} mock MCP server", each) for each in Scenario),
)


class MockServers:
    """The mock servers of a run.

    ``first_port`` is MOCK_PORT, above which they have their ports. 0 takes free ports.
    ``say`` gets a line when a server dies and when it runs again.
    """

    def __init__(self, first_port: int, *, say: Callable[[str], None]) -> None:
        self._first_port = first_port
        self._say = say
        self._running: dict[MockServerRow, MockServerProcess] = {}

    @property
    def ports(self) -> dict[int, int]:
        """The port to read in place of each port of the files."""
        rows = (*(row for row in MOCK_SERVERS if row not in self._running), *self._running)
        return {row.default_port: self._port(row) or row.default_port for row in rows}

    @property
    def running_ports(self) -> frozenset[int]:
        """The ports of the servers that were started."""
        return frozenset(server.port for server in self._running.values())

    @property
    def scenarios(self) -> dict[int, Scenario | None]:
        """The scenarios of the servers that were started, by their ports."""
        return {server.port: row.scenario for row, server in self._running.items()}

    def wanted(self, manifests: Iterable[ObjectManifest]) -> dict[MockServerRow, int]:
        """Return the servers that proxies name, with the ports on which they listen.

        Those of scenarios are left out where another server has their port already.
        """
        named: dict[Scenario | None, set[int]] = {}
        for manifest in manifests:
            ports = {server.port for server in upstreams.local_servers([manifest])}
            named.setdefault(_scenario(manifest), set()).update(ports)
        rows = {row: self._port(row) for row in MOCK_SERVERS}
        wanted = {row: at for row, at in rows.items() if named.get(row.scenario, set()) & {row.default_port, at}}
        return {row: at for row, at in wanted.items() if not self._is_there(row, at)}

    def ports_wanted(self, manifests: Iterable[ObjectManifest]) -> list[PortRequest]:
        """Return the ports of the servers that proxies name."""
        return [
            PortRequest("--mock-port", "127.0.0.1", port, "the mock MCP server", offset=row.offset)
            for row, port in self.wanted(manifests).items()
        ]

    def _is_there(self, row: MockServerRow, port: int) -> bool:
        """Return whether the server of a scenario was started apart, as examples say how."""
        return row.scenario is not None and row not in self._running and bool(port) and is_taken("127.0.0.1", port)

    async def ensure(self, manifests: Iterable[ObjectManifest]) -> None:
        """Start those that proxies name and that do not run.

        Raises:
            MockServerError: one of them does not start. The next change of a file tries again.
        """
        missing = [row for row in self.wanted(manifests) if row not in self._running]
        outcomes = await asyncio.gather(*map(self._start, missing), return_exceptions=True)
        for error in outcomes:
            if error is not None:
                raise error

    async def stop(self) -> None:
        """Stop all of them."""
        await asyncio.gather(*(server.stop() for server in self._running.values()))

    def _port(self, row: MockServerRow) -> int:
        """Return the port of a server; 0 if it takes a free one and does not run yet."""
        if row in self._running:
            return self._running[row].port
        return self._first_port + row.offset if self._first_port else 0

    async def _start(self, row: MockServerRow) -> None:
        server = MockServerProcess(
            self._port(row), eras=row.eras, scenario=row.scenario, title=row.title, say=self._say
        )
        self._running[row] = server  # from here on `stop` ends it, even if it never listens
        try:
            await server.start()
        except MockServerError as error:
            del self._running[row]
            hint = "If one runs there already, use --no-mock-server."
            raise MockServerError(f"{server.title} does not start: {error}. {hint}") from None


def _scenario(manifest: ObjectManifest) -> Scenario | None:
    metadata = manifest.value.get("metadata")
    return scenario_of(metadata.get("annotations") if isinstance(metadata, dict) else None)
