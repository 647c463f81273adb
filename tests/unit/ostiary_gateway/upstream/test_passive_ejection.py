"""Endpoints at which requests fail get none for a time; never all of them, and never for what a working server says."""

import logging
import re

import pytest
from gateways import LONG_TIMEOUTS
from mcp_clients import eventually

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_resilience import (
    EndpointConfig,
    HealthCheckConfig,
    PassiveHealthCheckConfig,
)
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.endpoint_place import EndpointPlace
from ostiary_gateway.upstream.endpoint_set import EndpointSet
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.passive_ejection import COUNTED
from ostiary_gateway.upstream.server import UpstreamServer

LONG = 3_600_000


class _Connection:
    """A connection of which nothing is needed."""

    def close(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


def endpoints(count: int, *, errors: int = 2, milliseconds: int = LONG, percent: int = 50) -> EndpointSet:
    """A server with so many endpoints."""
    passive = PassiveHealthCheckConfig(
        consecutive_gateway_errors=errors, base_ejection_time=milliseconds, max_ejection_percent=percent
    )
    document = ServerConfig(
        name="up",
        url="http://mock.example/mcp",
        timeouts=LONG_TIMEOUTS,
        endpoints=[EndpointConfig(address=f"10.0.0.{number}", port=80) for number in range(1, count + 1)],
        health_check=HealthCheckConfig(passive=passive),
    )
    found = UpstreamServer(document, own=OwnEndpoints(), connections=1, proxy="default/a", mark="m").endpoints
    assert found is not None
    return found


def end(endpoints: EndpointSet, endpoint: UpstreamEndpoint, *, kind: str = "", status: int = 0, count: int = 1) -> None:
    """End requests to an endpoint, with a fault of this kind or a response of this status."""
    for _ in range(count):
        endpoints.open(endpoint)
        response = UpstreamResponse(status, {}, _Connection()) if status else None
        if response is not None:
            response.finish()
        endpoints.release(endpoint, response, UpstreamFault(kind, "it did") if kind else None)


def ejected(endpoints: EndpointSet) -> int:
    return endpoints.states["ejected"]


@pytest.mark.parametrize("kind", sorted(COUNTED))
async def test_a_failed_transport_counts(kind: str) -> None:
    four = endpoints(4)
    bad = four.pick()
    end(four, bad, kind=kind, count=2)

    assert bad.is_ejected
    assert four.ejection is not None
    assert four.ejection.counts == {kind: 1}
    assert bad not in {four.pick() for _ in range(100)}
    assert four.find(bad.key) is None


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_status_of_a_gateway_counts(status: int) -> None:
    four = endpoints(4)
    bad = four.pick()
    end(four, bad, status=status, count=2)
    assert bad.is_ejected


@pytest.mark.parametrize("status", [200, 202, 400, 401, 404, 429, 500, 501])
async def test_what_a_working_server_says_does_not_count(status: int) -> None:
    four = endpoints(4)
    end(four, four.pick(), status=status, count=20)
    assert ejected(four) == 0


@pytest.mark.parametrize(
    "kind", sorted(faults.KINDS - COUNTED | {faults.FULL, faults.CREDENTIAL_UNAVAILABLE, faults.INVALID})
)
async def test_other_faults_do_not_count(kind: str) -> None:
    four = endpoints(4)
    end(four, four.pick(), kind=kind, count=20)
    assert ejected(four) == 0


async def test_a_caller_that_gives_up_is_neither_a_failure_nor_a_success() -> None:
    four = endpoints(4)
    bad = four.pick()
    end(four, bad, kind=faults.RESET)
    end(four, bad)
    assert ejected(four) == 0
    end(four, bad, kind=faults.RESET)
    assert bad.is_ejected


async def test_only_failures_in_a_row_count() -> None:
    four = endpoints(4)
    for _ in range(20):
        end(four, four.pick(), kind=faults.TIMEOUT)
        for each in four:
            end(four, each, status=200)
    assert ejected(four) == 0


async def test_a_response_that_its_caller_does_not_await_to_the_end_is_no_success() -> None:
    four = endpoints(4)
    bad = four.pick()
    end(four, bad, kind=faults.RESET)
    four.open(bad)
    four.release(bad, UpstreamResponse(200, {}, _Connection()), None)
    end(four, bad, kind=faults.RESET)
    assert bad.is_ejected


async def test_a_body_that_breaks_off_counts() -> None:
    four = endpoints(4)
    bad = four.pick()
    for _ in range(2):
        response = UpstreamResponse(200, {}, _Connection())
        response.fail(UpstreamFault(faults.RESET, "broken off"))
        four.open(bad)
        four.release(bad, response, None)
    assert bad.is_ejected


@pytest.mark.parametrize(
    ("count", "percent", "most"), [(8, 50, 4), (3, 50, 1), (2, 10, 1), (1, 100, 0), (4, 100, 3), (4, 0, 0), (10, 1, 1)]
)
async def test_at_most_a_share_of_the_endpoints_is_ejected_and_never_all(count: int, percent: int, most: int) -> None:
    some = endpoints(count, percent=percent)
    for each in list(some):
        end(some, each, kind=faults.UNREACHABLE, count=5)
    assert ejected(some) == most
    assert some.pick() in set(some)


async def test_an_ejected_endpoint_returns_and_its_next_failure_ejects_it_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    two = endpoints(2, errors=3, milliseconds=20)
    bad = two.pick()
    end(two, bad, kind=faults.RESET, count=3)
    assert bad.is_ejected
    await eventually(lambda: not bad.is_ejected)
    assert bad in {two.pick() for _ in range(100)}

    end(two, bad, kind=faults.RESET)
    assert bad.is_ejected
    await eventually(lambda: not bad.is_ejected)
    end(two, bad, status=200)
    end(two, bad, kind=faults.RESET, count=2)
    assert not bad.is_ejected
    assert "gets no requests for 0.02 s: 3 failures in a row, at last UpstreamReset: it did" in caplog.text
    assert "gets requests again" in caplog.text


async def test_an_endpoint_that_returns_gets_one_request_until_there_is_a_response() -> None:
    two = endpoints(2, milliseconds=20)
    bad = two.pick()
    end(two, bad, kind=faults.RESET, count=2)
    await eventually(lambda: not bad.is_ejected)
    assert bad in {two.pick() for _ in range(100)}

    two.open(bad)
    assert bad not in {two.pick() for _ in range(100)}
    two.release(bad, None, None)  # its caller gave up
    assert bad in {two.pick() for _ in range(100)}

    two.open(bad)
    two.responds(bad, UpstreamResponse(200, {}, _Connection()))  # a stream that stays open
    assert bad.is_usable
    assert bad.failures == 0


async def test_a_trial_that_ends_with_a_status_of_a_gateway_is_a_failure() -> None:
    two = endpoints(2, milliseconds=20)
    bad = two.pick()
    end(two, bad, kind=faults.RESET, count=2)
    await eventually(lambda: not bad.is_ejected)

    response = UpstreamResponse(503, {}, _Connection())
    two.open(bad)
    two.responds(bad, response)
    assert bad not in {two.pick() for _ in range(100)}
    two.release(bad, response, None)
    assert bad.is_ejected
    assert not bad.is_tried


async def test_each_further_ejection_lasts_longer_up_to_ten_times(caplog: pytest.LogCaptureFixture) -> None:
    two = endpoints(2)
    bad, ejection = two.pick(), two.ejection
    assert ejection is not None
    for _ in range(12):
        bad.silent_until = 0.0
        end(two, bad, kind=faults.RESET, count=2)
        ejection._returns[bad].cancel()
        ejection._return(bad)
    hours = [int(found) // 3600 for found in re.findall(r"requests for (\d+) s", caplog.text)]
    assert hours == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]


async def test_an_endpoint_that_is_gone_is_not_waited_for() -> None:
    two = endpoints(2)
    bad = two.pick()
    end(two, bad, kind=faults.RESET, count=2)
    assert two.ejection is not None
    two.set_places([EndpointPlace("10.0.0.9", 80)])

    assert two.ejection._returns == {}
    assert two.states == {"ready": 1, "draining": 0, "ejected": 0, "unhealthy": 0, "blocked": 0}
