"""The order in which the servers of a routing rule are tried."""

from dataclasses import dataclass, field
from typing import Any, cast

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.routing.server_preference import TRIAL_SECONDS, ServerTrials, was_not_sent
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.health import LastFault


@dataclass
class Health:
    fault: LastFault | None = None


@dataclass
class Breaker:
    is_open: bool = False
    is_refusing: bool = False


@dataclass(eq=False)
class Server:
    name: str
    health: Health = field(default_factory=Health)
    is_blocked: bool = False
    breaker: Breaker | None = None

    def fails(self, at: float) -> None:
        self.health.fault = LastFault(faults.UNREACHABLE, "down", at)


def ordered(trials: ServerTrials, *servers: Server) -> str:
    return "".join(server.name for server in trials.in_order(cast("Any", servers)))


class Moment:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_servers_that_work_keep_the_order_of_the_rule() -> None:
    assert ordered(ServerTrials(), Server("a"), Server("b"), Server("c")) == "abc"


def test_a_server_that_fails_or_is_blocked_comes_last() -> None:
    moment, a, b = Moment(), Server("a"), Server("b")
    trials = ServerTrials(moment)
    a.fails(at=moment.now - 1)
    assert ordered(trials, a, b) == "ba"
    assert ordered(trials, b, a) == "ba"
    assert ordered(trials, Server("x", is_blocked=True), b) == "bx"


def test_a_server_whose_circuit_is_open_comes_last_and_one_on_trial_keeps_its_place() -> None:
    trials, b = ServerTrials(), Server("b", breaker=Breaker())
    assert ordered(trials, Server("a", breaker=Breaker(is_open=True, is_refusing=True)), b) == "ba"
    assert ordered(trials, Server("a", breaker=Breaker(is_open=True)), b) == "ab"


def test_one_request_now_and_then_tries_a_server_that_failed() -> None:
    moment, a, b = Moment(), Server("a"), Server("b")
    trials = ServerTrials(moment)
    a.fails(at=moment.now)
    moment.now += TRIAL_SECONDS
    assert [ordered(trials, a, b) for _ in range(3)] == ["ab", "ba", "ba"]
    moment.now += TRIAL_SECONDS
    assert ordered(trials, a, b) == "ab"
    a.health.fault = None
    assert ordered(trials, a, b) == "ab"


def test_only_a_fault_before_anything_was_sent_leads_to_the_next_server() -> None:
    def refused(kind: str) -> Refusal:
        refusal = Refusal(200, kind, "words")
        refusal.__cause__ = UpstreamFault(kind, "words")
        return refusal

    assert was_not_sent(refused(faults.UNREACHABLE))
    assert was_not_sent(refused(faults.CONNECT_TIMEOUT))
    assert not was_not_sent(refused(faults.TIMEOUT))
    assert not was_not_sent(refused(faults.RESET))
    assert not was_not_sent(Refusal(200, faults.UNREACHABLE, "an answer of the server itself"))
