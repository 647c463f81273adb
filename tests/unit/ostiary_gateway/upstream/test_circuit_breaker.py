import logging

import pytest

from ostiary_core.contract.server_resilience import CircuitBreakerConfig
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.circuit import CircuitState
from ostiary_gateway.upstream.circuit_breaker import MOST_TOOLS, CircuitBreaker, CircuitPermit
from ostiary_gateway.upstream.known_names import LONGEST_NAME, KnownNames

CONFIG = CircuitBreakerConfig(error_percent=50, minimum_requests=4, interval=10_000, open_for=30_000)
RESET = UpstreamFault(faults.RESET, "reset")
TIMEOUT = UpstreamFault(faults.TIMEOUT, "no answer within 1 s")
UNREACHABLE = UpstreamFault(faults.UNREACHABLE, "Connection refused")
ME = object()


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known() -> KnownNames:
    found = KnownNames()
    found.tools |= {"slow", "fast"}
    return found


@pytest.fixture
def breaker(clock: Clock, known: KnownNames) -> CircuitBreaker:
    return CircuitBreaker(CONFIG, title="server crm of MCPProxy crm/crm", known=known, clock=clock)


def unavailable(status: int) -> UpstreamFault:
    """The fault of an HTTP error status."""
    return UpstreamFault(faults.UNAVAILABLE, f"HTTP {status}", http_status=status)


def fail(breaker: CircuitBreaker, fault: UpstreamFault, *, tool: str | None = None, times: int = 4) -> None:
    """Requests that fail."""
    for _ in range(times):
        admitted(breaker, tool=tool).failed(fault)


def refusal_of(breaker: CircuitBreaker, *, tool: str | None = None) -> UpstreamFault:
    """The refusal of a request."""
    assert breaker.admit(ME, tool=tool) is None
    found = breaker.refusal(tool=tool)
    assert found.kind == faults.CIRCUIT_OPEN
    return found


def admitted(
    breaker: CircuitBreaker, owner: object = ME, *, tool: str | None = None, is_pinned: bool = False
) -> CircuitPermit:
    """The permit of a request that is not refused."""
    permit = breaker.admit(owner, tool=tool, is_pinned=is_pinned)
    assert permit is not None
    return permit


def test_a_server_that_cannot_be_reached_gets_no_request_for_a_time(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, UNREACHABLE)
    assert breaker.is_open
    assert breaker.is_refusing
    clock.now += 10
    assert breaker.summary() == {"state": "Open", "retryAfterMs": 20_000}
    assert refusal_of(breaker).retry_after_ms == 20_001
    refusal_of(breaker, tool="fast")
    clock.now += 20
    assert not breaker.is_refusing
    assert breaker.summary()["state"] == "HalfOpen"
    admitted(breaker).succeeded()
    assert not breaker.is_open
    assert breaker.summary() == {}


def test_a_tool_that_times_out_is_cut_off_and_the_other_tools_are_not(breaker: CircuitBreaker) -> None:
    fail(breaker, TIMEOUT, tool="slow")
    refusal_of(breaker, tool="slow")
    assert not breaker.is_open
    admitted(breaker, tool="fast").succeeded()
    admitted(breaker).succeeded()


def test_calls_that_succeed_count_for_the_share_of_their_tool(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        admitted(breaker, tool="slow").succeeded()
    fail(breaker, TIMEOUT, tool="slow")
    fail(breaker, TIMEOUT, tool="slow", times=1)
    refusal_of(breaker, tool="slow")


def test_a_trial_of_a_server_that_ends_with_a_tools_timeout_has_failed(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, UNREACHABLE)
    clock.now += 30
    admitted(breaker, tool="fast").failed(TIMEOUT)
    assert refusal_of(breaker).retry_after_ms == 30_001


def test_a_caller_that_disconnects_during_a_trial_leaves_it_to_the_next(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, UNREACHABLE)
    clock.now += 30
    trial = admitted(breaker)
    assert breaker.admit(object()) is None
    trial.leave()
    admitted(breaker, object()).succeeded()
    assert not breaker.is_open


def test_a_refused_call_of_a_tool_does_not_hold_the_trial_of_its_server(breaker: CircuitBreaker, clock: Clock) -> None:
    in_flight = [admitted(breaker, tool="slow") for _ in range(4)]
    fail(breaker, UNREACHABLE)
    clock.now += 10
    for each in in_flight:
        each.failed(TIMEOUT)
    clock.now += 20
    refusal_of(breaker, tool="slow")
    admitted(breaker, object(), tool="fast").succeeded()
    assert not breaker.is_open


def test_only_the_first_outcome_of_a_request_counts(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        permit = admitted(breaker)
        permit.failed(UNREACHABLE)
        permit.failed(UNREACHABLE)
        permit.leave()
    assert not breaker.is_open


def test_what_goes_on_with_an_admitted_request_is_never_refused(breaker: CircuitBreaker) -> None:
    fail(breaker, UNREACHABLE)
    breaker.admit_anyway(tool="fast").succeeded()
    breaker.note_fault(UNREACHABLE)
    assert breaker.is_open


def test_names_that_callers_invent_get_no_circuit_until_they_fail(breaker: CircuitBreaker) -> None:
    for number in range(10):
        admitted(breaker, tool=f"invented-{number}").succeeded()
        admitted(breaker, tool=f"invented-{number}").leave()
    assert [each.tool for each in breaker.reports()] == [None]
    fail(breaker, TIMEOUT, tool="unlisted")
    refusal_of(breaker, tool="unlisted")
    assert [(each.tool, each.is_listed) for each in breaker.reports()] == [(None, False), ("unlisted", False)]


def test_the_circuits_of_tools_are_bounded(clock: Clock) -> None:
    config = CONFIG.model_copy(update={"minimum_requests": 1})
    breaker = CircuitBreaker(config, title="server", known=KnownNames(), clock=clock)
    for number in range(MOST_TOOLS + 1):
        admitted(breaker, tool=f"tool-{number}").failed(TIMEOUT)
    admitted(breaker, tool="x" * (LONGEST_NAME + 1)).failed(TIMEOUT)
    assert len(list(breaker.reports())) == 1 + MOST_TOOLS
    clock.now += 30
    admitted(breaker, tool="tool-0").succeeded()
    fail(breaker, TIMEOUT, tool="late", times=1)
    names = {each.tool for each in breaker.reports()}
    assert "late" in names
    assert "tool-0" not in names


def test_the_report_tells_state_and_time_of_each_circuit_that_has_opened(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, TIMEOUT, tool="slow")
    clock.now += 10
    server, tool = breaker.reports()
    assert breaker.summary() == {"openTools": 1, "tools": ["slow"]}
    assert (server.state, server.opened) == (CircuitState.CLOSED, 0)
    assert (tool.tool, tool.is_listed, tool.state, tool.opened, tool.seconds) == (
        "slow",
        True,
        CircuitState.OPEN,
        1,
        20.0,
    )


def test_the_log_says_why_a_circuit_opens_and_closes(
    breaker: CircuitBreaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fail(breaker, UNREACHABLE)
    clock.now += 30
    fail(breaker, UNREACHABLE, times=1)
    clock.now += 30
    admitted(breaker).succeeded()
    server = "server crm of MCPProxy crm/crm"
    assert caplog.messages == [
        f"{server} opens its circuit for 30 s: 4 of 4 requests failed within 10 s",
        f"{server} opens its circuit for 30 s: its trial failed",
        f"{server} closes its circuit: a trial succeeded",
    ]


def test_many_tools_fill_no_log_and_their_names_no_second_line(
    breaker: CircuitBreaker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for number in range(20):
            fail(breaker, TIMEOUT, tool=f"tool\n{number}")
    assert len(caplog.messages) == 10
    assert not any("\n" in message for message in caplog.messages)


def test_an_endpoint_that_is_lost_with_its_session_says_nothing_of_the_server(breaker: CircuitBreaker) -> None:
    gone = UpstreamFault(faults.UNREACHABLE, "the endpoint that has this session is gone", of_caller=True)
    for fault in (UNREACHABLE, RESET, gone):
        for _ in range(4):
            admitted(breaker, is_pinned=True).failed(fault)
    assert not breaker.is_open
    for _ in range(4):
        admitted(breaker, is_pinned=True).failed(UpstreamFault(faults.UNAVAILABLE, "HTTP 503", http_status=503))
    assert breaker.is_open


def test_a_tool_that_ends_its_endpoint_is_cut_off_in_sessions_too(breaker: CircuitBreaker) -> None:
    for _ in range(4):
        admitted(breaker, tool="slow", is_pinned=True).failed(RESET)
    refusal_of(breaker, tool="slow")
    assert not breaker.is_open
