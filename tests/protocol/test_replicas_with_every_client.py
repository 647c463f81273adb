"""Official clients and servers of both SDKs and eras, through three replicas that take requests in turn."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from gateway_replicas import GatewayReplicas, gateway_replicas
from limit_replicas import store_config
from mcp_clients import eventually
from merged_proxies import merged
from redis_servers import redis_server
from servers_by_era import SERVER_SDKS, everything

from ostiary_core.limit_store_states import StoreState
from ostiary_operator.demo.served_eras import ServedEras
from ostiary_tools.conformance import clients
from ostiary_tools.conformance.clients import LEGACY, MODERN, Client

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

REVISIONS = {"legacy": LEGACY, "modern": MODERN}
CLIENTS = [each for each in clients.CLIENTS if each.driver in {"python_v2", "v2"}]


def both_eras(replicas: GatewayReplicas, sdk: str, era: str, urls: Mapping[str, str]) -> Any:
    """A server of one era under its own names, merged with one of the other era."""
    other = "modern" if era == "legacy" else "legacy"
    servers = {"own": urls[f"{sdk}-{era}"], "other": urls[f"{sdk}-{other}"]}
    return merged(replicas.gateways[0], servers, prefixes={"own": ""}, name=f"merged-{sdk}-{era}")


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[GatewayReplicas]:
    async with AsyncExitStack() as stack:
        store = stack.enter_context(redis_server(tmp_path))
        replicas = await stack.enter_async_context(gateway_replicas())
        replicas.set(session_notes="Shared", limit_store=store_config(store.address))
        entries, urls = [], {}
        for sdk in SERVER_SDKS:
            for eras in (ServedEras.LEGACY, ServedEras.MODERN):
                url = await stack.enter_async_context(everything(sdk=sdk, eras=eras))
                urls[f"{sdk}-{eras}"] = url
                entries.append(replicas.entry(f"{sdk}-{eras}", url))
        entries += [both_eras(replicas, sdk, era, urls) for sdk in SERVER_SDKS for era in REVISIONS]
        await replicas.apply(*entries)
        await eventually(lambda: {each.app.limit_store.state for each in replicas.gateways} == {StoreState.READY})
        yield replicas


CELLS = [
    pytest.param(client, era, id=f"{client.name}, {client.revision}, {era} server")
    for client in CLIENTS
    for era in REVISIONS
]


@pytest.mark.parametrize("place", ["", "merged-"], ids=["alone", "merged with one of the other era"])
@pytest.mark.parametrize(("client", "era"), CELLS)
async def test_a_client_does_all_that_it_can_do_at_whichever_replica_its_requests_arrive(
    replicas: GatewayReplicas, client: Client, era: str, place: str
) -> None:
    known = client.across_eras() if client.other_era == era else client
    for sdk in SERVER_SDKS:
        url = replicas.url(f"{place}{sdk}-{era}")
        found = await asyncio.to_thread(clients.run, client, url, server_revision=REVISIONS[era])
        assert clients.failures(known, found) == []
