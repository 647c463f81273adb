"""The bounds of one process: a clear refusal at the edge, and nothing leaks (issue 4 §3)."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from gateways import BOUNDS
from patience import PATIENCE

from ostiary_core.contract.documents import Bounds, Share
from ostiary_core.strict_json import loads
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.line import limit
from ostiary_gateway.line.exchange import ANONYMOUS, Exchange
from ostiary_gateway.line.occupancy import Occupancy
from ostiary_gateway.upstream import faults

TWO = Share(requests_in_flight=2, streams=2, bytes_in_flight=100)
SCOPES: dict[str, dict[str, Any]] = {
    "gateway": {"requests_in_flight": 2, "streams": 2, "bytes_in_flight": 100},
    "source": {"per_source": TWO},
    "principal": {"per_principal": TWO},
    "proxy": {"per_proxy": TWO},
}


def bounded(trusted_proxies: list[str] | None = None, **bounds: Any) -> Occupancy:
    occupancy = Occupancy()
    occupancy.move(BOUNDS.model_copy(update=bounds), trusted_proxies=trusted_proxies or [])
    return occupancy


class Peer:
    """What of a connection the counting reads."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.source: Any = None
        self.holding: Any = None
        self.unasked = 0
        self.lost = False
        self.told: Any = None


def connection(occupancy: Occupancy, peer: str = "192.0.2.1") -> Any:
    made = Peer(peer)
    made.told = occupancy.opened(cast("Any", made))
    return made


def exchange(
    occupancy: Occupancy,
    *,
    method: str = "POST",
    peer: str = "192.0.2.1",
    proxy: str = "a",
    principal: str = "p",
    forwarded_for: str | None = None,
    over: Any = None,
) -> Exchange:
    """An exchange that has come as far as its principal, over a connection of its own unless one is given."""
    headers = {"x-forwarded-for": forwarded_for} if forwarded_for is not None else {}
    over = over or connection(occupancy, peer)
    request = SimpleNamespace(method=method, headers=headers, connection=over, complete=True)
    return Exchange(cast("Any", request), cast("Any", None), cast("Any", SimpleNamespace(uid=proxy)), principal)


def entered(occupancy: Occupancy, **more: Any) -> Exchange:
    made = exchange(occupancy, **more)
    occupancy.enter(made)
    return made


def others(scope: str) -> dict[str, str]:
    """What makes an exchange belong to somebody else in this scope."""
    return {"source": {"peer": "192.0.2.2"}, "principal": {"principal": "q"}, "proxy": {"proxy": "b"}}.get(scope, {})


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_at_the_bound_the_next_is_told_to_come_again_and_others_pass(scope: str, method: str) -> None:
    occupancy = bounded(**SCOPES[scope])
    first, _ = entered(occupancy, method=method), entered(occupancy, method=method)

    with pytest.raises(Refusal) as refused:
        entered(occupancy, method=method)
    assert (refused.value.status, refused.value.code, refused.value.headers) == (503, -31002, {"Retry-After": "1"})
    assert refused.value.data == {"reason": "GatewayFull", "retryAfterMs": 1000}
    if scope != "gateway":
        entered(occupancy, method=method, **others(scope))

    occupancy.leave(first)
    entered(occupancy, method=method)
    with pytest.raises(Refusal):
        entered(occupancy, method=method)


@pytest.mark.parametrize("scope", SCOPES)
def test_bytes_beyond_the_bound_are_refused_while_others_hold_the_rest(scope: str) -> None:
    occupancy = bounded(**SCOPES[scope])
    first, second = entered(occupancy), entered(occupancy)
    limit.hold_request(first, 60)
    limit.hold_request(second, 40)

    with pytest.raises(Refusal) as refused:
        limit.hold_request(second, 1)
    assert (refused.value.status, refused.value.reason) == (503, "GatewayFull")
    if scope != "gateway":
        limit.hold_request(entered(occupancy, **others(scope)), 100)

    occupancy.leave(first)
    limit.hold_request(second, 60)
    with pytest.raises(Refusal):
        limit.hold_request(entered(occupancy), 1)


def test_a_message_that_is_alone_always_finds_room() -> None:
    occupancy = bounded(bytes_in_flight=100)
    alone = entered(occupancy)

    limit.hold_request(alone, 90)
    limit.hold_answer(alone, 5000)
    assert occupancy.total.bytes == 5090
    with pytest.raises(Refusal):
        limit.hold_request(entered(occupancy), 1)
    limit.hold_answer(alone, -5000)
    limit.hold_request(entered(occupancy), 10)


def test_an_answer_without_room_is_a_fault_that_nobody_is_told_to_retry() -> None:
    occupancy = bounded(bytes_in_flight=100)
    limit.hold_request(entered(occupancy), 60)

    with pytest.raises(UpstreamFault) as fault:
        limit.hold_answer(entered(occupancy), 60)
    told = faults.refusal(fault.value)
    assert (told.status, told.code, told.reason, told.data) == (200, -31002, "GatewayFull", {"reason": "GatewayFull"})


def test_what_shrinks_is_never_refused() -> None:
    occupancy = bounded(bytes_in_flight=100)
    first, second = entered(occupancy), entered(occupancy)
    limit.hold_request(first, 50)
    limit.hold_request(second, 50)
    occupancy.move(BOUNDS.model_copy(update={"bytes_in_flight": 10}), trusted_proxies=[])

    limit.hold_answer(first, -20)
    assert occupancy.total.bytes == 80


def test_requests_and_streams_are_counted_apart() -> None:
    occupancy = bounded(requests_in_flight=2, streams=2)
    made = [entered(occupancy), entered(occupancy), entered(occupancy, method="GET")]

    assert (occupancy.requests, occupancy.streams) == (2, 1)
    for each in made:
        occupancy.leave(each)
    assert (occupancy.requests, occupancy.streams) == (0, 0)


def test_a_listen_becomes_a_stream_or_is_refused_as_one() -> None:
    occupancy = bounded(streams=1)
    first, second = entered(occupancy), entered(occupancy)

    limit.become_stream(first)
    assert (occupancy.requests, occupancy.streams) == (1, 1)
    with pytest.raises(Refusal):
        limit.become_stream(second)
    assert (occupancy.requests, occupancy.streams) == (1, 1)
    occupancy.leave(second)
    occupancy.leave(first)
    assert (occupancy.requests, occupancy.streams) == (0, 0)


def test_leaving_twice_or_without_having_entered_counts_once() -> None:
    occupancy = bounded()
    stranger, made = exchange(occupancy), entered(occupancy)
    for each in (stranger, made, made):
        occupancy.leave(each)
    assert occupancy.requests == 0


def test_callers_without_credentials_do_not_share_the_bound_of_a_principal() -> None:
    occupancy = bounded(per_principal=Share(requests_in_flight=1))
    for _ in range(3):
        entered(occupancy, principal=ANONYMOUS)
    assert not occupancy.principals.tallies


def test_whoever_holds_nothing_is_forgotten() -> None:
    occupancy = bounded(trusted_proxies=["192.0.2.0/24"], per_source=Share(requests_in_flight=1))
    for number in range(300):
        made = entered(occupancy, forwarded_for=f"203.0.113.{number % 250}", principal=f"p{number}")
        with pytest.raises(Refusal):
            entered(occupancy, forwarded_for=f"203.0.113.{number % 250}", principal=f"q{number}")
        occupancy.leave(made)
    over = [connection(occupancy, f"198.51.100.{number}") for number in range(100)]
    assert len(occupancy.sources.tallies) == 100
    for each in over:
        occupancy.closed(each)

    assert not occupancy.sources.tallies
    assert not occupancy.principals.tallies


def test_connections_are_bounded_in_all_and_by_source() -> None:
    occupancy = bounded(connections=3, per_source=Share(connections=2))
    first, second = connection(occupancy), connection(occupancy)
    assert first.told is second.told is None

    refused = connection(occupancy).told
    assert (refused.status, refused.close) == (503, True)
    assert refused.headers["Retry-After"] == "1"
    assert loads(refused.body)["error"]["data"]["reason"] == "GatewayFull"

    assert connection(occupancy, "192.0.2.2").told is None
    assert connection(occupancy, "192.0.2.3").told is not None
    assert "192.0.2.3" not in occupancy.sources.tallies
    occupancy.closed(first)
    assert connection(occupancy).told is None


def test_the_open_files_bound_connections_whatever_the_settings_say() -> None:
    occupancy = Occupancy()
    occupancy.carried = 1
    occupancy.move(BOUNDS, trusted_proxies=[])
    assert connection(occupancy).told is None
    assert connection(occupancy, "192.0.2.9").told is not None


def test_a_bound_beyond_the_open_files_is_told_once_and_not_with_each_config(caplog: pytest.LogCaptureFixture) -> None:
    occupancy = Occupancy()
    occupancy.carried = 1
    for wanted in (66, 66, None, 66, 77):
        occupancy.move(BOUNDS.model_copy(update={"connections": wanted}), trusted_proxies=[])
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [66, 77]


def test_an_ipv6_source_is_a_network_of_64_bits() -> None:
    occupancy = bounded(per_source=Share(connections=2))
    assert connection(occupancy, "2001:db8:1:2::1").told is None
    assert connection(occupancy, "2001:db8:1:2:ffff::2").told is None
    assert connection(occupancy, "2001:db8:1:2::3").told is not None
    assert connection(occupancy, "2001:db8:1:3::1").told is None


def test_connections_of_trusted_proxies_are_not_counted_by_source_but_in_all() -> None:
    occupancy = bounded(["192.0.2.0/24"], connections=3, per_source=Share(connections=1))
    assert [connection(occupancy).told for _ in range(3)] == [None, None, None]
    assert connection(occupancy).told is not None


def test_behind_a_trusted_proxy_each_source_has_its_own_bound() -> None:
    occupancy = bounded(["192.0.2.0/24"], per_source=Share(requests_in_flight=1))
    over = connection(occupancy)
    entered(occupancy, over=over, forwarded_for="198.51.100.1")

    with pytest.raises(Refusal):
        entered(occupancy, over=over, forwarded_for="1.2.3.4, 198.51.100.1")
    made = entered(occupancy, over=over, forwarded_for="198.51.100.2")
    assert made.client_address == "198.51.100.2"


def test_who_is_no_trusted_proxy_gains_nothing_by_x_forwarded_for() -> None:
    occupancy = bounded(["10.0.0.0/8"], per_source=Share(requests_in_flight=1))
    made = entered(occupancy, forwarded_for="198.51.100.1")
    assert made.client_address == "192.0.2.1"
    with pytest.raises(Refusal):
        entered(occupancy, forwarded_for="198.51.100.2")


def test_a_connection_is_counted_anew_when_it_becomes_trusted() -> None:
    occupancy = bounded(per_source=Share(connections=2))
    first, second = connection(occupancy), connection(occupancy)
    occupancy.move(BOUNDS, trusted_proxies=["192.0.2.1/32"])
    assert (first.source, occupancy.sources.tallies) == (None, {})

    occupancy.move(BOUNDS, trusted_proxies=[])
    assert first.source is second.source
    assert first.source.connections == 2
    for each in (first, second):
        occupancy.closed(each)
    assert (occupancy.total.connections, occupancy.sources.tallies) == (0, {})


def test_refusals_are_counted_by_scope_and_bound() -> None:
    occupancy = bounded(per_source=Share(connections=1, requests_in_flight=1))
    over = connection(occupancy)
    connection(occupancy)
    entered(occupancy, over=over)
    with pytest.raises(Refusal):
        entered(occupancy, over=over)

    counted = {
        (each.scope, bound.value): count
        for each in occupancy.ceilings
        for bound, count in each.refused.items()
        if count
    }
    assert counted == {("source", "connections"): 1, ("source", "requests_in_flight"): 1}


def test_bounds_that_an_older_operator_wrote_bound_what_they_always_did() -> None:
    occupancy = Occupancy()
    old = Bounds(request_bytes=1, message_bytes=1, requests_in_flight=1, streams=1, session_max_age=1)
    occupancy.move(old, trusted_proxies=[])
    first = entered(occupancy)
    limit.hold_request(first, 1 << 40)
    with pytest.raises(Refusal):
        entered(occupancy)


async def test_empty_waits_for_the_last_one() -> None:
    occupancy = bounded()
    made = [entered(occupancy), entered(occupancy, method="GET")]

    waiting = asyncio.create_task(occupancy.empty())
    for each in made:
        await asyncio.sleep(0)
        assert not waiting.done()
        occupancy.leave(each)
    await asyncio.wait_for(waiting, PATIENCE)


@pytest.mark.parametrize("end", ["taken", "closed"])
def test_a_large_answer_counts_until_its_caller_has_taken_it(end: str) -> None:
    occupancy = bounded()
    over = connection(occupancy)
    made = entered(occupancy, over=over)
    limit.hold_answer(made, 1 << 20)
    occupancy.leave(made)
    assert (occupancy.requests, occupancy.total.bytes, over.source.bytes) == (0, 1 << 20, 1 << 20)

    for _ in range(2):
        getattr(occupancy, end)(over)
        assert occupancy.total.bytes == 0
    occupancy.closed(over)
    assert not occupancy.sources.tallies
    assert not occupancy.principals.tallies


def test_nothing_is_held_for_a_caller_who_is_gone() -> None:
    occupancy = bounded()
    over = connection(occupancy)
    made = entered(occupancy, over=over)
    limit.hold_answer(made, 1 << 20)
    over.lost = True
    occupancy.closed(over)
    occupancy.leave(made)

    assert occupancy.total.bytes == 0
    assert not occupancy.sources.tallies


def test_a_slow_body_becomes_a_request_when_it_is_whole_or_is_refused_then() -> None:
    occupancy = bounded(requests_in_flight=1)
    slow = exchange(occupancy)
    cast("Any", slow.request).complete = False
    occupancy.enter(slow)
    assert (occupancy.total.reading, occupancy.requests) == (1, 0)

    first = entered(occupancy)
    with pytest.raises(Refusal):
        limit.begin(slow)
    assert (occupancy.total.reading, occupancy.requests) == (1, 1)
    occupancy.leave(first)
    limit.begin(slow)
    limit.begin(slow)
    assert (occupancy.total.reading, occupancy.requests) == (0, 1)
    occupancy.leave(slow)
    assert (occupancy.total.reading, occupancy.requests) == (0, 0)
