import asyncio
from typing import Any

import pytest

from ostiary_operator.local import upstreams
from ostiary_operator.local.manifests import Manifest
from ostiary_operator.local.positions import Places, Position


def proxy(*urls: Any, kind: str = "MCPProxy") -> Manifest:
    servers = [{"name": "s", "url": url} for url in urls]
    value = {"kind": kind, "metadata": {"namespace": "default", "name": "p"}, "spec": {"servers": servers}}
    return Manifest("f.yaml", value, Places(Position(1, 1)))


def urls(manifest: Manifest) -> list[Any]:
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
    assert urls(upstreams.moved([proxy(url)], port=9878)[0]) == [moved]


@pytest.mark.parametrize("spec", [None, [], {"servers": {}}, {"servers": ["x"]}, {"servers": [{}]}])
def test_what_is_no_proxy_is_left_as_it_is(spec: object) -> None:
    manifest = Manifest("f", {"kind": "MCPProxy", "metadata": {"name": "p"}, "spec": spec}, Places(Position(1, 1)))
    assert upstreams.moved([manifest], port=1)[0].value == manifest.value


def test_servers_on_this_machine_are_found_with_their_ports() -> None:
    found = upstreams.local_servers(
        [proxy("http://localhost/mcp"), proxy("https://example.com"), proxy("http://[::1]:5")]
    )
    assert [(server.host, server.port) for server in found] == [("localhost", 80), ("::1", 5)]


def test_a_service_is_known_to_be_out_of_reach() -> None:
    service = proxy()
    service.value["spec"]["servers"].append({"name": "s", "service": {"name": "crm", "port": 80}})
    assert list(upstreams.cluster_only([service, proxy("http://localhost/mcp")])) == ["default/p"]


async def test_a_server_answers_or_not() -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server = upstreams.LocalServer("default/p", "", "127.0.0.1", port)
    assert await upstreams.answers(server)
    listener.close()
    await listener.wait_closed()
    assert not await upstreams.answers(server)
