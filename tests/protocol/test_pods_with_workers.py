"""Two pods of two workers each, as real processes: a client's requests reach any of the four.

As with pods of one process, clients of the era before 2026-07-28 need ``sessionNotes: Shared`` at modern servers: what
a pod noted of their sessions, such as calls that wait, no other pod knows without it.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from configs import ConfigWriter, entry, settings
from gateway_process import GatewayProcess, gateway_process
from gateway_replicas import load_balancer
from gateways import LONG_TIMEOUTS, LOOPBACK
from limit_replicas import store_config
from mcp_clients import eventually
from redis_servers import redis_server
from servers_by_era import everything
from volumes import swap_in_config

from ostiary_core.contract.documents import ServerConfig
from ostiary_operator.demo.served_eras import ServedEras
from ostiary_tools.conformance import clients
from ostiary_tools.conformance.clients import LEGACY, MODERN, Client

pytestmark = pytest.mark.timeout(400)

REVISIONS = {"legacy": LEGACY, "modern": MODERN}
PYTHON_CLIENTS = [each for each in clients.CLIENTS if each.driver == "python_v2"]


async def until_up(gateway: GatewayProcess) -> None:
    """Wait until both workers of a pod serve."""

    async def are_up() -> bool:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{gateway.admin_port}/readyz") as response,
        ):
            return (await response.text()) == "ok\n2 of 2 workers up\n"

    await eventually(are_up)


@pytest.mark.parametrize("era", REVISIONS)
@pytest.mark.parametrize("client", PYTHON_CLIENTS, ids=lambda each: f"{each.name}, {each.revision}")
async def test_a_client_does_all_that_it_can_do_at_whichever_worker_of_which_pod_its_requests_arrive(
    tmp_path: Path, client: Client, era: str
) -> None:
    operator = ConfigWriter()
    async with AsyncExitStack() as stack:
        store = stack.enter_context(redis_server(tmp_path / "redis"))
        url = await stack.enter_async_context(everything(sdk="python", eras=ServedEras(era)))
        shared = settings(session_notes="Shared", limit_store=store_config(store.address))
        server = ServerConfig(name="up", url=url, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK)
        files = operator.files(entry("mock", servers=[server]), settings=shared)
        swap_in_config(tmp_path, files, secret=operator.secret)
        pods = [await stack.enter_async_context(gateway_process(tmp_path, workers=2)) for _ in range(2)]
        for pod in pods:
            await until_up(pod)
        balancer = await stack.enter_async_context(load_balancer([pod.port for pod in pods]))
        known = client.across_eras() if client.other_era == era else client
        found = await asyncio.to_thread(clients.run, known, f"{balancer.url}/mock/mcp", server_revision=REVISIONS[era])
        assert clients.failures(known, found) == []
        assert set(balancer.chosen) == {0, 1}
