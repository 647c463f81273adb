"""`ostiary discover`: which servers of other operators get an MCPProxy, and under which name."""

from typing import Any

import pytest

from ostiary_operator.api.load import parse_proxy
from ostiary_operator.api.objects import Object, Objects
from ostiary_operator.api.server_kinds import BUILT_IN
from ostiary_operator.compile.foreign_servers import ForeignServer, ServerKey, grants_from_objects
from ostiary_operator.kube.errors import KindMissing
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import PROXY, Kind
from ostiary_operator.view.unproxied_servers import UnproxiedServers, read, written

KEY = ServerKey("toolhive.stacklok.dev", "MCPServer", "crm", "tickets")
SERVER = ForeignServer("http://mcp-tickets-proxy.crm.svc.cluster.local:8080/mcp")


def proxy(*, namespace: str = "crm", name: str = "p", status: Any = None, **server: Any) -> dict[str, Any]:
    spec = {"servers": [{"name": "s", **server}]}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec, "status": status or {}}


def names(found: UnproxiedServers) -> list[str]:
    return [each["metadata"]["name"] for _, each in found.objects]


def test_a_server_without_an_mcpproxy_gets_one_that_is_valid() -> None:
    [(comment, made)] = written({KEY: SERVER}, []).objects
    assert comment == "MCPServer.toolhive.stacklok.dev crm/tickets"
    [server] = parse_proxy(made).spec.servers
    assert server.server_ref is not None
    assert (server.name, server.server_ref.name, server.server_ref.namespace) == ("tickets", "tickets", None)
    assert made["metadata"] == {"name": "tickets", "namespace": "crm"}


@pytest.mark.parametrize(
    "existing",
    [
        proxy(serverRef={"group": KEY.group, "kind": "MCPServer", "name": "tickets"}),
        proxy(
            namespace="a", serverRef={"group": KEY.group, "kind": "MCPServer", "name": "tickets", "namespace": "crm"}
        ),
        proxy(url="http://mcp-tickets-proxy.crm.svc:8080/mcp"),
        proxy(namespace="other", url="http://mcp-tickets-proxy.crm.svc.cluster.local:8080/other"),
        proxy(service={"name": "mcp-tickets-proxy", "port": 8080}),
    ],
)
def test_a_server_that_an_mcpproxy_leads_to_gets_none(existing: dict[str, Any]) -> None:
    assert written({KEY: SERVER}, [existing]).objects == ()


@pytest.mark.parametrize(
    "existing",
    [
        proxy(serverRef={"group": "mcp.x-k8s.io", "kind": "MCPServer", "name": "tickets"}),
        proxy(namespace="a", serverRef={"group": KEY.group, "kind": "MCPServer", "name": "tickets"}),
        proxy(url="http://mcp-tickets-proxy.crm.svc:9090/mcp"),
        proxy(namespace="a", service={"name": "mcp-tickets-proxy", "port": 8080}),
        {
            "metadata": {"name": "broken", "namespace": "crm"},
            "spec": {"servers": [{"url": "http://[", "serverRef": 7}, 3]},
        },
        {"metadata": {"name": "broken", "namespace": "crm"}, "spec": None, "status": {"urls": ["x"], "url": 5}},
    ],
)
def test_an_mcpproxy_of_another_server_does_not_count(existing: dict[str, Any]) -> None:
    assert names(written({KEY: SERVER}, [existing])) == ["tickets"]


def test_what_no_gateway_can_use_is_noted_and_left_out() -> None:
    sse, loop = KEY._replace(name="old"), KEY._replace(name="loop")
    servers = {
        sse: ForeignServer("http://old.crm.svc:8080/sse#old"),
        loop: ForeignServer("https://mcp.example.com/other/mcp"),
    }
    ours = proxy(url="http://x.crm.svc/mcp", status={"url": "https://mcp.example.com/crm/p/mcp"})
    found = written(servers, [ours])
    assert found.objects == ()
    assert [note.partition(" is omitted: ")[2] for note in found.notes] == [
        "its URL is that of our own gateway",
        "it speaks the transport HTTP+SSE, which MCP superseded",
    ]


def test_a_server_that_is_not_ready_gets_one_with_a_comment() -> None:
    [(comment, _)] = written({KEY: ForeignServer(unready="its phase is Pending")}, []).objects
    assert comment.endswith("is not ready: its phase is Pending")


def test_names_that_are_taken_get_the_kind_or_a_number() -> None:
    other, third = KEY._replace(group="mcp.x-k8s.io"), KEY._replace(group="kagent.dev")
    servers = {KEY: ForeignServer(), other: ForeignServer(), third: ForeignServer()}
    existing = proxy(name="tickets", url="http://x.crm.svc/mcp")
    assert names(written(servers, [existing])) == ["tickets-mcpserver", "tickets-2", "tickets-3"]


def test_names_with_dots_become_labels() -> None:
    key = KEY._replace(name="a.b." + "c" * 80)
    [(_, made)] = written({key: SERVER}, []).objects
    assert parse_proxy(made).spec.servers[0].name == "a-b-" + "c" * 59


def test_into_another_namespace_needs_a_reference_grant_which_comes_first() -> None:
    (_, grant), (_, made) = written({KEY: SERVER}, [], into="gateway").objects
    [permitted] = grants_from_objects([grant])["crm"]
    assert permitted.permits("gateway", KEY)
    assert not permitted.permits("crm", KEY)
    assert made["metadata"]["namespace"] == "gateway"
    assert made["spec"]["servers"][0]["serverRef"]["namespace"] == "crm"
    [(_, here)] = written({KEY: SERVER}, [], into="crm").objects
    assert "namespace" not in here["spec"]["servers"][0]["serverRef"]


class WithoutTheirOperators(FakeClient):
    """A cluster in which no operator of others is installed."""

    async def list(self, kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        if kind != PROXY:
            raise KindMissing(kind.resource)
        return await super().list(kind, namespace=namespace, selector=selector)

    async def document(self, path: str) -> Object:
        raise AssertionError(path)


async def test_a_cluster_that_serves_none_of_the_kinds_is_told_apart_from_one_without_servers() -> None:
    found = await read(WithoutTheirOperators(), BUILT_IN, namespace=None)
    [note] = found.notes
    assert note.startswith("the API server serves none of the kinds that are looked for: mcpservers.mcp.x-k8s.io, ")
