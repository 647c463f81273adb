"""The bounds of one process: a clear refusal at the edge, and nothing leaks."""

import asyncio
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from gateways import BOUNDS
from limiter_peer import LimiterPeer
from timeouts import TIMEOUT_SECONDS

from ostiary_core.contract.bounds import BoundsConfig, ShareConfig
from ostiary_core.strict_json import loads
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.limits import checks
from ostiary_gateway.limits.limiter import Limiter
from ostiary_gateway.limits.pod_grants import Grants
from ostiary_gateway.limits.pod_limiter import PodLimiter
from ostiary_gateway.limits.reservation import Reservation
from ostiary_gateway.pipeline.refusal_responses import response_for
from ostiary_gateway.pod_state.cell_table import CellTable
from ostiary_gateway.pod_state.shared_memory import BOUNDS as BOUNDS_TABLE
from ostiary_gateway.pod_state.shared_memory import attach, create_shared_state
from ostiary_gateway.upstream import faults

TWO = ShareConfig(requests_in_flight=2, streams=2, bytes_in_flight=100)
SCOPES: dict[str, dict[str, Any]] = {
    "gateway": {"requests_in_flight": 2, "streams": 2, "bytes_in_flight": 100},
    "source": {"per_source": TWO},
    "principal": {"per_principal": TWO},
    "proxy": {"per_proxy": TWO},
}


@pytest.fixture(autouse=True, params=["the process", "a pod"])
def limits_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose pod is idle refuses, admits and counts as a process of its own does."""
    if request.param == "a pod":
        table = attach(create_shared_state(workers=2), BOUNDS_TABLE, workers=2)
        monkeypatch.setattr(sys.modules[__name__], "unbounded", lambda: pod_limiter(table))


def pod_limiter(table: CellTable) -> PodLimiter:
    return PodLimiter(lambda refusal: response_for(refusal, None), grants=Grants(table, worker=0))


def unbounded() -> Limiter:
    return Limiter(lambda refusal: response_for(refusal, None))


def bounded(trusted_proxies: list[str] | None = None, **bounds: Any) -> Limiter:
    limiter = unbounded()
    limiter.set_bounds(BOUNDS.model_copy(update=bounds), trusted_proxies=trusted_proxies or [])
    return limiter


def connection(limiter: Limiter, peer: str = "192.0.2.1") -> Any:
    made = LimiterPeer(peer)
    made.response = limiter.opened(cast("Any", made))
    return made


@dataclass
class Arrival:
    """A request that has reached its limits, and what it reserves."""

    limiter: Limiter
    request: Any
    proxy: str
    principal: str | None
    reservation: Reservation = field(default_factory=Reservation)

    def admit(self) -> None:
        self.limiter.admit(
            self.reservation,
            self.request,
            proxy=self.proxy,
            principal=self.principal,
            is_stream=self.request.method == "GET",
        )

    def release(self) -> None:
        self.limiter.release(self.reservation, self.request)


def arrival(
    limiter: Limiter,
    *,
    method: str = "POST",
    peer: str = "192.0.2.1",
    proxy: str = "a",
    principal: str | None = "p",
    forwarded_for: str | None = None,
    over: Any = None,
) -> Arrival:
    """A request whose proxy and principal are known, over a connection of its own unless one is given."""
    headers = {"x-forwarded-for": forwarded_for} if forwarded_for is not None else {}
    over = over or connection(limiter, peer)
    request = SimpleNamespace(method=method, headers=headers, connection=over, complete=True)
    return Arrival(limiter, request, proxy, principal)


def admitted(limiter: Limiter, **more: Any) -> Arrival:
    made = arrival(limiter, **more)
    made.admit()
    return made


def others(scope: str) -> dict[str, str]:
    """What makes a request belong to another key of this scope."""
    return {"source": {"peer": "192.0.2.2"}, "principal": {"principal": "q"}, "proxy": {"proxy": "b"}}.get(scope, {})


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_at_the_bound_the_next_request_gets_retry_after_and_others_pass(scope: str, method: str) -> None:
    limiter = bounded(**SCOPES[scope])
    first, _ = admitted(limiter, method=method), admitted(limiter, method=method)

    with pytest.raises(Refusal) as refused:
        admitted(limiter, method=method)
    assert (refused.value.status, refused.value.code, refused.value.headers) == (503, -31002, {"Retry-After": "1"})
    assert refused.value.data == {"reason": "GatewayFull", "retryAfterMs": 1000}
    if scope != "gateway":
        admitted(limiter, method=method, **others(scope))

    first.release()
    admitted(limiter, method=method)
    with pytest.raises(Refusal):
        admitted(limiter, method=method)


@pytest.mark.parametrize("scope", SCOPES)
def test_bytes_beyond_the_bound_are_refused_while_others_hold_the_rest(scope: str) -> None:
    limiter = bounded(**SCOPES[scope])
    first, second = admitted(limiter), admitted(limiter)
    checks.reserve_request_bytes(first.reservation, 60)
    checks.reserve_request_bytes(second.reservation, 40)

    with pytest.raises(Refusal) as refused:
        checks.reserve_request_bytes(second.reservation, 1)
    assert (refused.value.status, refused.value.reason) == (503, "GatewayFull")
    if scope != "gateway":
        checks.reserve_request_bytes(admitted(limiter, **others(scope)).reservation, 100)

    first.release()
    checks.reserve_request_bytes(second.reservation, 60)
    with pytest.raises(Refusal):
        checks.reserve_request_bytes(admitted(limiter).reservation, 1)


def test_a_message_that_is_alone_always_finds_room() -> None:
    limiter = bounded(bytes_in_flight=100)
    alone = admitted(limiter)

    checks.reserve_request_bytes(alone.reservation, 90)
    checks.reserve_response_bytes(alone.reservation, 5000)
    assert limiter.total.bytes == 5090
    with pytest.raises(Refusal):
        checks.reserve_request_bytes(admitted(limiter).reservation, 1)
    checks.reserve_response_bytes(alone.reservation, -5000)
    checks.reserve_request_bytes(admitted(limiter).reservation, 10)


def test_a_response_without_room_is_a_fault_without_a_retry_hint() -> None:
    limiter = bounded(bytes_in_flight=100)
    checks.reserve_request_bytes(admitted(limiter).reservation, 60)

    with pytest.raises(UpstreamFault) as fault:
        checks.reserve_response_bytes(admitted(limiter).reservation, 60)
    full = faults.refusal(fault.value)
    assert (full.status, full.code, full.reason, full.data) == (200, -31002, "GatewayFull", {"reason": "GatewayFull"})


def test_what_shrinks_is_never_refused() -> None:
    limiter = bounded(bytes_in_flight=100)
    first, second = admitted(limiter), admitted(limiter)
    checks.reserve_request_bytes(first.reservation, 50)
    checks.reserve_request_bytes(second.reservation, 50)
    limiter.set_bounds(BOUNDS.model_copy(update={"bytes_in_flight": 10}), trusted_proxies=[])

    checks.reserve_response_bytes(first.reservation, -20)
    assert limiter.total.bytes == 80


def test_requests_and_streams_are_counted_apart() -> None:
    limiter = bounded(requests_in_flight=2, streams=2)
    made = [admitted(limiter), admitted(limiter), admitted(limiter, method="GET")]

    assert (limiter.requests, limiter.streams) == (2, 1)
    for each in made:
        each.release()
    assert (limiter.requests, limiter.streams) == (0, 0)


def test_a_listen_becomes_a_stream_or_is_refused_as_one() -> None:
    limiter = bounded(streams=1)
    first, second = admitted(limiter), admitted(limiter)

    checks.become_stream(first.reservation)
    assert (limiter.requests, limiter.streams) == (1, 1)
    with pytest.raises(Refusal):
        checks.become_stream(second.reservation)
    assert (limiter.requests, limiter.streams) == (1, 1)
    second.release()
    first.release()
    assert (limiter.requests, limiter.streams) == (0, 0)


def test_leaving_twice_or_without_having_entered_counts_once() -> None:
    limiter = bounded()
    client, made = arrival(limiter), admitted(limiter)
    for each in (client, made, made):
        each.release()
    assert limiter.requests == 0


def test_callers_without_credentials_do_not_share_the_bound_of_a_principal() -> None:
    limiter = bounded(per_principal=ShareConfig(requests_in_flight=1))
    for _ in range(3):
        admitted(limiter, principal=None)
    assert not limiter.principals.by_key


def test_a_source_without_reservations_is_forgotten() -> None:
    limiter = bounded(trusted_proxies=["192.0.2.0/24"], per_source=ShareConfig(requests_in_flight=1))
    for number in range(300):
        made = admitted(limiter, forwarded_for=f"203.0.113.{number % 250}", principal=f"p{number}")
        with pytest.raises(Refusal):
            admitted(limiter, forwarded_for=f"203.0.113.{number % 250}", principal=f"q{number}")
        made.release()
    over = [connection(limiter, f"198.51.100.{number}") for number in range(100)]
    assert len(limiter.sources.by_key) == 100
    for each in over:
        limiter.closed(each)

    assert not limiter.sources.by_key
    assert not limiter.principals.by_key


def test_connections_are_bounded_in_all_and_by_source() -> None:
    limiter = bounded(connections=3, per_source=ShareConfig(connections=2))
    first, second = connection(limiter), connection(limiter)
    assert first.response is second.response is None

    refused = connection(limiter).response
    assert (refused.status, refused.close) == (503, True)
    assert refused.headers["Retry-After"] == "1"
    assert loads(refused.body)["error"]["data"]["reason"] == "GatewayFull"

    assert connection(limiter, "192.0.2.2").response is None
    assert connection(limiter, "192.0.2.3").response is not None
    assert "192.0.2.3" not in limiter.sources.by_key
    limiter.closed(first)
    assert connection(limiter).response is None


def test_the_open_files_bound_connections_whatever_the_settings_say() -> None:
    limiter = unbounded()
    limiter.carried = 1
    limiter.set_bounds(BOUNDS, trusted_proxies=[])
    assert connection(limiter).response is None
    assert connection(limiter, "192.0.2.9").response is not None


def test_a_bound_beyond_the_open_files_is_logged_once_and_not_with_each_config(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limiter = unbounded()
    limiter.carried = 1
    for wanted in (66, 66, None, 66, 77):
        limiter.set_bounds(BOUNDS.model_copy(update={"connections": wanted}), trusted_proxies=[])
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [66, 77]


def test_an_ipv6_source_is_a_network_of_64_bits() -> None:
    limiter = bounded(per_source=ShareConfig(connections=2))
    assert connection(limiter, "2001:db8:1:2::1").response is None
    assert connection(limiter, "2001:db8:1:2:ffff::2").response is None
    assert connection(limiter, "2001:db8:1:2::3").response is not None
    assert connection(limiter, "2001:db8:1:3::1").response is None


def test_connections_of_trusted_proxies_are_not_counted_by_source_but_in_all() -> None:
    limiter = bounded(["192.0.2.0/24"], connections=3, per_source=ShareConfig(connections=1))
    assert [connection(limiter).response for _ in range(3)] == [None, None, None]
    assert connection(limiter).response is not None


def test_behind_a_trusted_proxy_each_source_has_its_own_bound() -> None:
    limiter = bounded(["192.0.2.0/24"], per_source=ShareConfig(requests_in_flight=1))
    over = connection(limiter)
    admitted(limiter, over=over, forwarded_for="198.51.100.1")

    with pytest.raises(Refusal):
        admitted(limiter, over=over, forwarded_for="1.2.3.4, 198.51.100.1")
    made = admitted(limiter, over=over, forwarded_for="198.51.100.2")
    assert made.reservation.client_address == "198.51.100.2"


def test_an_untrusted_peer_gains_nothing_by_x_forwarded_for() -> None:
    limiter = bounded(["10.0.0.0/8"], per_source=ShareConfig(requests_in_flight=1))
    made = admitted(limiter, forwarded_for="198.51.100.1")
    assert made.reservation.client_address == "192.0.2.1"
    with pytest.raises(Refusal):
        admitted(limiter, forwarded_for="198.51.100.2")


def test_a_connection_is_counted_again_when_it_becomes_trusted() -> None:
    limiter = bounded(per_source=ShareConfig(connections=2))
    first, second = connection(limiter), connection(limiter)
    limiter.set_bounds(BOUNDS, trusted_proxies=["192.0.2.1/32"])
    assert (first.source, limiter.sources.by_key) == (None, {})

    limiter.set_bounds(BOUNDS, trusted_proxies=[])
    assert first.source is second.source
    assert first.source.connections == 2
    for each in (first, second):
        limiter.closed(each)
    assert (limiter.total.connections, limiter.sources.by_key) == (0, {})


def test_refusals_are_counted_by_scope_and_bound() -> None:
    limiter = bounded(per_source=ShareConfig(connections=1, requests_in_flight=1))
    over = connection(limiter)
    connection(limiter)
    admitted(limiter, over=over)
    with pytest.raises(Refusal):
        admitted(limiter, over=over)

    counted = {
        (each.scope, bound.value): count for each in limiter.scopes for bound, count in each.refused.items() if count
    }
    assert counted == {("source", "connections"): 1, ("source", "requests_in_flight"): 1}


def test_bounds_that_an_older_operator_wrote_bound_what_they_always_did() -> None:
    limiter = unbounded()
    old = BoundsConfig(request_bytes=1, message_bytes=1, requests_in_flight=1, streams=1, session_max_age=1)
    limiter.set_bounds(old, trusted_proxies=[])
    first = admitted(limiter)
    checks.reserve_request_bytes(first.reservation, 1 << 40)
    with pytest.raises(Refusal):
        admitted(limiter)


async def test_empty_waits_for_the_last_one() -> None:
    limiter = bounded()
    made = [admitted(limiter), admitted(limiter, method="GET")]

    waiting = asyncio.create_task(limiter.empty())
    for each in made:
        await asyncio.sleep(0)
        assert not waiting.done()
        each.release()
    await asyncio.wait_for(waiting, TIMEOUT_SECONDS)


@pytest.mark.parametrize("end", ["response_taken", "closed"])
def test_a_large_answer_counts_until_its_caller_has_taken_it(end: str) -> None:
    limiter = bounded()
    over = connection(limiter)
    made = admitted(limiter, over=over)
    checks.reserve_response_bytes(made.reservation, 1 << 20)
    made.release()
    assert (limiter.requests, limiter.total.bytes, over.source.bytes) == (0, 1 << 20, 1 << 20)

    for _ in range(2):
        getattr(limiter, end)(over)
        assert limiter.total.bytes == 0
    limiter.closed(over)
    assert not limiter.sources.by_key
    assert not limiter.principals.by_key


def test_nothing_is_buffered_for_a_caller_that_disconnected() -> None:
    limiter = bounded()
    over = connection(limiter)
    made = admitted(limiter, over=over)
    checks.reserve_response_bytes(made.reservation, 1 << 20)
    over.lost = True
    limiter.closed(over)
    made.release()

    assert limiter.total.bytes == 0
    assert not limiter.sources.by_key


def test_a_slow_body_becomes_a_request_when_it_is_whole_or_is_refused_then() -> None:
    limiter = bounded(requests_in_flight=1)
    slow = arrival(limiter)
    slow.request.complete = False
    slow.admit()
    assert (limiter.total.uploads, limiter.requests) == (1, 0)

    first = admitted(limiter)
    with pytest.raises(Refusal):
        checks.finish_upload(slow.reservation)
    assert (limiter.total.uploads, limiter.requests) == (1, 1)
    first.release()
    checks.finish_upload(slow.reservation)
    checks.finish_upload(slow.reservation)
    assert (limiter.total.uploads, limiter.requests) == (0, 1)
    slow.release()
    assert (limiter.total.uploads, limiter.requests) == (0, 0)
