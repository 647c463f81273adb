"""The mock MCP servers of ``ostiary run``, one of each kind.

One speaks every revision, one those with sessions, one that without sessions. Only those start whose address a proxy
names. Each is a process of its own, so that one of several servers behind one endpoint can be stopped to see what the
others do.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ostiary_operator.demo.served_eras import ServedEras
from ostiary_operator.local import upstreams
from ostiary_operator.local.manifests import ObjectManifest
from ostiary_operator.local.mock_server_process import MockServerError, MockServerProcess
from ostiary_operator.local.run_options import MOCK_PORT

DEFAULT_PORTS: Final[Mapping[ServedEras, int]] = {eras: MOCK_PORT + eras.port_offset for eras in ServedEras}
"""The ports by which files name the mock servers."""


class MockServers:
    """The mock servers of a run.

    ``first_port`` is that of the server of every revision; the others take those after it. 0 takes free ports.
    ``say`` gets a line when a server dies and when it runs again.
    """

    def __init__(self, first_port: int, *, say: Callable[[str], None]) -> None:
        self._first_port = first_port
        self._say = say
        self._running: dict[ServedEras, MockServerProcess] = {}

    @property
    def ports(self) -> dict[int, int]:
        """The port to read in place of each port of the files."""
        return {default: self._port(eras) or default for eras, default in DEFAULT_PORTS.items()}

    @property
    def running_ports(self) -> frozenset[int]:
        """The ports of the servers that were started."""
        return frozenset(server.port for server in self._running.values())

    def wanted(self, manifests: Iterable[ObjectManifest]) -> dict[ServedEras, int]:
        """Return the servers that proxies name, with the ports on which they listen."""
        named = {server.port for server in upstreams.local_servers(manifests)}
        return {eras: self._port(eras) for eras in ServedEras if named & {DEFAULT_PORTS[eras], self._port(eras)}}

    async def ensure(self, manifests: Iterable[ObjectManifest]) -> None:
        """Start those that proxies name and that do not run.

        Raises:
            MockServerError: one of them does not start. The next change of a file tries again.
        """
        missing = [eras for eras in self.wanted(manifests) if eras not in self._running]
        outcomes = await asyncio.gather(*map(self._start, missing), return_exceptions=True)
        for error in outcomes:
            if error is not None:
                raise error

    async def stop(self) -> None:
        """Stop all of them."""
        await asyncio.gather(*(server.stop() for server in self._running.values()))

    def _port(self, eras: ServedEras) -> int:
        """Return the port of a server; 0 if it takes a free one and does not run yet."""
        if eras in self._running:
            return self._running[eras].port
        return self._first_port + eras.port_offset if self._first_port else 0

    async def _start(self, eras: ServedEras) -> None:
        server = MockServerProcess(self._port(eras), eras=eras, say=self._say)
        self._running[eras] = server  # from here on `stop` ends it, even if it never listens
        try:
            await server.start()
        except MockServerError as error:
            del self._running[eras]
            hint = "If one runs there already, use --no-mock-server."
            raise MockServerError(f"{server.title} does not start: {error}. {hint}") from None
