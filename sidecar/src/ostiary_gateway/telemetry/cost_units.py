"""What calls cost by the limits that count cost, for the question of how much a tool costs.

A call is counted when it ends, with what its arguments and its result cost, so that the counters never go back: a call
that never reached its server, and so gets its units back, is not counted. One beyond the budget of a limit in Shadow
mode did cost something, and is counted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from typing import Final, NamedTuple

from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit

#: Counters with the name of a tool. Beyond them, units are counted without it.
MOST_WITH_TOOL: Final = 10_000


class CountedCall(NamedTuple):
    """A call that limits weigh.

    ``tool`` is "" where neither its server has listed the name nor a rule or limit writes it out. ``charges`` are what
    the call takes before its result is known, of all limits.
    """

    proxy: str
    tool: str
    charges: Sequence[Charge]


class CostUnits:
    """The units of this process."""

    def __init__(self) -> None:
        #: Units by proxy, tool, policy and limit.
        self.counts: Counter[tuple[str, str, str, str]] = Counter()

    def add(self, call: CountedCall, charges: Iterable[Charge]) -> None:
        """Count what a call costs.

        A limit with several keys, one for each group of the caller, counts it once.
        """
        units: dict[CompiledLimit, int] = {}
        for charge in charges:
            if charge.limit.counts_cost:
                units[charge.limit] = max(charge.units, units.get(charge.limit, 0))
        for limit, cost in units.items():
            self.counts[self._key(call, limit)] += cost

    def _key(self, call: CountedCall, limit: CompiledLimit) -> tuple[str, str, str, str]:
        key = (call.proxy, call.tool, limit.policy, limit.name)
        if key in self.counts or len(self.counts) < MOST_WITH_TOOL:
            return key
        return (call.proxy, "", limit.policy, limit.name)

    def keep(self, limits: Set[tuple[str, str, str]]) -> None:
        """Forget all but these limits, each with its proxy and its policy."""
        for key in [key for key in self.counts if (key[0], key[2], key[3]) not in limits]:
            del self.counts[key]


#: The units of this process.
COST_UNITS: Final = CostUnits()
