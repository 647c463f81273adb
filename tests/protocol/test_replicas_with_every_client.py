"""Official clients and servers of both SDKs and eras, through three replicas that take requests in turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from gateway_replicas import GatewayReplicas, gateway_replicas
from servers_by_era import SERVER_SDKS, everything

from ostiary_operator.demo.served_eras import ServedEras
from ostiary_tools.conformance import clients
from ostiary_tools.conformance.clients import LEGACY, MODERN, Client

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

REVISIONS = {"legacy": LEGACY, "modern": MODERN}
CLIENTS = [each for each in clients.CLIENTS if each.driver in {"python_v2", "v2"}]
#: Another replica than the one with the stream, or with the call, learns of a subscription or a cancellation.
OF_ONE_REPLICA = {"subscription", "cancel"}


@pytest.fixture
async def replicas() -> AsyncIterator[GatewayReplicas]:
    async with AsyncExitStack() as stack:
        replicas = await stack.enter_async_context(gateway_replicas())
        entries = []
        for sdk in SERVER_SDKS:
            for eras in (ServedEras.LEGACY, ServedEras.MODERN):
                url = await stack.enter_async_context(everything(sdk=sdk, eras=eras))
                entries.append(replicas.entry(f"{sdk}-{eras}", url))
        await replicas.apply(*entries)
        yield replicas


#: `test_replicas.py` has the questions of stateless servers to clients with sessions.
CELLS = [
    pytest.param(client, era, id=f"{client.name}, {client.revision}, {era} server")
    for client in CLIENTS
    for era in REVISIONS
    if (client.revision, era) != (LEGACY, "modern")
]


@pytest.mark.parametrize(("client", "era"), CELLS)
async def test_a_client_does_all_that_it_can_do_at_whichever_replica_its_requests_arrive(
    replicas: GatewayReplicas, client: Client, era: str
) -> None:
    known = client.across_eras() if client.other_era == era else client
    for sdk in SERVER_SDKS:
        url = replicas.url(f"{sdk}-{era}")
        found = await asyncio.to_thread(clients.run, client, url, server_revision=REVISIONS[era])
        assert [line for line in clients.failures(known, found) if line.split(": ")[1] not in OF_ONE_REPLICA] == []
