"""Clients of the shared store, one for each way to deploy a Redis.

The library would retry a command that timed out ten times, with pauses of up to a second. A call never waits that long,
and a script that ran before its answer was lost would count twice. So no client here retries anything. TLS verifies by
the authorities in the settings alone, where the library would add them to the system's.
"""

import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

from redis.asyncio import Connection, ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.backoff import NoBackoff

from ostiary_core.contract.limit_store import RedisConfig, StoreCredentialsConfig, StoreTlsConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.upstream.tls_contexts import client_context

#: Connections of one replica to one node.
CONNECTIONS: Final = 32
#: The version of the protocol: with the newer one the library sends commands that an ACL user may not have.
_RESP: Final = 2

Credential = Callable[[str], SecretBytes]
"""Returns an entry of the gateway's Secret by its name."""


class RedisClient(Protocol):
    """What the store needs of a client of the library."""

    async def execute_command(self, *args: Any) -> Any:
        """Send a command and return its answer."""

    async def aclose(self) -> None:
        """Close all connections."""


class _TlsConnection(Connection):
    """A connection with the TLS context and the server name of the settings."""

    def __init__(self, *, tls_context: ssl.SSLContext, tls_hostname: str | None, **options: Any) -> None:
        super().__init__(**options)
        self._tls: dict[str, Any] = {"ssl": tls_context}
        if tls_hostname is not None:
            self._tls["server_hostname"] = tls_hostname

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), **self._tls}


class _SentinelTlsConnection(SentinelManagedConnection, _TlsConnection):
    """The same to the primary that Sentinels name."""


def connect(config: RedisConfig, credential: Credential, *, timeout: float) -> RedisClient:
    """Return a client; it opens connections when they are needed. ``timeout`` is in seconds.

    Raises:
        CredentialMissing: the gateway's Secret does not have an entry that the config names.
        ValueError: the certificate authorities are not PEM.
        OSError: they are no certificates.
    """
    options = {**_common(timeout), **_tls(config.tls), "db": config.database, **_login(config.credentials, credential)}
    if config.mode == "Sentinel":
        return _by_sentinels(config, options, {**_common(timeout), **_tls(config.tls)}, credential)
    if config.mode == "Cluster":
        return _cluster(config, options)
    host, port = _address(config.addresses[0])
    pool = ConnectionPool(connection_class=_class(config), max_connections=CONNECTIONS, host=host, port=port, **options)
    return cast("RedisClient", Redis.from_pool(pool))


def _common(timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": _RESP,
        "driver_info": None,
    }


def _login(config: StoreCredentialsConfig | None, credential: Credential) -> dict[str, str]:
    if config is None:
        return {}
    found = {"password": credential(config.password).reveal().decode()}
    if config.username is not None:
        found["username"] = credential(config.username).reveal().decode()
    return found


def _tls(config: StoreTlsConfig | None) -> dict[str, Any]:
    return {} if config is None else {"tls_context": client_context(config.ca), "tls_hostname": config.hostname}


def _class(config: RedisConfig) -> type[Connection]:
    return Connection if config.tls is None else _TlsConnection


def _by_sentinels(
    config: RedisConfig, options: dict[str, Any], of_sentinels: dict[str, Any], credential: Credential
) -> RedisClient:
    sentinel = Sentinel([])  # type: ignore[no-untyped-call]  # the library is partly untyped
    login: dict[str, Any] = {**of_sentinels, **_login(config.sentinel_credentials, credential)}
    for address in config.addresses:
        host, port = _address(address)
        pool = ConnectionPool(connection_class=_class(config), host=host, port=port, **login)
        sentinel.sentinels.append(Redis.from_pool(pool))
    managed = SentinelManagedConnection if config.tls is None else _SentinelTlsConnection
    managed_pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]  # likewise
        config.master_name or "", sentinel, connection_class=managed, max_connections=CONNECTIONS, **options
    )
    return _WithSentinels(Redis.from_pool(managed_pool), sentinel)


class _WithSentinels:
    """A client of the primary that closes the connections to the Sentinels too."""

    def __init__(self, client: Redis, sentinel: Sentinel) -> None:
        self._client = client
        self._sentinel = sentinel

    async def execute_command(self, *args: Any) -> Any:
        return await self._client.execute_command(*args)  # type: ignore[no-untyped-call]  # likewise

    async def aclose(self) -> None:
        await self._client.aclose()
        await self._sentinel.aclose()


def _cluster(config: RedisConfig, options: dict[str, Any]) -> RedisClient:
    own: dict[str, Any] = {key: options.pop(key) for key in ("tls_context", "tls_hostname", "retry") if key in options}
    retry = own.pop("retry")
    nodes = [ClusterNode(*_address(address)) for address in config.addresses]
    options.pop("db")
    client = RedisCluster(
        startup_nodes=nodes, retry=retry, max_connections=CONNECTIONS, dynamic_startup_nodes=False, **options
    )
    if own:  # it knows no class of connections, and each node has a copy of the options
        client.nodes_manager.connection_kwargs.update(own, connection_class=_TlsConnection)
        for node in client.nodes_manager.startup_nodes.values():
            node.connection_class = _TlsConnection
            node.connection_kwargs.update(own)
    return _WithNodes(client)


class _WithNodes:
    """A client of a Cluster that closes the connections to every node.

    The library's own client closes none where a caller's timeout interrupted an earlier attempt of it to do so.
    """

    def __init__(self, client: RedisCluster) -> None:
        self._client = client

    async def execute_command(self, *args: Any) -> Any:
        return await self._client.execute_command(*args)

    async def aclose(self) -> None:
        await self._client.aclose()
        for nodes in ("nodes_cache", "startup_nodes"):
            await self._client.nodes_manager.aclose(nodes)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
