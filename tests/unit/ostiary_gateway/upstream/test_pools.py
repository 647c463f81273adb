"""Server pools: shared by equal servers, kept over edits, and closed only when unused."""

from dataclasses import dataclass

import pytest
from configs import TIMEOUTS, ConfigWriter, entry
from mcp_clients import eventually

from ostiary_core.contract.documents import EntryDocument, ServerConfig, TlsConfig
from ostiary_core.errors import ContractError
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.pools import ServerPools
from ostiary_gateway.upstream.server import UpstreamServer


def server(url: str = "http://upstream.example/mcp", **more: object) -> list[ServerConfig]:
    return [ServerConfig.model_validate({"name": "up", "url": url, "timeouts": TIMEOUTS.model_dump(), **more})]


def test_the_same_description_at_one_proxy_is_the_same_server() -> None:
    pools = ServerPools(OwnEndpoints())

    assert pools.take(entry("a"))[0] is pools.take(entry("a", path="/elsewhere", generation=2))[0]


def test_another_proxy_or_another_description_is_another_server() -> None:
    pools = ServerPools(OwnEndpoints())
    first = pools.take(entry("a"))[0]

    assert pools.take(entry("b"))[0] is not first
    assert pools.take(entry("a", uid="recreated"))[0] is not first
    assert pools.take(entry("a", servers=server("http://upstream.example/other")))[0] is not first
    assert pools.take(entry("a", servers=server(addresses=["127.0.0.0/8"])))[0] is not first


@pytest.mark.parametrize(
    "more", [{"tls": TlsConfig(ca="no PEM").model_dump()}, {"addresses": ["10.0.0.0/99"]}, {"addresses": ["rubbish"]}]
)
def test_what_cannot_be_built_is_the_entrys_fault(more: dict[str, object]) -> None:
    with pytest.raises(ContractError, match="server up"):
        ServerPools(OwnEndpoints()).take(entry("a", servers=server("https://upstream.example/mcp", **more)))


@dataclass
class Served:
    """Two proxies in force, each with a server of its own, and the servers that were closed since."""

    pools: ServerPools
    store: ConfigStore
    operator: ConfigWriter
    closed: list[UpstreamServer]

    async def offer(self, *entries: EntryDocument) -> None:
        await self.store.offer("directory", self.operator.files(*entries), self.operator.keys)

    def server(self, name: str) -> UpstreamServer:
        assert self.store.snapshot is not None
        return self.store.snapshot.proxies[f"default/{name}"].server


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    closed: list[UpstreamServer] = []

    def close(self: UpstreamServer) -> None:
        closed.append(self)

    monkeypatch.setattr(UpstreamServer, "close", close)
    pools = ServerPools(OwnEndpoints())
    it = Served(pools, ConfigStore(gateway=None, servers=pools.take), ConfigWriter(), closed)
    it.store.listeners.append(pools.on_swap)
    await it.offer(entry("a"), entry("b"))
    return it


async def test_a_server_that_is_still_in_use_is_closed_only_after_that(served: Served) -> None:
    busy, idle = served.server("a"), served.server("b")
    busy._in_use = 1  # as while an answer is read

    await served.offer()
    await eventually(lambda: idle in served.closed)
    assert busy not in served.closed
    busy._release()
    await eventually(lambda: busy in served.closed)


async def test_closing_the_pools_closes_also_what_lingers(served: Served) -> None:
    servers = {served.server("a"), served.server("b")}
    for each in servers:
        each._in_use = 1
    await served.offer(entry("b"))
    await served.pools.close()

    assert set(served.closed) == servers
