"""The limits and the loop detection that count a described call, for explanations."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.limits.charge import CountedRequest
from ostiary_core.limits.limit_evaluator import LimitEvaluator, MatchedLimits
from ostiary_core.limits.limited_servers import LimitedServers
from ostiary_core.limits.loop_detection import LoopRules
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import Principal
from ostiary_operator.api.durations import Duration
from ostiary_operator.compile.limit_weakenings import summary_of
from ostiary_operator.local.console import printable
from ostiary_operator.local.described_caller import DESCRIBED
from ostiary_operator.local.governed_proxy import GovernedProxy

_SHOWN = 200
#: What stands for the gateway, which files do not name.
_GATEWAY = "each gateway"
#: What loop detection is called among limits.
_LOOPS = "loopDetection"


class CountingLimit(NamedTuple):
    """A limit that counts a call.

    ``allows`` is what it lets through, ``units`` what the call takes, ``counted_by`` the values that it counts by.
    """

    policy: str
    limit: str
    allows: str
    units: int
    counted_by: str
    shadow: bool

    def __str__(self) -> str:
        mode = ", in Shadow mode" if self.shadow else ""
        takes = f"takes {self.units}, " if self.units != 1 else ""
        return f"{self.limit} of MCPPolicy {self.policy}: {self.allows}; {takes}counted by {self.counted_by}{mode}"

    def as_object(self) -> dict[str, Any]:
        """The limit as a JSON object."""
        return self._asdict()


def counting_limits(
    proxy: GovernedProxy,
    server: ServerConfig,
    principal: Principal,
    primitive: Primitive,
    verb: Verb,
    name: str,
    call: Call | None,
) -> tuple[CountingLimit, ...]:
    """Return the limits that count a call to a server, in the order in which they answer."""
    policies = list(proxy.compiled.values())
    loops = _watching(proxy, policies, principal, name) if (primitive, verb) == (Primitive.TOOLS, Verb.CALL) else ()
    evaluator = LimitEvaluator.build(policies, proxy=proxy.entry.identity, servers=LimitedServers.of_entry(proxy.entry))
    if evaluator is None:
        return tuple(loops)
    asked = "" if verb is Verb.LIST else name
    is_of_all = verb is Verb.LIST and proxy.entry.server_selection == "Merge"
    servers = () if is_of_all else (server.authority,)
    request = CountedRequest(principal, primitive, verb, asked, True, _GATEWAY, call, servers)
    return (*_found(proxy, evaluator.matched(request)), *loops)


def _watching(
    proxy: GovernedProxy, policies: Sequence[CompiledPolicy], principal: Principal, tool: str
) -> Iterator[CountingLimit]:
    """Yield the loop detection that watches a call."""
    rules = LoopRules.build(policies, proxy=proxy.entry.identity, servers=LimitedServers.of_entry(proxy.entry))
    for rule in rules.matching(principal, tool) if rules is not None else ():
        within = Duration(round(rule.window * 1000))
        allows = f"{rule.action} from equal call {rule.repeats} within {within} on"
        yield CountingLimit(rule.policy, _LOOPS, allows, 1, "the caller and the arguments", rule.shadow)


def _found(proxy: GovernedProxy, matched: MatchedLimits) -> Iterator[CountingLimit]:
    allows = {(each.identity, limit.name): summary_of(limit) for each in proxy.policies for limit in each.limits or ()}
    for limit in dict.fromkeys([*(charge.limit for charge in matched.charges), *matched.sizes]):
        charges = [charge for charge in matched.charges if charge.limit is limit]
        units = charges[0].units if charges else 1
        counters = [zip(limit.per, charge.values, strict=False) for charge in charges]
        names = [", ".join(f"{kind} {_value(value)}" for kind, value in counter) for counter in counters]
        counted_by = printable(" and ".join(filter(None, names)) or "each message", limit=_SHOWN)
        yield CountingLimit(limit.policy, limit.name, allows[limit.policy, limit.name], units, counted_by, limit.shadow)


def _value(value: str) -> str:
    """Return a value of a dimension; a described caller has no id."""
    return "of the caller" if value == DESCRIBED else value
