"""Servers are told the endpoints of their Services, whatever the API server does; tests/cluster uses a real one."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from configs import entry
from endpoint_slices import NAMESPACE, endpoint, endpoint_slice
from fake_api import FakeApi, fake_api
from gateways import LONG_TIMEOUTS
from mcp_clients import eventually

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_resilience import DiscoveryConfig
from ostiary_gateway.config import watch_loop
from ostiary_gateway.endpoint_discovery import discovery as discovery_module
from ostiary_gateway.endpoint_discovery.discovery import EndpointDiscovery
from ostiary_gateway.endpoint_discovery.own_location import OwnPod
from ostiary_gateway.options import KubernetesOptions
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.pools import ServerPools
from ostiary_gateway.upstream.server import UpstreamServer

GATEWAY = "ostiary/default"
POD = OwnPod(name="gw-0", uid="uid-gw-0", address="10.1.0.1")


class Scene:
    """An API server, and the servers of a gateway that observes their endpoints."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.options = KubernetesOptions(api.url, api.token_file, api.ca_file)
        self.pools = ServerPools(OwnEndpoints())
        self.zones: list[str] = []
        self.observed = EndpointDiscovery(GATEWAY, self.options, pod=POD, located=self.zones.append)

    def server(
        self, service: str = "crm", *, namespace: str = NAMESPACE, port_name: str = "http", managed: bool = True
    ) -> UpstreamServer:
        found = DiscoveryConfig(namespace=namespace, service=service, port=80, port_name=port_name, managed=managed)
        url = f"http://{service}.{namespace}.svc/mcp"
        document = ServerConfig(name="up", url=url, timeouts=LONG_TIMEOUTS, discovery=found)
        return self.pools.take(entry(f"{namespace}-{service}", servers=[document]))[0]

    @property
    def lists(self) -> list[dict[str, str]]:
        """The queries of the lists of the servers' namespace."""
        return [query for namespace, query in self.api.slices.lists if namespace == NAMESPACE]

    def serve(self, *servers: UpstreamServer) -> None:
        """Put a config with one proxy for each of these servers in force."""
        proxies: Any = {str(number): SimpleNamespace(servers=(each,)) for number, each in enumerate(servers)}
        self.observed.on_swap(SimpleNamespace(proxies=proxies), frozenset({"changed"}))


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(watch_loop, "_BACKOFF", (0.02, 0.05))
    async with fake_api(tmp_path) as api:
        scene = Scene(api)
        yield scene
        await scene.observed.close()
        await scene.pools.close()


def places(server: UpstreamServer) -> list[str]:
    """Where a server is reached; its Service's name where nothing else is known."""
    assert server.endpoints is not None
    return [server.address if each.where is None else each.where.title for each in server.endpoints]


def state(server: UpstreamServer) -> tuple[str, str]:
    """What says where a server is reached, and why it is not the slices."""
    assert server.endpoints is not None
    problem = server.endpoints.problem
    return server.endpoints.source, problem[0] if problem is not None else ""


async def reached_at(server: UpstreamServer, *wanted: str) -> None:
    await eventually(lambda: places(server) == list(wanted))


async def test_a_server_is_reached_at_the_endpoints_of_its_service_and_at_its_name_until_they_are_known(
    scene: Scene,
) -> None:
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1"), endpoint("10.0.0.2")]))
    scene.api.slices.put(endpoint_slice("wiki-1", [endpoint("10.0.9.9")], service="wiki"))
    server = scene.server()
    scene.serve(server)
    assert places(server) == ["crm.team.svc"]
    assert state(server) == ("Service", "NotListedYet")
    await reached_at(server, "10.0.0.1:8080", "10.0.0.2:8080")
    assert state(server) == ("EndpointSlices", "")


async def test_each_change_of_a_slice_reaches_the_server(scene: Scene) -> None:
    server = scene.server()
    scene.serve(server)
    await reached_at(server)
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    await reached_at(server, "10.0.0.1:8080")
    scene.api.slices.put(endpoint_slice("crm-2", [endpoint("10.0.0.2")]))
    await reached_at(server, "10.0.0.1:8080", "10.0.0.2:8080")
    scene.api.slices.delete(NAMESPACE, "crm-1")
    await reached_at(server, "10.0.0.2:8080")
    scene.api.slices.put(endpoint_slice("crm-2", [endpoint("10.0.0.2")], service="wiki"))
    await reached_at(server)


async def test_a_list_of_many_pages_is_one_list(scene: Scene) -> None:
    for number in range(50):
        scene.api.slices.put(endpoint_slice(f"crm-{number}", [endpoint(f"10.0.0.{number}")]))
    server = scene.server()
    scene.serve(server)
    await eventually(lambda: len(places(server)) == 50)
    assert [query.get("continue", "") for query in scene.lists] == ["", "20", "40"]


async def test_one_watch_serves_all_servers_of_a_namespace_and_asks_for_their_services_only(scene: Scene) -> None:
    servers = [scene.server("crm"), scene.server("wiki"), scene.server("crm", port_name="admin")]
    scene.serve(*servers)
    ports = {"http": 8080, "admin": 9000}
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")], ports=ports))
    await reached_at(servers[0], "10.0.0.1:8080")
    await reached_at(servers[2], "10.0.0.1:9000")
    assert places(servers[1]) == []
    await eventually(lambda: scene.api.slices.watched == [NAMESPACE])
    assert {each["labelSelector"] for each in scene.lists} == {"kubernetes.io/service-name in (crm,wiki)"}


async def test_of_very_many_services_all_slices_are_watched_since_a_url_has_a_bound(scene: Scene) -> None:
    servers = [scene.server(f"crm-{number}") for number in range(51)]
    scene.serve(*servers)
    scene.api.slices.put(endpoint_slice("a", [endpoint("10.0.0.7")], service="crm-7"))
    scene.api.slices.put(endpoint_slice("b", [endpoint("10.0.0.9")], service="other"))
    await reached_at(servers[7], "10.0.0.7:8080")
    assert all("labelSelector" not in query for query in scene.lists)


async def test_a_new_config_starts_and_ends_watches_and_keeps_what_is_known(scene: Scene) -> None:
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    scene.api.slices.put(
        endpoint_slice("wiki-1", [endpoint("10.0.0.9", namespace="docs")], service="wiki", namespace="docs")
    )
    old = scene.server()
    scene.serve(old)
    await reached_at(old, "10.0.0.1:8080")

    edited, other = scene.server(managed=False), scene.server("wiki", namespace="docs")
    scene.serve(edited, other)
    assert places(edited) == ["10.0.0.1:8080"], "a new server of a known Service is never reached by its name"
    await reached_at(other, "10.0.0.9:8080")
    await eventually(lambda: scene.api.slices.watched == ["docs", NAMESPACE])

    scene.serve(other)
    await eventually(lambda: scene.api.slices.watched == ["docs"])
    assert places(other) == ["10.0.0.9:8080"]


async def test_an_edit_of_one_proxy_does_not_concern_the_servers_of_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    crm, other = scene.server("crm"), scene.server("crm", managed=False)
    scene.serve(crm)
    await reached_at(crm, "10.0.0.1:8080")
    told: list[object] = []
    monkeypatch.setattr(crm.endpoints, "set_places", told.append)
    scene.serve(crm, other)
    assert (places(other), told) == (["10.0.0.1:8080"], [])
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.2")]))
    await reached_at(other, "10.0.0.2:8080")
    assert len(told) == 1


async def test_a_further_service_of_a_namespace_costs_the_others_nothing(scene: Scene) -> None:
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    scene.api.slices.put(endpoint_slice("wiki-1", [endpoint("10.0.0.2")], service="wiki"))
    crm, wiki = scene.server("crm"), scene.server("wiki")
    scene.serve(crm)
    await reached_at(crm, "10.0.0.1:8080")
    scene.serve(crm, wiki)
    assert places(crm) == ["10.0.0.1:8080"]
    assert state(wiki) == ("Service", "NotListedYet")
    await reached_at(wiki, "10.0.0.2:8080")


async def test_the_last_known_endpoints_stay_while_the_api_server_is_away(scene: Scene) -> None:
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    server = scene.server()
    scene.serve(server)
    await reached_at(server, "10.0.0.1:8080")

    scene.api.away = True
    scene.api.slices.end_watches()
    await eventually(lambda: state(server) == ("EndpointSlices", "ApiUnavailable"))
    assert places(server) == ["10.0.0.1:8080"]

    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.2")]))
    scene.api.away = False
    await reached_at(server, "10.0.0.2:8080")
    assert state(server) == ("EndpointSlices", "")


async def test_without_the_right_a_server_is_reached_by_its_name_until_the_right_is_granted(scene: Scene) -> None:
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    scene.api.slices.forbidden.add(NAMESPACE)
    server = scene.server()
    scene.serve(server)
    await eventually(lambda: state(server) == ("Service", "NotPermitted"))
    assert places(server) == ["crm.team.svc"]
    assert server.endpoints is not None
    assert server.endpoints.problem is not None
    assert "in namespace team" in server.endpoints.problem[1]

    scene.api.slices.forbidden.clear()
    await reached_at(server, "10.0.0.1:8080")
    scene.api.slices.forbidden.add(NAMESPACE)
    scene.api.slices.end_watches()
    await eventually(lambda: state(server) == ("Service", "NotPermitted"))
    assert places(server) == ["crm.team.svc"], "a list that never changes again leads to Pods that are gone"


async def test_one_namespace_without_the_right_costs_the_others_nothing(scene: Scene) -> None:
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    scene.api.slices.forbidden.add("docs")
    crm, wiki = scene.server("crm"), scene.server("wiki", namespace="docs")
    scene.serve(crm, wiki)
    await eventually(lambda: state(wiki) == ("Service", "NotPermitted"))
    await reached_at(crm, "10.0.0.1:8080")


async def test_where_the_api_is_not_watched_a_server_is_reached_by_its_name(scene: Scene) -> None:
    unwatched = EndpointDiscovery(GATEWAY, None, pod=OwnPod())
    server = scene.server()
    snapshot: Any = SimpleNamespace(proxies={"one": SimpleNamespace(servers=(server,))})
    unwatched.on_swap(snapshot, frozenset({"one"}))
    assert places(server) == ["crm.team.svc"]
    assert state(server) == ("Service", "NotWatched")
    assert unwatched.not_ready() is None
    await unwatched.close()


async def test_an_expired_watch_begins_with_a_list_again(scene: Scene) -> None:
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    server = scene.server()
    scene.serve(server)
    await reached_at(server, "10.0.0.1:8080")
    await eventually(lambda: scene.api.slices.watched == [NAMESPACE])
    scene.api.slices.say({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.2")]))
    await reached_at(server, "10.0.0.2:8080")


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[]\n",
        b'{"type": "ADDED"}\n',
        json.dumps({"type": "ADDED", "object": {"metadata": {"name": [1]}, "endpoints": {}}}).encode() + b"\n",
        json.dumps({"type": "MODIFIED", "object": {"metadata": None}}).encode() + b"\n",
        json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7"}}}).encode() + b"\n",
        json.dumps({"type": "ERROR", "object": {"code": 500}}).encode() + b"\n",
    ],
)
async def test_whatever_an_event_holds_the_next_change_is_seen(scene: Scene, line: bytes) -> None:
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    server = scene.server()
    scene.serve(server)
    await reached_at(server, "10.0.0.1:8080")
    await eventually(lambda: scene.api.slices.watched == [NAMESPACE])
    scene.api.slices.say(line)
    scene.api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.2")]))
    await reached_at(server, "10.0.0.2:8080")


async def test_more_endpoints_than_the_bound_are_reported(scene: Scene) -> None:
    many = [endpoint(f"10.{number // 250}.0.{number % 250}", pod=str(number)) for number in range(1000)]
    scene.api.slices.put(endpoint_slice("crm-1", many))
    scene.api.slices.put(endpoint_slice("crm-2", [endpoint("10.9.0.1"), endpoint("10.9.0.2")]))
    server = scene.server()
    scene.serve(server)
    await eventually(lambda: state(server) == ("EndpointSlices", "TooManyEndpoints"))
    assert len(places(server)) == 1000


async def test_the_gateway_waits_for_the_first_list_but_not_for_long(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scene.observed.not_ready() is None
    scene.api.tokens.clear()
    scene.api.away = True
    scene.serve(scene.server())
    assert scene.observed.not_ready() == "endpoints not listed yet"
    await eventually(lambda: scene.observed.not_ready() is None)  # it cannot be listed: readiness does not depend on it

    monkeypatch.setattr(discovery_module, "_FIRST_LIST_SECONDS", -1.0)
    late = EndpointDiscovery(GATEWAY, scene.options, pod=POD)
    snapshot: Any = SimpleNamespace(proxies={"one": SimpleNamespace(servers=(scene.server(),))})
    late.on_swap(snapshot, frozenset({"one"}))
    assert late.not_ready() is None
    await late.close()


async def test_the_zone_of_the_gateway_is_found_in_the_slices_of_its_own_service(scene: Scene) -> None:
    near, far = endpoint("10.0.0.2", zones=["a"]), endpoint("10.0.0.1", zones=["b"])
    scene.api.slices.put(endpoint_slice("crm-1", [far, near]))
    server = scene.server()
    scene.serve(server)
    await reached_at(server, "10.0.0.1:8080", "10.0.0.2:8080")
    assert near_places(server) == []

    own = endpoint("10.1.0.1", pod="uid-gw-0", node="n1", zone="a", namespace="ostiary")
    found = endpoint_slice("gw-1", [endpoint("10.1.0.9", namespace="ostiary", zone="z"), own], namespace="ostiary")
    found["metadata"]["labels"]["ostiary.dev/gateway"] = "default"
    scene.api.slices.put(found)
    await eventually(lambda: near_places(server) == ["10.0.0.2:8080"])
    assert scene.zones == ["a"]


def near_places(server: UpstreamServer) -> list[str]:
    assert server.endpoints is not None
    return [each.where.title for each in server.endpoints if each.where is not None and each.where.is_near]
