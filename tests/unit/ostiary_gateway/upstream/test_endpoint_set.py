"""The endpoints of one server: which ones get requests, and what becomes of those that are no longer listed."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from gateways import LONG_TIMEOUTS
from mcp_clients import eventually
from scripted_server import scripted
from upstream_pool import OK, body

from ostiary_core.contract.documents import ServerConfig, TimeoutsConfig
from ostiary_core.contract.server_resilience import DiscoveryConfig, EndpointConfig
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.endpoint_place import EndpointPlace
from ostiary_gateway.upstream.endpoint_set import EndpointSet
from ostiary_gateway.upstream.server import UpstreamServer

DISCOVERY = DiscoveryConfig(namespace="crm", service="crm", port=80, port_name="http", managed=True)


def discovered(*, mark: str = "m") -> EndpointSet:
    """The endpoints of a server that is a Service."""
    document = ServerConfig(name="up", url="http://crm.crm.svc/mcp", timeouts=LONG_TIMEOUTS, discovery=DISCOVERY)
    server = UpstreamServer(document, own=OwnEndpoints(), connections=10, proxy="default/a", mark=mark)
    assert server.endpoints is not None
    return server.endpoints


def at_loopback() -> UpstreamServer:
    """A server that is a Service with its endpoints on loopback."""
    document = ServerConfig(
        name="up", url="http://crm.crm.svc/mcp", timeouts=LONG_TIMEOUTS, discovery=DISCOVERY, addresses=["127.0.0.0/8"]
    )
    return UpstreamServer(document, own=OwnEndpoints(), connections=10, proxy="default/a", mark="m")


def place(number: int, identity: str = "", *, is_near: bool = False, is_draining: bool = False) -> EndpointPlace:
    identity = identity or f"uid-{number}"
    return EndpointPlace(f"10.0.0.{number}", 8080, identity, is_near=is_near, is_draining=is_draining)


def picked(endpoints: EndpointSet, excluded: Sequence[UpstreamEndpoint] = (), count: int = 200) -> set[str]:
    return {title(endpoints.pick(excluded=excluded)) for _ in range(count)}


def title(endpoint: UpstreamEndpoint) -> str:
    return endpoint.where.address if endpoint.where is not None else "URL"


def test_until_it_is_known_which_endpoints_there_are_the_host_of_the_url_is_used() -> None:
    endpoints = discovered()
    assert picked(endpoints) == {"URL"}

    endpoints.set_places([place(1)])
    assert picked(endpoints) == {"10.0.0.1"}
    endpoints.set_places(None)
    assert picked(endpoints) == {"URL"}
    assert endpoints.pick().key == b""


def test_every_ready_endpoint_gets_requests() -> None:
    endpoints = discovered()
    endpoints.set_places([place(1), place(2), place(3)])
    assert picked(endpoints) == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}


@pytest.mark.parametrize(("connect", "seconds"), [(60_000, 1.5), (1_000, 1.0)])
def test_connecting_leaves_a_request_the_time_to_go_to_another_endpoint(connect: int, seconds: float) -> None:
    timeouts = TimeoutsConfig(connect=connect, request=3_000, idle=60_000)
    places = [EndpointConfig(address=f"10.0.0.{number}", port=80) for number in (1, 2)]
    for listed, found in ((places, seconds), (None, connect / 1000)):
        document = ServerConfig(name="up", url="http://crm.example/mcp", timeouts=timeouts, endpoints=listed)
        server = UpstreamServer(document, own=OwnEndpoints(), connections=1, proxy="default/a", mark="m")
        assert {each.route.dialer.seconds for each in server._each} == {found}


def test_a_service_without_endpoints_fails_at_once() -> None:
    endpoints = discovered()
    endpoints.set_places([])
    with pytest.raises(UpstreamFault, match="no endpoint that is ready") as caught:
        endpoints.pick()
    assert caught.value.kind == "UpstreamUnreachable"


def test_a_draining_endpoint_gets_only_what_is_pinned_to_it() -> None:
    endpoints = discovered()
    endpoints.set_places([place(1), place(2)])
    key = next(each for each in endpoints if title(each) == "10.0.0.1").key
    endpoints.set_places([place(1, is_draining=True), place(2)])

    assert picked(endpoints) == {"10.0.0.2"}
    assert title(endpoints.pick(pinned=key)) == "10.0.0.1"


def test_with_nothing_ready_those_that_drain_serve_on() -> None:
    endpoints = discovered()
    endpoints.set_places([place(1, is_draining=True)])
    assert picked(endpoints) == {"10.0.0.1"}


def test_near_endpoints_are_preferred_and_others_used_when_none_is_left() -> None:
    endpoints = discovered()
    endpoints.set_places([place(1, is_near=True), place(2), place(3, is_near=True)])
    assert picked(endpoints) == {"10.0.0.1", "10.0.0.3"}

    near = [each for each in endpoints if each.is_near]
    assert picked(endpoints, near) == {"10.0.0.2"}


def test_listed_endpoints_in_our_zone_are_preferred_once_that_is_known() -> None:
    listed = [EndpointConfig(address=f"10.0.0.{number}", port=80, zone=zone) for number, zone in enumerate(["a", "b"])]
    document = ServerConfig(name="up", url="http://crm/mcp", timeouts=LONG_TIMEOUTS, endpoints=listed)
    server = UpstreamServer(document, own=OwnEndpoints(), connections=10, proxy="default/a", mark="m")
    assert server.endpoints is not None
    kept = set(server.endpoints)
    assert picked(server.endpoints) == {"10.0.0.0", "10.0.0.1"}

    server.set_zone("b")
    assert picked(server.endpoints) == {"10.0.0.1"}
    server.set_zone("c")
    assert picked(server.endpoints) == {"10.0.0.0", "10.0.0.1"}
    assert set(server.endpoints) == kept


def test_what_is_excluded_is_picked_only_if_there_is_no_other() -> None:
    endpoints = discovered()
    endpoints.set_places([place(1), place(2)])
    first = endpoints.pick()
    second = endpoints.pick(excluded=[first])
    assert second is not first

    assert endpoints.another([first, second]) is None
    assert endpoints.pick(excluded=[first, second]) in {first, second}
    assert endpoints.pick(pinned=first.key, excluded=[first]) is second


def test_an_endpoint_that_stays_in_the_list_is_the_same_with_its_connections() -> None:
    endpoints = discovered()
    endpoints.set_places([place(1), place(2)])
    before = {title(each): each for each in endpoints}
    endpoints.set_places([place(2, is_near=True), place(3)])
    after = {title(each): each for each in endpoints}

    assert after["10.0.0.2"] is before["10.0.0.2"]
    assert after["10.0.0.2"].is_near
    assert endpoints.find(before["10.0.0.1"].key) is None
    assert before["10.0.0.1"].is_gone


def test_another_pod_at_the_same_address_is_another_endpoint() -> None:
    endpoints = discovered()
    endpoints.set_places([place(1, "old")])
    old = endpoints.pick()
    endpoints.set_places([place(1, "new")])

    assert endpoints.pick() is not old
    assert endpoints.find(old.key) is None


def test_keys_are_those_of_the_pod_and_differ_by_proxy() -> None:
    one, again, other = discovered(), discovered(), discovered(mark="n")
    for each in (one, again, other):
        each.set_places([place(1)])
    again.set_places([EndpointPlace("10.9.9.9", 1, "uid-1")])

    assert one.pick().key == again.pick().key != other.pick().key
    assert len(one.pick().key) == 8


def test_one_that_is_gone_lingers_until_its_requests_have_ended() -> None:
    endpoints = discovered()
    endpoints.set_places([place(1)])
    busy = endpoints.pick()
    endpoints.open(busy)
    endpoints.set_places([place(2)])
    assert busy in set(endpoints)
    assert picked(endpoints) == {"10.0.0.2"}

    endpoints.release(busy, None, None)
    assert busy not in set(endpoints)
    assert endpoints.open_requests == 0


def test_an_endpoint_that_keeps_its_requests_gets_hardly_any_more() -> None:
    endpoints = discovered()
    endpoints.set_places([place(number) for number in range(1, 9)])
    hanging = {f"10.0.0.{number}" for number in range(1, 5)}
    got: Counter[bool] = Counter()
    for _ in range(1000):
        endpoint = endpoints.pick()
        got[title(endpoint) in hanging] += 1
        endpoints.open(endpoint)
        if title(endpoint) not in hanging:
            endpoints.release(endpoint, None, None)
    assert got[True] <= 4 * 2


async def test_an_endpoint_that_begins_to_drain_keeps_no_connection_and_gets_no_body_before_it_takes_it() -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            heads.append(head)
            if b"Expect: 100-continue" in head:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await reader.readexactly(2)
            writer.write(OK)

    async def called() -> int:
        response = await server.request("POST", b"", b"{}")
        assert await body(response) == b"ok"
        response.close()
        return server.open_connections

    async with scripted(script) as port:
        server = at_loopback()
        assert server.endpoints is not None
        ready = EndpointPlace("127.0.0.1", port, "uid")
        server.endpoints.set_places([ready])
        assert await called() == 1

        server.endpoints.set_places([ready._replace(is_draining=True)])
        await eventually(lambda: server.open_connections == 0)
        await called()
        await eventually(lambda: server.open_connections == 0)

        server.endpoints.set_places([ready])
        assert await called() == 1
        server.close()
    assert [b"Expect" in head for head in heads] == [False, True, False]


def test_a_list_of_a_thousand_endpoints_makes_no_routes_before_requests_need_them() -> None:
    """A tenant that replaces them again and again would stop the gateway for as long as that takes."""
    endpoints = discovered()
    endpoints.set_places([EndpointPlace(f"10.0.{n // 250}.{n % 250}", 8080, f"uid-{n}") for n in range(1000)])
    assert not any("route" in vars(each) for each in endpoints)

    used = endpoints.pick()
    assert used.route is used.route
    assert sum("route" in vars(each) for each in endpoints) == 1


def test_a_route_that_is_first_used_while_blocked_connects_to_nothing() -> None:
    endpoints = discovered()
    endpoints.set_places([place(1)])
    blocked = endpoints.pick()
    endpoints.set_blocked(None, all_are_blocked=True)
    assert blocked.route.pool._closed

    endpoints.set_blocked(None, all_are_blocked=False)
    assert not blocked.route.pool._closed
