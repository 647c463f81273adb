"""What calls cost is counted once for each limit, and whatever names there are, in bounded memory."""

from limits import charge, compiled_limit

from ostiary_gateway.telemetry import cost_units
from ostiary_gateway.telemetry.cost_units import CostUnits, CountedCall

COST = compiled_limit(budget=10)
REQUESTS = compiled_limit("r", requests=10)


def test_a_limit_with_several_keys_counts_a_call_once() -> None:
    found = CostUnits()
    found.add(CountedCall("ns/crm", "search", ()), [charge(COST, "a", 5), charge(COST, "b", 5), charge(REQUESTS)])
    assert found.counts == {("ns/crm", "search", "ns/p", "l"): 5}


def test_beyond_the_bound_units_are_counted_without_their_tool() -> None:
    found = CostUnits()
    for number in range(cost_units.MOST_WITH_TOOL + 3):
        found.add(CountedCall("ns/crm", f"tool-{number}", ()), [charge(COST)])
    assert len(found.counts) == cost_units.MOST_WITH_TOOL + 1
    assert found.counts["ns/crm", "", "ns/p", "l"] == 3


def test_only_limits_that_still_exist_are_kept() -> None:
    found = CostUnits()
    for proxy in ("ns/crm", "ns/gone"):
        found.add(CountedCall(proxy, "search", ()), [charge(COST)])
    found.keep({("ns/crm", "ns/p", "l")})
    assert list(found.counts) == [("ns/crm", "search", "ns/p", "l")]
