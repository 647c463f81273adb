"""Whether a request is sent again after a fault, and where."""

from typing import Any

import pytest
from gateways import LONG_TIMEOUTS

from ostiary_core.contract.documents import ServerConfig, TimeoutsConfig
from ostiary_core.contract.server_resilience import EndpointConfig, RetryBudgetConfig, RetryConfig
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.retries.attempts import MOST_ENDPOINTS_TRIED, Attempts
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.http1.request_head import Transmission
from ostiary_gateway.upstream.server import UpstreamServer

BEFORE_SENDING = {
    faults.ADDRESS_FORBIDDEN,
    faults.CONNECT_TIMEOUT,
    faults.EGRESS_FAILED,
    faults.FULL,
    faults.RESET,
    faults.TLS_FAILED,
    faults.UNREACHABLE,
}
AFTER_SENDING = {faults.RESET, faults.TIMEOUT}
UNREACHABLE = UpstreamFault(faults.UNREACHABLE, "refused")


def server_of(endpoints: int = 3, *, timeouts: TimeoutsConfig = LONG_TIMEOUTS, **retry: Any) -> UpstreamServer:
    places = [EndpointConfig(address=f"10.0.0.{number}", port=80) for number in range(1, endpoints + 1)]
    document = ServerConfig(
        name="up",
        url="http://mcp.example/mcp",
        timeouts=timeouts,
        endpoints=places or None,
        retry=RetryConfig.model_validate({"attempts": 1, "backoff": 25, **retry}),
    )
    return UpstreamServer(document, own=OwnEndpoints(), connections=1, proxy="default/a", mark="m")


def attempts_at(server: UpstreamServer, *, repeats: bool = True, **more: Any) -> Attempts:
    assert server.retry is not None
    return Attempts(server, server.retry, repeats=repeats, **more)


def fail(attempts: Attempts, fault: UpstreamFault, *, is_sent: bool, has_begun: bool = False) -> float | None:
    """Let an attempt at the next endpoint fail; return the pause before the next one."""
    attempts.is_written = False
    attempts.endpoint = attempts._next_endpoint()
    attempts.is_written = is_sent
    failed = attempts.after(fault, has_begun=has_begun)
    return failed.seconds if failed is not None else None


@pytest.mark.parametrize("repeats", [True, False])
def test_what_was_not_sent_goes_to_each_other_endpoint_once_and_then_counts(repeats: bool) -> None:
    attempts, tried = attempts_at(server_of(3), repeats=repeats), list[Any]()
    for _ in range(2):
        assert fail(attempts, UNREACHABLE, is_sent=False) == 0.0
    third = fail(attempts, UNREACHABLE, is_sent=False)
    assert third is not None
    assert 0.025 <= third < 0.05
    while fail(attempts, UNREACHABLE, is_sent=False) is not None:
        tried.append(1)
    assert len(tried) == 2


def test_one_request_tries_a_bounded_number_of_endpoints() -> None:
    attempts = attempts_at(server_of(40))
    pauses = [fail(attempts, UNREACHABLE, is_sent=False) for _ in range(MOST_ENDPOINTS_TRIED + 2)]
    assert pauses[:MOST_ENDPOINTS_TRIED] == [0.0] * MOST_ENDPOINTS_TRIED
    assert pauses[-1] is None


def test_the_document_of_a_later_attempt_has_only_the_time_that_is_left() -> None:
    attempts = attempts_at(server_of(timeouts=TimeoutsConfig(connect=60_000, request=60_000, idle=60_000)))
    assert attempts.seconds_of_body == 60
    fail(attempts, UNREACHABLE, is_sent=False)
    assert attempts.seconds_of_body < 60


@pytest.mark.parametrize("kind", sorted(faults.KINDS))
def test_which_faults_are_a_reason_to_send_again(kind: str) -> None:
    fault = UpstreamFault(kind, "")
    assert (fail(attempts_at(server_of()), fault, is_sent=False) is not None) == (kind in BEFORE_SENDING)
    assert (fail(attempts_at(server_of()), fault, is_sent=True) is not None) == (kind in AFTER_SENDING)
    assert fail(attempts_at(server_of(), repeats=False), fault, is_sent=True) is None
    assert fail(attempts_at(server_of()), fault, is_sent=True, has_begun=True) is None


@pytest.mark.parametrize("status", [429, 500, 501, 502, 503, 504, 505])
def test_which_statuses_are(status: int) -> None:
    fault = UpstreamFault(faults.UNAVAILABLE, "", http_status=status)
    assert (fail(attempts_at(server_of()), fault, is_sent=True) is not None) == (status in {502, 503, 504})


def test_a_blocked_server_is_not_tried_further() -> None:
    server = server_of()
    attempts = attempts_at(server)
    server.is_blocked = True
    assert fail(attempts, UpstreamFault(faults.RESET, ""), is_sent=False) is None


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_pinned_request_stays_at_its_endpoint(is_sent: bool) -> None:
    server = server_of()
    assert server.endpoints is not None
    endpoint = server.endpoints.pick()
    attempts = attempts_at(server, pinned=endpoint.key)
    again = fail(attempts, UpstreamFault(faults.RESET, ""), is_sent=is_sent)
    assert (again is not None) == is_sent
    assert attempts._next_endpoint() is endpoint


def test_a_pinned_request_may_move_if_it_was_not_sent_or_may_be_repeated() -> None:
    reset = UpstreamFault(faults.RESET, "")
    for repeats in (True, False):
        attempts = attempts_at(server_of(1), repeats=repeats)
        assert attempts.may_move(UNREACHABLE)
        fail(attempts, reset, is_sent=True)
        assert attempts.may_move(reset) == repeats


def test_a_kept_connection_that_ends_is_no_attempt_that_counts_but_only_once() -> None:
    closed = UpstreamFault(faults.RESET, "")
    closed.of_idle_connection = True
    attempts = attempts_at(server_of())
    assert fail(attempts, closed, is_sent=True) == 0.0
    assert fail(attempts, closed, is_sent=True) != 0.0
    assert fail(attempts, closed, is_sent=True) is None


def test_what_is_told_after_an_attempt_that_was_sent_is_never_that_nothing_was() -> None:
    reset = UpstreamFault(faults.RESET, "")
    attempts = attempts_at(server_of(1), repeats=True)
    assert fail(attempts, reset, is_sent=True) is not None
    assert fail(attempts, UNREACHABLE, is_sent=False) is None
    assert attempts.told_to_caller(UNREACHABLE) is reset
    assert attempts.is_sent


def test_a_fault_before_the_second_attempt_is_none_of_a_request_that_was_sent() -> None:
    reset = UpstreamFault(faults.RESET, "")
    attempts = attempts_at(server_of(2), repeats=True)
    assert fail(attempts, reset, is_sent=True) is not None
    assert attempts.after(UNREACHABLE) is None  # such as from the handshake of another session
    assert attempts.told_to_caller(UNREACHABLE) is reset


def test_no_attempt_follows_beyond_the_time_of_the_request() -> None:
    timeouts = TimeoutsConfig(connect=60_000, request=20, idle=60_000)
    assert fail(attempts_at(server_of(timeouts=timeouts)), UpstreamFault(faults.RESET, ""), is_sent=True) is None
    assert fail(attempts_at(server_of(), seconds=0.0), UNREACHABLE, is_sent=False) is None


def test_the_budget_is_of_the_server_and_not_of_a_request() -> None:
    server = server_of(budget=RetryBudgetConfig(percent=1, interval=3_600_000))
    reset = UpstreamFault(faults.RESET, "")
    assert sum(fail(attempts_at(server), reset, is_sent=True) is not None for _ in range(20)) == 10


def test_a_body_is_kept_only_as_long_as_it_can_be_sent_again() -> None:
    told, freed = Transmission(), list[int]()
    for repeats in (True, False):
        attempts = attempts_at(server_of(), repeats=repeats, told=told)
        attempts.body = b"body"
        attempts.on_final = lambda: freed.append(1)
        attempts.is_written = False
        assert attempts.body
        assert not freed
        attempts.is_written = True
        assert (attempts.body is not None) == repeats
        assert told.is_written
    assert freed == [1]
