"""The circuit breaker of one server: a circuit for it, and one for each tool.

The server's circuit counts transport: connections that fail or are reset, no answer to a list, 502 to 504. A tool's
counts calls of it that time out or get no valid answer, so that one tool that hangs is cut off and the others are not.
What counts as a failure is in :mod:`.circuit_outcomes`.
"""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from ostiary_core.contract.server_resilience import CircuitBreakerConfig
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.circuit import Circuit, CircuitState
from ostiary_gateway.upstream.circuit_outcomes import TRANSPORT, CircuitOutcome, of_tool, of_transport
from ostiary_gateway.upstream.health import printable
from ostiary_gateway.upstream.known_names import LONGEST_NAME, KnownNames

_log = logging.getLogger(__name__)

#: The most circuits of tools of one server. Names are the callers' until a server has listed them.
MOST_TOOLS: Final = 4096
#: The most changes of circuits of tools that are logged within a minute.
_LOGGED: Final = 10
_LOG_SECONDS: Final = 60.0
#: The number of tools that a summary names, and characters of each name.
_NAMED: Final = 8
_NAME: Final = 64
_OF_SERVER: Final = "the server failed too often: its circuit is open (circuitBreaker)"
_OF_TOOL: Final = "this tool of the server failed too often: its circuit is open (circuitBreaker)"


@dataclass(frozen=True, slots=True)
class CircuitReport:
    """A circuit that is not closed, or was not: of the server, or of ``tool``.

    ``is_listed`` where the server has listed the tool, so that its name may label a metric. ``seconds`` are those until
    the next trial.
    """

    tool: str | None
    is_listed: bool
    state: CircuitState
    opened: int
    seconds: float


class CircuitBreaker:
    """The circuits of one server. Must be used within one event loop.

    ``title`` is the server's name in the log, ``known`` holds the tools that it has listed.
    """

    def __init__(
        self, config: CircuitBreakerConfig, *, title: str, known: KnownNames, clock: Callable[[], float] = monotonic
    ) -> None:
        self._config = config
        self._title = title
        self._known = known
        self._clock = clock
        self._server = Circuit(config)
        self._tools: dict[str, Circuit] = {}
        self._logged_since = 0.0
        self._logged = 0

    def admit(self, owner: object, *, tool: str | None = None, is_pinned: bool = False) -> "CircuitPermit | None":
        """Admit a request, which must be told how it ends.

        None where it is refused: :meth:`refusal` says why.

        ``owner`` is what it belongs to, see :meth:`.Circuit.admit`; ``tool`` is the server's own name of a tool that it
        calls. ``is_pinned`` where one endpoint of several gets it, since that has its session.
        """
        now = self._clock()
        ticket = self._server.admit(now, owner)
        if ticket is None:
            return None
        circuit = self._tools.get(tool) if tool is not None else None
        of_tool_ = circuit.admit(now, owner) if circuit is not None else None
        if circuit is not None and of_tool_ is None:
            self._server.released(ticket)
            return None
        is_trial = not self._server.is_closed or (circuit is not None and not circuit.is_closed)
        return CircuitPermit(self, ticket, tool, of_tool_, is_trial=is_trial, is_pinned=is_pinned)

    def refusal(self, *, tool: str | None = None) -> UpstreamFault:
        """Return the fault of a request that was not admitted: ``CircuitOpen``; nothing was sent."""
        words = _OF_SERVER if self._refusing(tool) is self._server else _OF_TOOL
        return UpstreamFault(faults.CIRCUIT_OPEN, words, retry_after_ms=self.retry_after_ms(tool))

    def retry_after_ms(self, tool: str | None) -> int:
        """Return after how many milliseconds a request that was not admitted should come again."""
        return int(self._refusing(tool).retry_after(self._clock()) * 1000) + 1

    def _refusing(self, tool: str | None) -> Circuit:
        """Return the circuit that does not admit a request: the server's, or else the tool's."""
        server = self._server
        return self._tools.get(tool, server) if tool is not None and server.until is None else server

    def admit_anyway(self, *, tool: str | None = None) -> "CircuitPermit":
        """Admit what goes on with a request that was admitted before.

        Such as a caller's answer to a question of the server.
        """
        return self.admit(self, tool=tool) or CircuitPermit(self, None, None, None)

    def note_fault(self, fault: UpstreamFault) -> None:
        """Count a fault of several requests, such as those for the pages of a list."""
        self.admit_anyway().failed(fault)

    @property
    def is_open(self) -> bool:
        """Whether the server gets no requests, or only a trial."""
        return not self._server.is_closed

    @property
    def is_refusing(self) -> bool:
        """Whether the server gets no requests, not even a trial."""
        until = self._server.until
        return until is not None and self._clock() < until

    def reports(self) -> Iterator[CircuitReport]:
        """Yield the server's circuit, and those of tools that have opened at least once."""
        now = self._clock()
        for tool, circuit in [(None, self._server), *list(self._tools.items())]:
            if tool is None or circuit.opened:
                state, seconds = circuit.state(now), circuit.retry_after(now)
                yield CircuitReport(tool, tool in self._known.tools, state, circuit.opened, seconds)

    def summary(self) -> dict[str, Any]:
        """Return which circuits are not closed, for the admin port; empty if all are.

        ``tools`` are the names of some, ``openTools`` is their number.
        """
        found = [each for each in self.reports() if each.state is not CircuitState.CLOSED]
        tools = [printable(each.tool, limit=_NAME) for each in found if each.tool is not None]
        of_server = next((each for each in found if each.tool is None), None)
        summary: dict[str, Any] = {"openTools": len(tools), "tools": sorted(tools)[:_NAMED]} if tools else {}
        if of_server is not None:
            summary |= {"state": of_server.state.value, "retryAfterMs": math.ceil(of_server.seconds * 1000)}
        return summary

    def settle(self, ticket: int, outcome: CircuitOutcome) -> None:
        """Count the outcome of a request for the server."""
        self._settle(self._server, None, ticket, outcome)

    def settle_tool(self, tool: str, ticket: int | None, outcome: CircuitOutcome) -> None:
        """Count the outcome of a call for its tool.

        ``ticket`` is None where the tool had no circuit yet.
        """
        circuit = self._tools.get(tool)
        if circuit is None:
            circuit = self._watched(tool, outcome)
        if circuit is None:
            return
        if ticket is None and circuit.is_closed:
            ticket = circuit.admit(self._clock(), self)
        if ticket is not None:
            self._settle(circuit, tool, ticket, outcome)

    def _watched(self, tool: str, outcome: CircuitOutcome) -> Circuit | None:
        """Return a new circuit for a tool: one that is listed, or one that fails."""
        if outcome is not CircuitOutcome.FAILURE and (outcome is CircuitOutcome.NONE or tool not in self._known.tools):
            return None
        if len(tool) > LONGEST_NAME or (len(self._tools) >= MOST_TOOLS and not self._made_room()):
            return None
        circuit = self._tools[tool] = Circuit(self._config)
        return circuit

    def _made_room(self) -> bool:
        closed = next((name for name, circuit in self._tools.items() if circuit.is_closed), None)
        if closed is not None:
            del self._tools[closed]
        return closed is not None

    def _settle(self, circuit: Circuit, tool: str | None, ticket: int, outcome: CircuitOutcome) -> None:
        now = self._clock()
        if outcome is CircuitOutcome.SUCCESS:
            if circuit.succeeded(now, ticket):
                self._log_change(tool, "closes its circuit: a trial succeeded")
        elif outcome is CircuitOutcome.FAILURE or (outcome is CircuitOutcome.UNCLEAR and not circuit.is_closed):
            was_closed = circuit.is_closed
            if circuit.failed(now, ticket):
                why = self._share(circuit) if was_closed else "its trial failed"
                self._log_change(tool, f"opens its circuit for {self._config.open_for / 1000:g} s: {why}")
        else:
            circuit.released(ticket)

    def _share(self, circuit: Circuit) -> str:
        failed, total = circuit.counted
        return f"{failed} of {total} requests failed within {self._config.interval / 1000:g} s"

    def _log_change(self, tool: str | None, words: str) -> None:
        """Log a change, of tools not more than a few a minute."""
        if tool is None:
            _log.warning("%s %s", self._title, words)
            return
        now = self._clock()
        if now - self._logged_since >= _LOG_SECONDS:
            self._logged_since, self._logged = now, 0
        self._logged += 1
        if self._logged <= _LOGGED:
            _log.warning("%s: tool %s %s", self._title, printable(tool, limit=_NAME), words)


class CircuitPermit:
    """One admitted request, which is told how it ends.

    The first outcome counts, and :meth:`leave` ends a request without any. ``is_trial`` where it finds out whether the
    server, or the tool, works again. One that is pinned to an endpoint goes to another one when that is lost, which
    says nothing of the server.
    """

    __slots__ = ("_breaker", "_is_pinned", "_ticket", "_tool", "_tool_ticket", "is_trial")

    def __init__(
        self,
        breaker: CircuitBreaker,
        ticket: int | None,
        tool: str | None,
        tool_ticket: int | None,
        *,
        is_trial: bool = False,
        is_pinned: bool = False,
    ) -> None:
        self.is_trial = is_trial
        self._is_pinned = is_pinned
        self._breaker: CircuitBreaker | None = breaker
        self._ticket = ticket
        self._tool = tool
        self._tool_ticket = tool_ticket

    def succeeded(self) -> None:
        """Count an answer: a result, or an error of the server's own."""
        self._settle(CircuitOutcome.SUCCESS, CircuitOutcome.SUCCESS)

    def failed(self, fault: UpstreamFault) -> None:
        """Count a fault, as far as it is one of the server or the tool."""
        is_of_one = fault.of_caller or (self._is_pinned and fault.kind in TRANSPORT)
        of_server = of_transport(fault, is_call=self._tool is not None) if not is_of_one else CircuitOutcome.NONE
        self._settle(of_server, of_tool(fault))

    def __enter__(self) -> "CircuitPermit":
        """Return itself; the end of the block leaves."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the request."""
        self.leave()

    def leave(self) -> None:
        """End a request whose outcome says nothing, unless one was told before."""
        self._settle(CircuitOutcome.NONE, CircuitOutcome.NONE)

    def _settle(self, of_server: CircuitOutcome, of_tool_: CircuitOutcome) -> None:
        breaker, self._breaker = self._breaker, None
        if breaker is None:
            return
        if self._ticket is not None:
            breaker.settle(self._ticket, of_server)
        if self._tool is not None:
            breaker.settle_tool(self._tool, self._tool_ticket, of_tool_)
