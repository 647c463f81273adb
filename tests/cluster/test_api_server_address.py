"""No MCPProxy leads to the API server: its addresses are in the EndpointSlice of its own Service."""

import base64
import functools
import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from gateways import running_gateway
from mcp_caller import mcp_caller, modern
from operator_environment import OperatorEnvironment, eventually, running_operator
from operator_objects import settings
from operator_replicas import chart_rights
from volumes import swap_in_config

from ostiary_gateway.config.directory_source import DirectorySource
from ostiary_operator.delivery import reader
from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, PROXY, SECRET
from ostiary_tools.cluster.components import ADVERTISED
from ostiary_tools.cluster.control_plane import ControlPlane

#: All hosts are granted, so that nothing but the address is in the way.
OPEN = "tenancy: Multi\ngrants: [{namespaces: ['*'], upstreams: ['*']}]\n"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}}, id=7)


@pytest.fixture
def open_world(unrestricted: OperatorEnvironment) -> OperatorEnvironment:
    unrestricted.create(CONFIG_MAP, settings(OPEN, namespace=unrestricted.system))
    return unrestricted


@pytest.fixture(params=["whole cluster", "one namespace"])
def world(
    control_plane: ControlPlane, open_world: OperatorEnvironment, request: pytest.FixtureRequest
) -> Iterator[OperatorEnvironment]:
    open_world.wide = request.param == "whole cluster"
    with chart_rights(control_plane, open_world):
        yield open_world


def has_proxy(world: OperatorEnvironment, name: str, host: str) -> None:
    world.has_proxy(name, servers=[{"name": "s", "url": f"https://{host}:6443/mcp"}])


def refused(world: OperatorEnvironment) -> list[str] | None:
    """The addresses that the config in force refuses."""
    bundle = world.delivered()
    if bundle is None:
        return None
    found: list[str] = json.loads(bundle.take(bundle.manifest.settings)).get("refusedAddresses", [])
    return found


def is_refused(world: OperatorEnvironment, name: str) -> bool:
    return world.condition(PROXY, name, "Accepted") == ("False", "UpstreamNotPermitted")


async def answer_of(world: OperatorEnvironment, name: str) -> dict[str, Any]:
    """What a real gateway says to a call, which runs the config that was delivered."""
    keys_secret = world.get(SECRET, "ostiary-default") or {}
    keys = {key: base64.b64decode(value) for key, value in keys_secret["data"].items()}
    async with (
        running_gateway() as gateway,
        mcp_caller(f"http://127.0.0.1:{gateway.app.port}/{world.team}/{name}/mcp") as caller,
    ):
        swap_in_config(gateway.directory, reader.files_of(world.get(CONFIG_MAP, "ostiary-default-0")), secret=keys)
        source = gateway.app.sources[0]
        assert isinstance(source, DirectorySource)
        await source.poll()
        return (await caller.post(CALL)).error


async def test_the_address_of_the_api_server_is_refused_in_a_url_and_behind_a_name(
    world: OperatorEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def resolved(host: str, port: Any, *more: Any, **options: Any) -> Any:
        return resolve(ADVERTISED if "evil.example" in host else host, port, *more, **options)

    async with running_operator(world.options()):
        has_proxy(world, "literal", ADVERTISED)
        has_proxy(world, "mapped", f"[64:ff9b::{ADVERTISED}]".replace("192.0.2.1", "c000:201"))
        has_proxy(world, "named", "api.evil.example")
        await eventually(lambda: world.served() == {"named"})
        for name in ("literal", "mapped"):
            await eventually(functools.partial(is_refused, world, name))
        assert refused(world) == [ADVERTISED]
    monkeypatch.setattr("socket.getaddrinfo", resolved)
    assert (await answer_of(world, "named"))["data"] == {"reason": "UpstreamAddressForbidden"}


async def test_an_address_that_the_api_server_comes_to_have_is_refused_at_once(
    control_plane: ControlPlane, open_world: OperatorEnvironment
) -> None:
    open_world.wide = True
    path = ENDPOINT_SLICE.path(namespace="default", name="kubernetes")

    def follows() -> bool:
        # The API server takes it out again on its own, every ten seconds.
        endpoints = [{"addresses": [address]} for address in (ADVERTISED, "192.0.2.77")]
        open_world.api.request("PATCH", path, {"endpoints": endpoints})
        return refused(open_world) == [ADVERTISED, "192.0.2.77"]

    with chart_rights(control_plane, open_world):
        async with running_operator(open_world.options()):
            has_proxy(open_world, "crm", "crm.example.com")
            await eventually(lambda: open_world.served() == {"crm"})
            await eventually(follows)


async def test_without_the_right_to_read_them_the_operator_logs_it_once_and_continues(
    control_plane: ControlPlane, open_world: OperatorEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> list[str]:
        return [line for line in map(logging.LogRecord.getMessage, caplog.records) if "apiServerEndpoints" in line]

    with chart_rights(control_plane, open_world, "--set", "rbac.apiServerEndpoints=false"), caplog.at_level("WARNING"):
        async with running_operator(open_world.options()):
            has_proxy(open_world, "literal", ADVERTISED)
            await eventually(lambda: open_world.served() == {"literal"})
            has_proxy(open_world, "crm", "crm.example.com")
            await eventually(lambda: open_world.served() == {"literal", "crm"})
    assert len(warnings()) == 1
    assert refused(open_world) == []
