"""`ostiary catalogue` at a real gateway: what a caller sees of several servers, and why not the rest."""

import asyncio
import json
from pathlib import Path

import pytest
from command_line import CommandResult, Ostiary, ostiary_command
from gateways import LONG_TIMEOUTS, LOOPBACK, RunningGateway
from mcp_caller import mcp_caller, modern
from rest_services import described

from ostiary_core.contract.documents import ServerConfig

FILES = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: mock}
spec:
  serverSelection: Merge
  servers:
    - {name: one, prefix: one_, url: "http://localhost:7878/mcp"}
    - {name: two, prefix: two_, url: "http://localhost:7878/mcp"}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: read}
spec:
  targetRefs: [{kind: MCPProxy, name: mock}]
  access:
    rules:
      - {name: read, effect: Allow, tools: {names: ["one_get_*"]}}
      - {name: no-users, effect: Deny, tools: {names: ["get_users"]}}
"""


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return ostiary_command(capsys)


async def run(
    ostiary: Ostiary, gateway: RunningGateway, folder: Path, *arguments: str, files: str = FILES
) -> CommandResult:
    (folder / "proxy.yaml").write_text(files)
    (folder / "token").write_text("admin-for-tests")
    admin = ("--admin", f"http://127.0.0.1:{gateway.app.admin_port}", "--token-file", str(folder / "token"))
    return await asyncio.to_thread(ostiary, "catalogue", "mock", str(folder / "proxy.yaml"), *admin, *arguments)


async def apply(gateway: RunningGateway, mock: str, *, two: str = "") -> None:
    servers = [
        ServerConfig(name=name, prefix=f"{name}_", url=url, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK)
        for name, url in (("one", mock), ("two", two or mock))
    ]
    await gateway.apply(gateway.entry("mock", mock, servers=servers, server_selection="Merge"))


async def test_each_name_that_servers_have_listed_is_shown_with_what_decides(
    gateway: RunningGateway, mock: str, ostiary: Ostiary, tmp_path: Path
) -> None:
    await apply(gateway, mock)
    async with mcp_caller(gateway.url()) as caller:
        assert (await caller.post(modern("tools/list"))).result["tools"]
    found = await run(ostiary, gateway, tmp_path, "-o", "json")
    assert found.code == 0, found.err
    names = {each["name"]: each for each in json.loads(found.out)["names"]}
    assert (names["one_get_user"]["access"], names["one_get_user"]["why"]) == ("use", "rule read allows it")
    assert (names["one_get_users"]["access"], names["one_get_users"]["why"]) == ("-", "rule no-users denies it")
    assert (names["two_get_user"]["access"], names["two_get_user"]["server"]) == ("-", "two")
    seen = await run(ostiary, gateway, tmp_path, "--seen")
    assert "one_get_user " in seen.out
    assert "two_" not in seen.out


async def test_a_server_whose_lists_never_passed_is_named(
    gateway: RunningGateway, mock: str, ostiary: Ostiary, tmp_path: Path
) -> None:
    await apply(gateway, mock, two="http://127.0.0.1:1/mcp")
    async with mcp_caller(gateway.url()) as caller:
        assert (await caller.post(modern("tools/list"))).result["tools"]
    found = await run(ostiary, gateway, tmp_path)
    assert "two_" not in found.out
    assert "server two: no list of it has passed the gateway" in found.err
    assert "server one" not in found.err


async def test_before_a_list_has_passed_it_says_so(
    gateway: RunningGateway, mock: str, ostiary: Ostiary, tmp_path: Path
) -> None:
    await apply(gateway, mock)
    found = await run(ostiary, gateway, tmp_path)
    assert (found.code, found.out) == (0, "")
    assert "no list of a server has passed the gateway yet" in found.err


async def test_a_gateway_that_does_not_serve_the_proxy_is_an_error(
    gateway: RunningGateway, mock: str, ostiary: Ostiary, tmp_path: Path
) -> None:
    await gateway.apply(gateway.entry("other", mock))
    found = await run(ostiary, gateway, tmp_path)
    assert found.code == 2
    assert "it answers 404" in found.err


DOCUMENT = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: mock}
spec: {servers: [{name: up, url: "http://localhost:7881", openapi: {configMapRef: {name: shop, key: d}}}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data:
  d: |
    openapi: 3.1.0
    info: {title: Shop, version: "1"}
    paths: {/a: {get: {operationId: getA}, head: {}}}
"""


async def test_the_operations_of_a_document_are_known_without_a_list_and_what_is_left_out_is_named(
    gateway: RunningGateway, ostiary: Ostiary, tmp_path: Path
) -> None:
    paths = {"/a": {"get": {"operationId": "getA"}, "head": {}}}
    document = {"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": paths}
    server = described(document)
    await gateway.apply(gateway.entry("mock", "http://localhost:7881", server=server))
    found = await run(ostiary, gateway, tmp_path, files=DOCUMENT)
    assert found.code == 0, found.err
    assert "getA" in found.out
    reason = "HEAD /a has the method HEAD, whose answer says nothing to a model"
    assert f"left out of its document: {reason}" in found.err
    as_json = json.loads((await run(ostiary, gateway, tmp_path, "-o", "json", files=DOCUMENT)).out)
    assert as_json["leftOut"] == [{"server": "up", "message": reason}]
