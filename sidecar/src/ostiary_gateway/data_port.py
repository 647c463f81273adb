"""The data port of a gateway process: its certificate, and when it opens."""

import asyncio
from collections.abc import Callable
from typing import Final

from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.identity.authenticators import client_authorities
from ostiary_gateway.options import GatewayOptions
from ostiary_gateway.server.certificate import Certificate
from ostiary_gateway.server.listener import Listener

#: Seconds between two looks at whether a worker is ready.
_CHECK_SECONDS: Final = 0.05


class DataPort:
    """Opens the port of a listener as the options say: :meth:`load_certificate`, :meth:`open`."""

    def __init__(self, options: GatewayOptions, listener: Listener) -> None:
        self._options = options
        self._listener = listener
        #: The number of the port, once it is open.
        self.port = options.port
        #: None for plain HTTP.
        self.certificate: Certificate | None = None

    def load_certificate(self) -> Certificate | None:
        """Load the certificate of the options, and return it.

        Raises:
            StartupError: it cannot be used.
        """
        if self._options.tls is not None:
            self.certificate = Certificate(self._options.tls)
        return self.certificate

    def trust_clients(self, snapshot: Snapshot, _changed: frozenset[str]) -> None:
        """Ask clients for certificates of the authorities that a new config names."""
        if self.certificate is not None:
            self.certificate.trust_clients(client_authorities(snapshot))

    async def open(self) -> None:
        """Listen.

        Raises:
            StartupError: the port is taken, or the address is not ours.
        """
        context = None if self.certificate is None else self.certificate.context
        shared = self._options.worker is not None
        self.port = await self._listener.start(self._options.host, self._options.port, tls=context, shared=shared)

    def close(self) -> None:
        """Accept no more connections; those that are open stay."""
        self._listener.stop_accepting()

    async def open_when_ready(self, not_ready: Callable[[], str | None]) -> None:
        """Listen once callers can be served, of which ``not_ready`` returns what is missing.

        A worker that replaces another does: the other workers serve all callers until then, and with an open port it
        would get its share of them and refuse it.

        Raises:
            StartupError: the port cannot be opened.
        """
        while not_ready() is not None:  # noqa: ASYNC110  several parts decide it, and none reports it
            await asyncio.sleep(_CHECK_SECONDS)
        await self.open()
