"""Servers behind an egress proxy: through a tunnel with TLS, else by absolute URL, never around an address rule.

The proxy is that of the environment, or of the gateway's settings, which can change while it runs.
"""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp_caller import Reply, mcp_caller, modern
from scripted_server import read_request
from tls_secrets import MountedSecret
from upstreams import Arrived, answer, document, serving

from ostiary_core.contract.documents import EgressProxyConfig as Settings
from ostiary_gateway.errors import StartupError
from ostiary_gateway.upstream.egress import Egress

CALL = modern("tools/call", {"name": "get_users", "arguments": {}}, id=7)
RESULT: dict[str, Any] = {"content": []}
WORDS = base64.b64encode(b"user:pass word").decode()


async def good(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    return document(answer(arrived, {**RESULT, "host": request.headers["Host"]}))


@contextlib.asynccontextmanager
async def proxying(to: int, *, connect: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> AsyncIterator[tuple[int, list[bytes]]]:
    """A proxy that leads everything to one port of loopback; yields its port and the heads that it was sent."""
    heads: list[bytes] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await read_request(reader)
        heads.append(head)
        onward, backward = await asyncio.open_connection("127.0.0.1", to)
        if head.startswith(b"CONNECT"):
            writer.write(connect)
        else:
            line, rest = head.split(b"\r\n", 1)
            method, url, version = line.split(b" ")
            backward.write(b" ".join((method, b"/" + url.split(b"/", 3)[3], version)) + b"\r\n" + rest + body)
        await asyncio.gather(pipe(reader, backward), pipe(onward, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


async def call_via(gateway: RunningGateway, url: str, **entry: Any) -> Reply:
    await gateway.apply(gateway.entry("mock", url, **entry))
    async with mcp_caller(gateway.url()) as caller:
        return await caller.post(CALL)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


async def test_a_server_without_tls_is_asked_for_by_its_whole_url(environment: pytest.MonkeyPatch) -> None:
    async with serving(good) as upstream, proxying(port_of(upstream.url)) as (port, heads):
        environment.setenv("HTTP_PROXY", f"http://user:pass%20word@127.0.0.1:{port}")
        async with running_gateway() as gateway:
            reply = await call_via(gateway, "http://mcp.example.invalid/mcp?x=1")
    assert reply.result["host"] == "mcp.example.invalid"
    assert heads[0].startswith(b"POST http://mcp.example.invalid/mcp?x=1 HTTP/1.1\r\n")
    assert f"\r\nProxy-Authorization: Basic {WORDS}\r\n".encode() in heads[0]


async def test_a_server_with_tls_is_reached_through_a_tunnel(environment: pytest.MonkeyPatch) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(3)
        hellos.append(first)
        writer.close()

    hellos: list[bytes] = []
    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with proxying(server.sockets[0].getsockname()[1]) as (port, heads):
        environment.setenv("HTTPS_PROXY", f"user:pass%20word@127.0.0.1:{port}")
        async with running_gateway() as gateway:
            reply = await call_via(gateway, "https://mcp.example.invalid:8443/mcp")
    server.close()
    assert heads[0].startswith(b"CONNECT mcp.example.invalid:8443 HTTP/1.1\r\nHost: mcp.example.invalid:8443\r\n")
    assert f"Proxy-Authorization: Basic {WORDS}".encode() in heads[0]
    assert hellos[0][:1] == b"\x16", "a handshake of TLS, and nothing of the message, went through"
    assert reply.error["data"]["reason"] in {"UpstreamTLSFailed", "UpstreamEgressFailed"}


async def test_calls_go_through_a_tunnel_and_its_connection_is_kept(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = MountedSecret(tmp_path)
    secret.renew("mcp.example.invalid")
    async with serving(good) as upstream, running_gateway(tls=secret.files) as back:
        await back.apply(back.entry("back", upstream.url))
        async with proxying(back.app.port) as (port, heads):
            environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
            async with running_gateway() as front:
                trusting = {"tls": {"ca": secret.authority.read_text()}, "host": "localhost"}
                for _ in range(3):
                    reply = await call_via(front, "https://mcp.example.invalid/back/mcp", server=trusting)
                    assert reply.result["content"] == []
    assert len(heads) == 1
    assert all(b"get_users" not in head for head in heads)


async def test_a_listed_endpoint_without_tls_is_asked_for_by_its_own_address(environment: pytest.MonkeyPatch) -> None:
    async with serving(good) as upstream, proxying(port_of(upstream.url)) as (port, heads):
        environment.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        async with running_gateway() as gateway:
            listed = {"endpoints": [{"address": "192.0.2.7", "port": 8080}]}
            reply = await call_via(gateway, "http://mcp.example.invalid/mcp?x=1", server=listed)
    assert reply.result["host"] == "mcp.example.invalid"
    assert heads[0].startswith(b"POST http://192.0.2.7:8080/mcp?x=1 HTTP/1.1\r\n")


async def test_a_listed_endpoint_with_tls_is_reached_through_a_tunnel_to_its_address(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = MountedSecret(tmp_path)
    secret.renew("mcp.example.invalid")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secret.files.certificate, secret.files.key)
    async with serving(good, tls=context) as upstream, proxying(port_of(upstream.url)) as (port, heads):
        environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        async with running_gateway() as gateway:
            tls = {"ca": secret.authority.read_text()}
            listed = {"endpoints": [{"address": "192.0.2.7", "port": 8443}], "tls": tls}
            reply = await call_via(gateway, "https://mcp.example.invalid/mcp", server=listed)
    assert reply.result["host"] == "mcp.example.invalid"
    assert heads[0].startswith(b"CONNECT 192.0.2.7:8443 HTTP/1.1\r\n")


async def test_an_address_that_no_proxy_names_and_the_pods_of_a_service_are_connected_to_directly(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    environment.setenv("NO_PROXY", "127.0.0.0/8")
    async with serving(good) as upstream, running_gateway() as gateway:
        listed = {"endpoints": [{"address": "127.0.0.1", "port": port_of(upstream.url)}]}
        for url in ("http://mcp.example.invalid/mcp", "http://crm.sales.svc/mcp"):
            assert "host" in (await call_via(gateway, url, server=listed)).result


@pytest.mark.parametrize(
    "said",
    [
        *[b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"HTTP/1.1 403 Forbidden\r\nX: secret\r\n\r\n"],
        *[b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nmore", b"x" * 20_000],
    ],
)
async def test_a_refusing_egress_proxy_is_reported_as_such_without_its_credentials(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    async with serving(good) as upstream, proxying(port_of(upstream.url), connect=said) as (port, _):
        environment.setenv("HTTPS_PROXY", f"http://user:pass%20word@127.0.0.1:{port}")
        async with running_gateway() as gateway:
            assert (await call_via(gateway, "https://mcp.example.invalid/mcp")).error["data"] == {
                "reason": "UpstreamEgressFailed"
            }
    assert "UpstreamEgressFailed" in caplog.text
    assert "pass" not in caplog.text
    assert WORDS not in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("url", ["http://169.254.169.254/mcp", "https://10.96.0.1/mcp", "http://2130706433/mcp"])
async def test_a_proxy_does_not_bypass_the_judgement_of_addresses(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    async with serving(good) as upstream, proxying(port_of(upstream.url)) as (port, heads):
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            environment.setenv(name, f"http://127.0.0.1:{port}")
        async with running_gateway() as gateway:
            assert (await call_via(gateway, url, addresses=[])).error["data"] == {"reason": "UpstreamAddressForbidden"}
    assert heads == []


async def test_what_is_excepted_and_loopback_are_connected_to_directly(environment: pytest.MonkeyPatch) -> None:
    async with serving(good) as upstream:
        environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        async with running_gateway() as gateway:
            assert "result" in (await call_via(gateway, upstream.url)).json


async def set_to(gateway: RunningGateway, port: int | None, *no_proxy: str) -> None:
    """Have the gateway reload its settings, and nothing else of its config."""
    proxy = None if port is None else Settings(host="127.0.0.1", port=port, no_proxy=list(no_proxy))
    gateway.settings = gateway.settings.model_copy(update={"egress_proxy": proxy})
    await gateway.apply(*gateway.applied)


async def test_a_proxy_of_the_settings_can_change_while_the_gateway_runs(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = MountedSecret(tmp_path)
    secret.renew("mcp.example.invalid")
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serving(good))
        back = await stack.enter_async_context(running_gateway(tls=secret.files))
        await back.apply(back.entry("back", upstream.url))
        ports, heads = zip(*[await stack.enter_async_context(proxying(back.app.port)) for _ in range(3)], strict=True)
        environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{ports[0]}")
        front = await stack.enter_async_context(running_gateway())
        caller = await stack.enter_async_context(mcp_caller(front.url()))
        trusting = {"tls": {"ca": secret.authority.read_text()}, "host": "localhost"}
        await front.apply(front.entry("mock", "https://mcp.example.invalid/back/mcp", server=trusting))
        for proxy, *settings in ((0, None), (1, ports[1]), (2, ports[2]), (0, None), (1, ports[1])):
            before = [len(each) for each in heads]
            await set_to(front, *settings)
            assert (await caller.post(CALL)).result["content"] == []
            assert [number for number in range(3) if len(heads[number]) > before[number]] == [proxy]
        await set_to(front, ports[2], "*.invalid")
        assert (await caller.post(CALL)).error["data"] == {"reason": "UpstreamUnreachable"}
    assert all(head.startswith(b"CONNECT mcp.example.invalid:443 ") for each in heads for head in each)


async def test_a_request_in_flight_ends_on_the_connection_that_it_has_and_none_later_takes_it(
    environment: pytest.MonkeyPatch,
) -> None:
    release, begun = asyncio.Event(), asyncio.Event()
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async def slow(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        begun.set()
        await release.wait()
        return await good(request, arrived)

    async with (
        serving(slow) as upstream,
        proxying(port_of(upstream.url)) as (one, first),
        proxying(port_of(upstream.url)) as (two, second),
        running_gateway() as gateway,
        mcp_caller(gateway.url()) as caller,
    ):
        await gateway.apply(gateway.entry("mock", "http://mcp.example.invalid/mcp"))
        await set_to(gateway, one)
        waiting = asyncio.create_task(caller.post(CALL))
        await begun.wait()
        await set_to(gateway, two)
        release.set()
        assert (await waiting).result["content"] == []
        assert (await caller.post(CALL)).result["content"] == []
    assert len(first) == 1
    assert len(second) == 1


async def test_the_environments_credentials_go_to_no_proxy_of_the_settings(environment: pytest.MonkeyPatch) -> None:
    async with serving(good) as upstream, proxying(port_of(upstream.url)) as (port, heads):
        environment.setenv("HTTP_PROXY", f"http://user:pass%20word@127.0.0.1:{port}")
        async with running_gateway() as gateway, mcp_caller(gateway.url()) as caller:
            await gateway.apply(gateway.entry("mock", "http://mcp.example.invalid/mcp"))
            await set_to(gateway, port)
            assert (await caller.post(CALL)).result["content"] == []
    assert len(heads) == 1
    assert b"Proxy-Authorization" not in heads[0]


async def test_an_address_of_the_api_server_is_refused_as_soon_as_the_settings_name_it(
    environment: pytest.MonkeyPatch,
) -> None:
    forbidden = {"reason": "UpstreamAddressForbidden"}
    url = "http://192.0.2.10:6443/mcp"
    async with (
        serving(good) as upstream,
        proxying(port_of(upstream.url)) as (port, _),
        running_gateway() as gateway,
        mcp_caller(gateway.url()) as caller,
        mcp_caller(gateway.url("granted")) as granted,
    ):
        one, other = (
            gateway.entry("mock", url, addresses=[]),
            gateway.entry("granted", url, addresses=["192.0.2.10/32"]),
        )
        await gateway.apply(one, other)
        await set_to(gateway, port)
        assert (await caller.post(CALL)).result["content"] == []
        gateway.settings = gateway.settings.model_copy(update={"refused_addresses": ["192.0.2.10"]})
        await gateway.apply(one, other)
        assert (await caller.post(CALL)).error["data"] == forbidden
        assert (await granted.post(CALL)).result["content"] == []
        gateway.settings = gateway.settings.model_copy(update={"refused_addresses": None})
        await gateway.apply(one, other)
        assert (await caller.post(CALL)).result["content"] == []


EGRESS = Egress.from_environment(
    {"http_proxy": "http://p:3128", "NO_PROXY": "example.com, .corp,10.0.0.0/8,api.test:8443, *.star ,[fd00::1]"}
)


@pytest.mark.parametrize(
    ("host", "port", "direct"),
    [
        *[("example.com", 80, True), ("a.example.com", 80, True), ("notexample.com", 80, False)],
        *[("db.corp", 80, True), ("corp", 80, True), ("10.1.2.3", 80, True), ("11.1.2.3", 80, False)],
        *[("api.test", 8443, True), ("api.test", 443, False), ("x.star", 80, True), ("fd00::1", 80, True)],
        *[("crm.tools.svc", 80, True), ("crm.tools.svc.cluster.local", 80, True), ("127.0.0.9", 80, True)],
        *[("localhost", 80, True), ("EXAMPLE.com", 80, True), ("mcp.other", 80, False)],
    ],
)
def test_no_proxy_is_read_as_most_programs_read_it(host: str, port: int, direct: bool) -> None:
    assert (EGRESS.proxy_for("http", host, port) is None) is direct
    assert EGRESS.proxy_for("https", host, port) is None


@pytest.mark.parametrize("text", ["https://p:3128", "socks5://p:1080", "http://:80", "http://p:99999", "http://[::1"])
def test_an_unusable_proxy_is_reported_at_the_start_without_its_value(text: str) -> None:
    with pytest.raises(StartupError, match="HTTPS_PROXY") as refused:
        Egress.from_environment({"HTTPS_PROXY": text.replace("://", "://user:secret@")})
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(Egress.from_environment({"HTTPS_PROXY": "http://user:secret@p:3128"}))
