"""A server with several endpoints: every one gets requests, and all look to it like requests to one server."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest
from aiohttp import web
from gateways import SHORT_TIMEOUTS, RunningGateway, running_gateway
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from prometheus_client.parser import text_string_to_metric_families
from scripted_server import scripted
from tls_secrets import MountedSecret
from upstreams import Arrived, Upstream, answer, document, serving
from waiting import for_ever

from ostiary_core.contract.blocks import BlockedConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument

Entry: TypeAlias = tuple[EntryDocument, dict[str, PolicyDocument]]
#: Two failures in a row take an endpoint out for longer than any test.
PASSIVE = {"passive": {"consecutive_gateway_errors": 2, "base_ejection_time": 3_600_000, "max_ejection_percent": 50}}
CALL = modern("tools/call", {"name": "get_users", "arguments": {}}, id=7)


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway


async def answers(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    return document(answer(arrived, {"content": []}))


def listed(*upstreams: Upstream) -> list[dict[str, Any]]:
    """These servers as the endpoints of one."""
    return [{"address": "127.0.0.1", "port": port_of(each)} for each in upstreams]


def port_of(upstream: Upstream) -> int:
    return int(upstream.url.rpartition(":")[2].partition("/")[0])


async def test_every_listed_endpoint_gets_requests_with_the_host_of_the_url(gateway: RunningGateway) -> None:
    async with AsyncExitStack() as stack:
        three = [await stack.enter_async_context(serving(answers)) for _ in range(3)]
        caller = await stack.enter_async_context(mcp_caller(gateway.url()))
        await gateway.apply(gateway.entry("mock", "http://mock.example:7878/mcp", server={"endpoints": listed(*three)}))
        for _ in range(40):
            assert (await caller.post(CALL)).result == {"content": []}

    assert all(each.arrived for each in three)
    assert {each.headers["Host"] for upstream in three for each in upstream.arrived} == {"mock.example:7878"}


async def test_a_busy_endpoint_gets_no_further_request_while_another_is_free(gateway: RunningGateway) -> None:
    release = asyncio.Event()

    async def waits(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await release.wait()
        return await answers(request, arrived)

    async with serving(waits) as slow, serving(answers) as quick, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", "http://mock.example/mcp", server={"endpoints": listed(slow, quick)}))
        hanging = asyncio.create_task(slow.first("tools/call"))
        call = asyncio.create_task(caller.post(CALL))
        while not hanging.done():
            call = call if not call.done() else asyncio.create_task(caller.post(CALL))
            await asyncio.wait([call, hanging], return_when=asyncio.FIRST_COMPLETED)
        before = len(quick.arrived)
        for _ in range(20):
            assert (await caller.post(CALL)).result == {"content": []}
        assert len(slow.arrived) == 1
        assert len(quick.arrived) >= before + 20
        release.set()
        assert (await call).result == {"content": []}


async def test_an_address_that_is_forbidden_is_refused_as_an_endpoint_too(gateway: RunningGateway) -> None:
    metadata = [{"address": "169.254.169.254", "port": 80}]
    async with mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", "http://mock.example/mcp", server={"endpoints": metadata}))
        response = await caller.post(CALL)
    assert response.json["error"]["data"]["reason"] == "UpstreamAddressForbidden"


async def test_an_endpoint_that_accepts_and_says_nothing_is_taken_out(gateway: RunningGateway) -> None:
    async with scripted(silent) as port, serving(answers) as quick, mcp_caller(gateway.url()) as caller:
        endpoints = [{"address": "127.0.0.1", "port": port}, *listed(quick)]
        await gateway.apply(pooled(gateway, endpoints, health_check=PASSIVE, timeouts=SHORT_TIMEOUTS))
        await until_ejected(gateway, caller)
        for _ in range(20):
            assert (await caller.post(CALL)).result == {"content": []}
        report = await reported(gateway)
        counted = await metrics(gateway)
    assert report == {"source": "Static", "ready": 1, "ejected": 1}
    assert counted["ostiary_upstream_endpoints", "ejected"] == 1
    assert counted["ostiary_upstream_endpoints", "ready"] == 1
    assert counted["ostiary_upstream_endpoint_ejections_total", "UpstreamTimeout"] == 1


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_an_endpoint_that_answers_probes_only_is_taken_out_all_the_same(
    gateway: RunningGateway, status: int
) -> None:
    async def liar(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "ping":
            return document(answer(arrived, {}))
        return web.Response(status=status)

    probing = {**PASSIVE, "active": {"interval": 20, "timeout": 30_000, "unhealthy_threshold": 2}}
    async with serving(liar) as lying, serving(answers) as honest, mcp_caller(gateway.url()) as caller:
        await gateway.apply(pooled(gateway, listed(lying, honest), health_check=probing))
        await until_ejected(gateway, caller)
        probes = lying.count("ping")
        await eventually(lambda: lying.count("ping") > probes + 3)
        calls = lying.count("tools/call")
        for _ in range(20):
            assert (await caller.post(CALL)).result == {"content": []}
    assert lying.count("tools/call") == calls
    assert honest.count("ping") > 0


async def test_a_tool_that_fails_takes_no_endpoint_out(gateway: RunningGateway) -> None:
    async def failing(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if len(one.arrived) % 2:
            return document(answer(arrived, {"content": [], "isError": True}))
        return document({"jsonrpc": "2.0", "id": 7, "error": {"code": -32603, "message": "no"}}, status=500)

    async with serving(failing) as one, serving(failing) as other, mcp_caller(gateway.url()) as caller:
        await gateway.apply(pooled(gateway, listed(one, other), health_check=PASSIVE))
        for _ in range(40):
            await caller.post(CALL)
    assert await reported(gateway) == {"source": "Static", "ready": 2}


async def test_an_address_that_the_settings_block_is_not_used_and_the_others_serve_on(gateway: RunningGateway) -> None:
    async with serving(answers) as one, serving(answers) as other, mcp_caller(gateway.url()) as caller:
        gateway.settings = gateway.settings.model_copy(
            update={"blocked": BlockedConfig(upstreams=[f"127.0.0.1:{port_of(one)}"])}
        )
        await gateway.apply(pooled(gateway, listed(one, other)))
        for _ in range(20):
            assert (await caller.post(CALL)).result == {"content": []}
        assert one.arrived == []
        assert await reported(gateway) == {"source": "Static", "ready": 1, "blocked": 1}

        gateway.settings = gateway.settings.model_copy(update={"blocked": None})
        await gateway.apply(pooled(gateway, listed(one, other)))
        for _ in range(20):
            assert (await caller.post(CALL)).result == {"content": []}
        assert one.arrived


async def test_with_every_address_blocked_the_refusal_says_so(gateway: RunningGateway) -> None:
    async with serving(answers) as one, mcp_caller(gateway.url()) as caller:
        gateway.settings = gateway.settings.model_copy(update={"blocked": BlockedConfig(upstreams=["127.0.0.1"])})
        await gateway.apply(pooled(gateway, listed(one)))
        response = await caller.post(CALL)
    assert response.json["error"]["data"]["reason"] == "UpstreamBlocked"


async def test_endpoints_prove_by_their_certificate_that_they_are_the_server_of_the_url(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    secret = MountedSecret(tmp_path)
    secret.renew("crm.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secret.files.certificate, secret.files.key)
    tls = {"ca": secret.authority.read_text()}
    async with serving(answers, tls=context) as one, mcp_caller(gateway.url()) as caller:
        await gateway.apply(pooled(gateway, listed(one), url="https://crm.example/mcp", tls=tls))
        assert (await caller.post(CALL)).result == {"content": []}
        assert one.arrived[0].headers["Host"] == "crm.example"

        await gateway.apply(pooled(gateway, listed(one), url="https://other.example/mcp", tls=tls))
        assert (await caller.post(CALL)).json["error"]["data"]["reason"] == "UpstreamTLSFailed"


async def test_a_redirect_of_an_endpoint_to_another_path_is_followed_at_that_endpoint(gateway: RunningGateway) -> None:
    async def redirecting(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if request.path == "/mcp":
            return web.Response(status=307, headers={"Location": "http://mock.example/mcp/"})
        return await answers(request, arrived)

    async with serving(redirecting) as one, serving(answers) as other, mcp_caller(gateway.url()) as caller:
        await gateway.apply(pooled(gateway, listed(one, other)))
        for _ in range(20):
            assert (await caller.post(CALL)).result == {"content": []}
    assert len(one.arrived) > 1


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await for_ever()


def pooled(
    gateway: RunningGateway, endpoints: list[dict[str, Any]], *, url: str = "http://mock.example/mcp", **server: Any
) -> Entry:
    """A proxy whose server has these endpoints."""
    return gateway.entry("mock", url, server={"endpoints": endpoints, **server})


async def until_ejected(gateway: RunningGateway, caller: McpCaller) -> None:
    """Call until an endpoint was taken out."""

    async def is_ejected() -> bool:
        await caller.post(CALL)
        return "ejected" in await reported(gateway)

    await eventually(is_ejected)


async def reported(gateway: RunningGateway) -> dict[str, Any]:
    """What the operator is told of the server's endpoints."""
    report = json.loads(await page(gateway, "/config"))
    endpoints: dict[str, Any] = report["entries"]["default/mock"]["servers"]["up"]["endpoints"]
    return endpoints


async def metrics(gateway: RunningGateway) -> dict[tuple[str, str], float]:
    """The samples by name and by state or reason."""
    text = await page(gateway, "/metrics")
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {(s.name, s.labels.get("state") or s.labels.get("reason") or ""): s.value for s in samples}


async def page(gateway: RunningGateway, path: str) -> str:
    """A page of the admin port."""
    url = f"http://127.0.0.1:{gateway.app.admin_port}{path}"
    headers = {"Authorization": f"Bearer {gateway.admin_token.decode()}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        return await (await http.get(url)).text()
