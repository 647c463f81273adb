"""What may be sent to a server again, how often, and after how long.

It is compiled when the entry of the server is loaded.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from ostiary_core.contract.server_resilience import RetriedToolsConfig, RetryConfig
from ostiary_core.mcp.methods import REPEATABLE
from ostiary_core.policy.name_matcher import NameMatcher
from ostiary_core.upstream_faults import GATEWAY_ERRORS, NO_CONNECTION
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.retry_budget import RetryBudget

_TOOLS_CALL: Final = "tools/call"
_TOOLS_LIST: Final = "tools/list"
_NO_ATTEMPTS: Final = RetryConfig(attempts=0, backoff=0)
#: The pause before a later attempt grows to at most this many times the first one.
_MOST_GROWTH: Final = 64
#: Names of tools with a hint that are remembered of one server, and the length of a name.
_MOST_NAMES: Final = 4096
_LENGTH: Final = 256
#: The kinds of fault before anything was sent after which another endpoint may do better.
OF_ENDPOINT: Final = NO_CONNECTION | {faults.ADDRESS_FORBIDDEN, faults.FULL, faults.RESET}
#: The kinds of fault after which it is not known whether a request was carried out.
_OF_EXCHANGE: Final = frozenset({faults.RESET, faults.TIMEOUT})


class RetryOutcome(StrEnum):
    """What was done about an attempt that failed and could be followed by another one."""

    #: Nothing was sent, so it went to another endpoint.
    NEXT_ENDPOINT = "NextEndpoint"
    #: It was sent again although the server may have received it.
    REPEATED = "Repeated"
    ATTEMPTS_USED_UP = "AttemptsUsedUp"
    BUDGET_USED_UP = "BudgetUsedUp"
    #: ``timeouts.request`` leaves no time for another one.
    NO_TIME_LEFT = "NoTimeLeft"


class RetriedTools:
    """The tools of a server whose calls may be sent again once they were sent.

    The hints are the server's own, as it last listed them: a tool that it has not listed has none.
    """

    __slots__ = ("_hinted", "_hints", "_names")

    def __init__(self, config: RetriedToolsConfig) -> None:
        self._names = NameMatcher.build(config.names, None) if config.names else None
        self._hints = tuple(config.hints or ())
        self._hinted: set[str] = set()

    @property
    def has_hints(self) -> bool:
        """Whether lists of tools decide."""
        return bool(self._hints)

    def has(self, tool: str) -> bool:
        """Return whether a tool is among them, by the name that its server knows."""
        return tool in self._hinted or (self._names is not None and self._names.matches(tool))

    def learn(self, method: str, message: Mapping[str, Any]) -> None:
        """Learn hints from the response to a request for a list, before anything is filtered out."""
        result = message.get("result")
        if not self._hints or method != _TOOLS_LIST or not isinstance(result, dict):
            return
        items = result.get("tools")
        for item in items if isinstance(items, list) else ():
            name = item.get("name") if isinstance(item, dict) else None
            if isinstance(name, str) and len(name) <= _LENGTH:
                self._hinted.discard(name)
                if self._has_hint(item) and len(self._hinted) < _MOST_NAMES:
                    self._hinted.add(name)

    def _has_hint(self, tool: Mapping[str, Any]) -> bool:
        annotations = tool.get("annotations")
        return isinstance(annotations, dict) and any(annotations.get(hint) is True for hint in self._hints)


class RetryPolicy:
    """When requests to one server are sent again.

    ``attempts`` are those after the first. ``budget`` is None without a bound. ``counts`` are of this process, by
    outcome.
    """

    __slots__ = ("_backoff", "attempts", "budget", "counts", "tools")

    def __init__(self, config: RetryConfig) -> None:
        self.attempts = config.attempts
        self._backoff = config.backoff / 1000
        self.budget = RetryBudget(config.budget) if config.budget is not None else None
        self.tools = RetriedTools(config.tools) if config.tools is not None else None
        self.counts: Counter[RetryOutcome] = Counter()

    @classmethod
    def of(cls, config: RetryConfig | None, *, has_endpoints: bool) -> "RetryPolicy | None":
        """Return the policy of a server; None where nothing is sent again.

        With several endpoints, what was not sent goes to another one even without any attempts of the policy.

        Raises:
            PatternError: the names of tools are too large together.
        """
        if config is None or not config.attempts:
            return cls(_NO_ATTEMPTS) if has_endpoints else None
        return cls(config)

    def pause(self, number: int, *, spread: float) -> float:
        """Return the seconds before the attempt with this number, from 1.

        They double with each attempt. ``spread`` is random from 0 to 1 and adds up to as much again, so that requests
        that failed together do not come back together.
        """
        return float(self._backoff * min(2 ** (number - 1), _MOST_GROWTH) * (1 + spread))

    def repeats(self, method: str, name: str, params: Mapping[str, Any]) -> bool:
        """Return whether a request may be sent again although its server may have received it.

        ``name`` is the one that the server knows. A request that brings what its caller was asked for never is: its
        server would do the work of that round twice (specification, Multi Round-Trip Requests).
        """
        is_repeatable = (
            self.tools is not None and self.tools.has(name) if method == _TOOLS_CALL else method in REPEATABLE
        )
        return is_repeatable and not brings_input(params)


def brings_input(params: Mapping[str, Any]) -> bool:
    """Return whether it brings what its caller was asked for (Multi Round-Trip Requests)."""
    return "requestState" in params or "inputResponses" in params


def is_of_exchange(fault: UpstreamFault) -> bool:
    """Return whether it is not known after a fault if the request was carried out."""
    return fault.kind in _OF_EXCHANGE or fault.http_status in GATEWAY_ERRORS


def is_of_transport(fault: UpstreamFault) -> bool:
    """Return whether there was no response, of the server or of whom it needs."""
    return fault.kind in OF_ENDPOINT or is_of_exchange(fault)
