"""Upstream servers by their description, so that an edit of a policy keeps the connections.

A server that no entry uses any more is closed once its requests are done.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from ostiary_core.canonical import digest
from ostiary_core.contract.bounds import ServerShareConfig
from ostiary_core.contract.documents import EntryDocument, ServerConfig, SettingsDocument
from ostiary_core.errors import ContractError, PatternError
from ostiary_core.policy.block_list import BlockList
from ostiary_gateway.upstream import via
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.assertion_keys import AssertionKeys
from ostiary_gateway.upstream.credentials import CredentialMakers, CredentialSource, no_credential
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.openapi.openapi_server import OpenApiServer
from ostiary_gateway.upstream.server import UpstreamServer

_log = logging.getLogger(__name__)


class ServerUser(Protocol):
    """A proxy, as far as it uses a server."""

    @property
    def servers(self) -> tuple[UpstreamServer, ...]:
        """Its servers."""


class PoolConfig(Protocol):
    """The part of a config that concerns servers."""

    @property
    def settings(self) -> SettingsDocument:
        """The gateway's settings."""

    @property
    def blocked(self) -> BlockList | None:
        """What the settings block."""

    @property
    def proxies(self) -> Mapping[str, ServerUser]:
        """The proxies, by identity."""


class ServerPools:
    """Creates and keeps servers.

    ``credential`` returns a credential by its name in documents; ``keys`` sign identity assertions.

    :meth:`take` may be called from the thread that builds a config.
    """

    def __init__(
        self,
        own: OwnEndpoints,
        *,
        installation: str = "",
        egress: Egress | None = None,
        credential: CredentialSource = no_credential,
        keys: AssertionKeys | None = None,
    ) -> None:
        self._environment = self._egress = egress or Egress()
        self._pod = self._own = own
        self._installation = installation
        self._credential = credential
        self._keys = keys or AssertionKeys(dict)
        self._connections = ServerShareConfig().connections
        self._zone = ""
        self._refused_by_retired = 0
        self._servers: dict[str, UpstreamServer] = {}
        self._retiring: dict[UpstreamServer, asyncio.Task[None]] = {}

    def take(self, entry: EntryDocument) -> tuple[UpstreamServer, ...]:
        """Return the servers of an entry, the same object for the same description in one proxy.

        Raises:
            ContractError: the entry's TLS material or credential cannot be used.
            CredentialMissing: the credential has not arrived.
        """
        return tuple(self._take(entry, document) for document in entry.servers)

    def _take(self, entry: EntryDocument, document: ServerConfig) -> UpstreamServer:
        # Its prefix is of the proxy's catalogue: an edit of it keeps the connections.
        described = document if document.prefix is None else document.model_copy(update={"prefix": None})
        key = digest(entry.uid.encode() + described.canonical())
        if key not in self._servers:
            try:
                make = UpstreamServer if document.openapi is None else OpenApiServer
                self._servers[key] = make(
                    document,
                    own=self._own,
                    connections=self._connections,
                    proxy=entry.identity,
                    egress=self._egress,
                    mark=via.mark(entry.uid, installation=self._installation),
                    credentials=CredentialMakers(entry.identity, self._credential, self.routing, self._keys),
                )
            except (ValueError, OSError, PatternError) as error:
                raise ContractError(f"server {document.name}: {error}") from error
            if self._zone:
                self._servers[key].set_zone(self._zone)
        return self._servers[key]

    def set_zone(self, zone: str) -> None:
        """Prefer listed endpoints in this zone, which is ours; it is empty where that is not known."""
        self._zone = zone
        for server in list(self._servers.values()):  # others may be taken meanwhile, in another thread
            server.set_zone(zone)

    def routing(self) -> tuple[OwnEndpoints, Egress]:
        """Return the addresses that are refused now, and the egress proxy."""
        return self._own, self._egress

    def on_swap(self, snapshot: PoolConfig, changed: frozenset[str]) -> None:
        """Take limits and egress proxy of a new config, and retire servers without use."""
        self._reroute(snapshot.settings)
        self._block(snapshot.blocked)
        connections = snapshot.settings.bounds.per_server.connections
        if connections != self._connections:
            self._connections = connections
            for server in self._servers.values():
                server.set_connection_limit(connections)
        if not changed:
            return
        for proxy in snapshot.proxies.values():
            for server in proxy.servers:
                server.start()
        used = {id(server) for proxy in snapshot.proxies.values() for server in proxy.servers}
        for key, server in list(self._servers.items()):
            if id(server) not in used:
                del self._servers[key]
                server.retire()
                self._retiring[server] = asyncio.get_running_loop().create_task(self._retire(server))

    def _reroute(self, settings: SettingsDocument) -> None:
        """Route to every server as these settings say, also to servers that were created before."""
        proxy = settings.egress_proxy
        self._egress = Egress.from_settings(proxy) if proxy is not None else self._environment
        self._own = self._pod.with_api_servers(settings.refused_addresses or ())
        for server in self._servers.values():
            server.set_route(own=self._own, egress=self._egress)

    def _block(self, blocked: BlockList | None) -> None:
        """Stop what is blocked, also where requests are in flight; let all others serve again."""
        for server in (*self._servers.values(), *self._retiring):
            is_blocked = blocked is not None and (blocked.has_proxy(server.proxy) or blocked.has_server(server.places))
            server.set_blocked(is_blocked, blocked)

    async def _retire(self, server: UpstreamServer) -> None:
        await server.unused()
        server.close()
        self._refused_by_retired += server.refused
        del self._retiring[server]

    @property
    def refused(self) -> int:
        """How many requests found no free connection to their server in time."""
        return self._refused_by_retired + sum(server.refused for server in (*self._servers.values(), *self._retiring))

    async def close(self) -> None:
        """Close all servers, also those in use."""
        for task in self._retiring.values():
            task.cancel()
        await asyncio.gather(*self._retiring.values(), return_exceptions=True)
        servers = {*self._servers.values(), *self._retiring}
        for server in servers:
            server.close()
        await asyncio.gather(*(server.ended() for server in servers))
        self._servers.clear()
        self._retiring.clear()
