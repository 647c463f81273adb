import asyncio
import errno
import socket
from typing import Any

import pytest

from ostiary_operator.local import upstreams
from ostiary_operator.local.manifests import ObjectManifest
from ostiary_operator.local.yaml_positions import Places, Position


def proxy(*urls: Any, kind: str = "MCPProxy") -> ObjectManifest:
    servers = [{"name": "s", "url": url} for url in urls]
    value = {"kind": kind, "metadata": {"namespace": "default", "name": "p"}, "spec": {"servers": servers}}
    return ObjectManifest("f.yaml", value, Places(Position(1, 1)))


def urls(manifest: ObjectManifest) -> list[Any]:
    return [server["url"] for server in manifest.value["spec"]["servers"]]


@pytest.mark.parametrize(
    ("url", "moved"),
    [
        ("http://localhost:7878/mcp", "http://localhost:9878/mcp"),
        ("http://127.0.0.1:7878/mcp", "http://127.0.0.1:9878/mcp"),
        ("http://[::1]:7878/mcp", "http://[::1]:9878/mcp"),
        ("http://localhost:3001/mcp", "http://localhost:3001/mcp"),
        ("http://mock.tools:7878/mcp", "http://mock.tools:7878/mcp"),
        ("http://localhost:port/mcp", "http://localhost:port/mcp"),
        ("http://[/mcp", "http://[/mcp"),
        (7878, 7878),
    ],
)
def test_the_mock_servers_port_is_moved_on_this_machine_and_nowhere_else(url: object, moved: object) -> None:
    assert urls(upstreams.moved([proxy(url)], ports={7878: 9878})[0]) == [moved]


def test_each_port_is_moved_to_its_own() -> None:
    manifest = proxy("http://localhost:7878/mcp", "http://localhost:7879/mcp", "http://localhost:7880/mcp")
    moved = upstreams.moved([manifest], ports={7878: 7879, 7879: 7880, 7880: 7880})
    assert urls(moved[0]) == [f"http://localhost:{port}/mcp" for port in (7879, 7880, 7880)]


@pytest.mark.parametrize("spec", [None, [], {"servers": {}}, {"servers": ["x"]}, {"servers": [{}]}])
def test_what_is_no_proxy_is_left_as_it_is(spec: object) -> None:
    manifest = ObjectManifest(
        "f", {"kind": "MCPProxy", "metadata": {"name": "p"}, "spec": spec}, Places(Position(1, 1))
    )
    assert upstreams.moved([manifest], ports={7878: 1})[0].value == manifest.value


def test_servers_on_this_machine_are_found_with_their_ports() -> None:
    found = upstreams.local_servers(
        [proxy("http://localhost/mcp"), proxy("https://example.com"), proxy("http://[::1]:5")]
    )
    assert [(server.host, server.port) for server in found] == [("localhost", 80), ("::1", 5)]


def test_endpoints_stand_for_the_url_of_their_server() -> None:
    pool = proxy("http://pool.example:80/mcp")
    pool.value["spec"]["servers"][0]["endpoints"] = [
        {"address": "127.0.0.1", "port": 7878},
        {"address": "::1", "port": 7882},
        {"address": "127.0.0.1"},
        "nonsense",
    ]
    found = list(upstreams.local_servers([pool]))
    assert [server.url for server in found] == ["http://127.0.0.1:7878/mcp", "http://[::1]:7882/mcp"]
    moved = upstreams.moved([pool], ports={7878: 9878, 7882: 9882})[0].value["spec"]["servers"][0]
    assert [each["port"] for each in moved["endpoints"][:2]] == [9878, 9882]
    assert moved["endpoints"][2:] == [{"address": "127.0.0.1"}, "nonsense"]


def test_other_servers_are_known_too() -> None:
    found = upstreams.named_servers([proxy("https://example.com/mcp", "http://[/mcp", 7)])
    assert [(server.host, server.port) for server in found] == [("example.com", 443)]


def test_a_service_is_known_to_be_out_of_reach() -> None:
    service = proxy()
    service.value["spec"]["servers"].append({"name": "s", "service": {"name": "crm", "port": 80}})
    assert list(upstreams.cluster_only([service, proxy("http://localhost/mcp")])) == ["default/p"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_server_answers_or_the_reason_is_reported(host: str) -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server = upstreams.NamedServer("default/p", "", host, port)
    assert await upstreams.fault(server) is None
    listener.close()
    await listener.wait_closed()
    assert await upstreams.fault(server) == f"nothing listens on port {port} yet; start that server"


@pytest.mark.parametrize(
    ("host", "error", "words"),
    [
        ("crm.example.com", socket.gaierror(-2, "Name or service not known"), "see whether DNS works here"),
        ("crm.sales.svc", socket.gaierror(-2, "Name or service not known"), "resolves only in a cluster"),
        ("192.0.2.1", OSError(errno.ENETUNREACH, "x"), "network is unreachable; see the network"),
        ("192.0.2.1", TimeoutError(errno.ETIMEDOUT, "x"), "connection timed out; see the network"),
    ],
)
async def test_an_unreachable_network_is_reported_with_its_cause(
    host: str, error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    by_name = isinstance(error, socket.gaierror)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo" if by_name else "x", fail, raising=False)
    monkeypatch.setattr(upstreams.asyncio, "open_connection", fail)  # type: ignore[attr-defined]  # the module's own
    found = await upstreams.fault(upstreams.NamedServer("default/p", "", host, 80))
    assert found is not None
    assert words in found
