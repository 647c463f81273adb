"""Whatever happens to the endpoints of a server, a request gets one that may have it, and the counts agree."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from gateways import LONG_TIMEOUTS
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.contract.blocks import BlockedConfig
from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_resilience import DiscoveryConfig
from ostiary_core.policy.block_list import BlockList
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.endpoint_place import EndpointPlace
from ostiary_gateway.upstream.endpoint_set import EndpointSet
from ostiary_gateway.upstream.server import UpstreamServer

DISCOVERY = DiscoveryConfig(namespace="crm", service="crm", port=80, port_name="http", managed=True)
PLACES = st.builds(
    EndpointPlace,
    address=st.sampled_from([f"10.0.0.{number}" for number in range(5)]),
    port=st.just(80),
    identity=st.sampled_from(["", "old", "new"]),
    is_near=st.booleans(),
    is_draining=st.booleans(),
)
STEPS = st.one_of(
    st.tuples(
        st.just("list"), st.one_of(st.none(), st.lists(PLACES, max_size=5, unique_by=lambda place: place.address))
    ),
    st.tuples(st.just("begin"), st.booleans()),
    st.tuples(st.just("end"), st.sampled_from(["", *sorted(faults.KINDS)])),
    st.tuples(st.just("probe"), st.integers(0, 4)),
    st.tuples(st.just("return"), st.integers(0, 4)),
    st.tuples(st.just("block"), st.lists(st.integers(0, 4), max_size=5)),
)


class Model:
    """A server's endpoints, and what the test knows of them."""

    def __init__(self, balancer: Any, percent: int) -> None:
        passive = {"consecutive_gateway_errors": 1, "base_ejection_time": 3_600_000, "max_ejection_percent": percent}
        document = ServerConfig.model_validate(
            {
                "name": "up",
                "url": "http://crm.crm.svc/mcp",
                "timeouts": LONG_TIMEOUTS.model_dump(),
                "discovery": DISCOVERY.model_dump(),
                "load_balancer": balancer,
                "health_check": {"passive": passive},
            }
        )
        server = UpstreamServer(document, own=OwnEndpoints(), connections=1, proxy="default/a", mark="m")
        assert server.endpoints is not None
        self.endpoints: EndpointSet = server.endpoints
        self.open: list[UpstreamEndpoint] = []
        self.steps: dict[str, Callable[[Any], None]] = {
            "list": self.endpoints.set_places,
            "begin": self.begin,
            "end": self.end,
            "probe": self.probe,
            "return": self.return_one,
            "block": self.block,
        }

    @property
    def listed(self) -> list[UpstreamEndpoint]:
        return [each for each in self.endpoints if not each.is_gone]

    def begin(self, is_repeated: bool) -> None:
        excluded = self.open[-1:] if is_repeated else []
        if all(each.is_blocked for each in self.listed):
            with pytest.raises(UpstreamFault):
                self.endpoints.pick(excluded=excluded)
            return
        found = self.endpoints.pick(excluded=excluded)
        self.judge(found, excluded)
        self.endpoints.open(found)
        self.open.append(found)

    def judge(self, found: UpstreamEndpoint, excluded: list[UpstreamEndpoint]) -> None:
        """Judge that an endpoint may have the request, and that no better one was left."""
        assert found in self.listed
        assert not found.is_blocked
        others = [each for each in self.listed if not each.is_blocked and each not in excluded]
        if others:
            assert rank(found) <= min(map(rank, others))
            assert found not in excluded

    def end(self, kind: str) -> None:
        if self.open:
            endpoint = self.open.pop(0)
            self.endpoints.release(endpoint, None, UpstreamFault(kind, "it did") if kind else None)

    def probe(self, number: int) -> None:
        for each in self.listed[number : number + 1]:
            each.is_unhealthy = not each.is_unhealthy
        self.endpoints._refresh()

    def return_one(self, number: int) -> None:
        ejection = self.endpoints.ejection
        assert ejection is not None
        for endpoint in list(ejection._returns)[number : number + 1]:
            ejection._returns[endpoint].cancel()
            ejection._return(endpoint)

    def block(self, numbers: list[int]) -> None:
        names = [f"10.0.0.{number}" for number in numbers]
        self.endpoints.set_blocked(BlockList(BlockedConfig(upstreams=names)), all_are_blocked=False)

    def check(self) -> None:
        """Check that the counts agree with what is open."""
        assert self.endpoints.open_requests == len(self.open)
        for each in self.endpoints:
            assert each.open_requests == self.open.count(each)
            assert not each.is_gone or each.open_requests
        assert sum(self.endpoints.states.values()) == len(self.listed)


def rank(endpoint: UpstreamEndpoint) -> int:
    """The order in which endpoints are preferred."""
    if endpoint.is_draining:
        return 3
    if not endpoint.is_usable:
        return 2
    return 0 if endpoint.is_near else 1


@given(st.lists(STEPS, max_size=40), st.sampled_from([None, "RoundRobin"]), st.sampled_from([0, 1, 50, 100]))
def test_a_request_gets_an_endpoint_that_may_have_it_and_the_counts_agree(
    steps: list[tuple[str, Any]], balancer: str | None, percent: int
) -> None:
    async def walk() -> None:
        model = Model(balancer, percent)
        for name, value in steps:
            model.steps[name](value)
            model.check()
        model.endpoints.stop()

    asyncio.run(walk())
