"""What the calls of one tool by one caller have in common under one config.

It is found out once, and looked up once a call. It belongs to a :class:`~.snapshot.Snapshot` and is gone with it, so
nothing here has to follow a change of policies. A call is *usual* where the decision on it does not depend on its
arguments, and its proxy has one server. A stage of the pipeline writes down what it has found out for the first such
call, and reads it for the next.
"""

from typing import Final
from weakref import ref

from ostiary_core.limits.limit_evaluator import MatchedLimits
from ostiary_core.policy.decision import Decision
from ostiary_core.policy.decision_cache import NAME_LENGTH
from ostiary_core.policy.principal import Principal
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.telemetry.request_labels import PlainLabels

#: Calls that are known at a time: about 6 MiB at most, since names may be a caller's own, of 256 characters each.
MOST: Final = 4096


class UsualCall:
    """What the calls of one tool by one caller have in common.

    ``decision`` allows them. ``limits`` count them; None before the limit stage has asked, and where an expression
    reads the arguments. ``shown`` is how those are recorded that went well: their labels, and the tool and the caller
    as evidence shows them; None before one has ended. ``is_listed`` where the server has listed the tool.
    """

    __slots__ = ("decision", "is_listed", "limits", "principal", "shown")

    def __init__(self, principal: Principal, decision: Decision, *, is_listed: bool) -> None:
        self.principal = ref(principal)
        self.decision = decision
        self.is_listed = is_listed
        self.limits: MatchedLimits | None = None
        self.shown: tuple[PlainLabels, str, str] | None = None


class UsualCalls:
    """The usual calls of one config. Callers who invent names can empty it, but not grow it."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        #: By the address of the principal, which another one may have after its end: none lives longer for this.
        self._known: dict[tuple[int, str, str], UsualCall] = {}

    def __len__(self) -> int:
        """Return how many are known."""
        return len(self._known)

    def forget(self) -> None:
        """Forget all, since another config is in force: requests in flight may keep this one."""
        self._known.clear()

    def find(self, principal: Principal, proxy: ProxyRuntime, tool: str) -> UsualCall | None:
        """Return what is known of a call; None for one that has to be judged."""
        found = self._known.get((id(principal), proxy.identity, tool))
        if found is None or found.principal() is not principal:
            return None
        # A name that the server lists by now is counted and labelled in another way.
        return found if found.is_listed or tool not in proxy.servers[0].known.tools else None

    def learn(self, principal: Principal, proxy: ProxyRuntime, tool: str, decision: Decision) -> UsualCall | None:
        """Keep the decision that allows a usual call; None for a name that is too long to be kept."""
        if len(tool) > NAME_LENGTH:
            return None
        if len(self._known) >= MOST:
            self._known.clear()
        is_listed = tool in proxy.servers[0].known.tools
        made = self._known[id(principal), proxy.identity, tool] = UsualCall(principal, decision, is_listed=is_listed)
        return made
