"""A gateway that the operator cannot reach, though both live and both reach the API server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from operator_environment import OperatorEnvironment, eventually, running_operator
from tcp_link import TcpLink, tcp_link

from ostiary_gateway.app import GatewayApp
from ostiary_gateway.options import GatewayOptions, KubernetesOptions
from ostiary_gateway.telemetry import Telemetry
from ostiary_operator.kube.kinds import PROXY
from ostiary_tools.cluster.control_plane import ControlPlane


@pytest.fixture
async def gateway(control_plane: ControlPlane, world: OperatorEnvironment, tmp_path: Path) -> AsyncIterator[GatewayApp]:
    """A gateway that watches its config with the rights that the chart gives it."""
    token = await asyncio.to_thread(
        control_plane.service_account_token, world.system, f"{world.system}-ostiary-gateway"
    )
    token_file = tmp_path / "token"
    token_file.write_text(token)
    options = GatewayOptions(
        config=None,
        gateway=world.gateway,
        port=0,
        admin_port=0,
        drain_seconds=1.0,
        kubernetes=KubernetesOptions(control_plane.url, token_file, control_plane.ca_file),
    )
    it = GatewayApp(options, Telemetry.disabled())
    await it.start()
    yield it
    await it.stop()


@pytest.fixture
async def between(world: OperatorEnvironment, gateway: GatewayApp) -> AsyncIterator[TcpLink]:
    """The link between the operator and the gateway."""
    async with tcp_link(gateway.admin_port) as it:
        world.replicas = (it.url,)
        yield it


def served(gateway: GatewayApp) -> set[str]:
    snapshot = gateway.store.snapshot
    return {proxy.name for proxy in snapshot.proxies.values()} if snapshot is not None else set()


async def test_a_gateway_that_the_operator_cannot_reach_loads_changes_and_the_status_is_unknown(
    world: OperatorEnvironment, gateway: GatewayApp, between: TcpLink
) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.condition(PROXY, "crm", "Ready") == ("True", "Ready"))
        between.disconnect()
        world.has_proxy("wiki")
        await eventually(lambda: served(gateway) == {"crm", "wiki"})
        assert world.condition(PROXY, "wiki", "Ready") == ("Unknown", "Pending")
        await eventually(lambda: world.condition(PROXY, "crm", "Programmed") == ("Unknown", "Unreachable"))
        assert gateway.not_ready() is None
        between.reconnect()
        await eventually(lambda: world.condition(PROXY, "crm", "Ready") == ("True", "Ready"))
        await eventually(lambda: world.condition(PROXY, "wiki", "Ready") == ("True", "Ready"))
