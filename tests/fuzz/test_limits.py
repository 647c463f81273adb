"""What callers and servers can send to limits: names, claims, arguments and results.

Every request has a short key that no other caller gets, and a cost that is a whole number within bounds.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.limits import LimitConfig
from ostiary_core.limits.charge import VALUE_LENGTH, CountedRequest, values_of
from ostiary_core.limits.cost_weight import LARGEST
from ostiary_core.limits.limit_evaluator import LimitEvaluator
from ostiary_core.limits.limited_servers import LimitedServers
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import ANONYMOUS, Principal

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=600)
JSON_VALUES = st.recursive(
    _SCALARS, lambda below: st.lists(below) | st.dictionaries(st.sampled_from(["b", "c"]), below)
)


def evaluator(**members: Any) -> LimitEvaluator:
    given_ = {"name": "l", "window": 60_000, "onStoreFailure": "Local", "whenExhausted": "Show", **members}
    config = LimitConfig.model_validate(given_, strict=False)
    document = PolicyDocument(namespace="ns", name="p", uid="u", generation=1, tier="owner", limits=[config])
    found = LimitEvaluator.build([CompiledPolicy.build(document)], proxy="ns/crm", servers=LimitedServers(("crm:80",)))
    assert found is not None
    return found


BY_CALLER = evaluator(per=["Claim", "Tool", "Group"], claim=["team"], requests=1)
BY_COST = evaluator(
    per=["Proxy"], budget=1, weights=[{"arguments": "args.a"}, {"result": "result.a.b"}, {"result": "size(result)"}]
)


@given(team=JSON_VALUES, name=st.text(max_size=5000), group=st.text(max_size=600), offered=st.booleans())
def test_every_key_is_short_and_its_values_can_be_read_back(team: Any, name: str, group: str, offered: bool) -> None:
    caller = Principal(id="x", method="jwt", groups=frozenset({group}), claims={"team": team})
    request = CountedRequest(caller, Primitive.TOOLS, Verb.CALL, name, offered)
    (charge,) = BY_CALLER.matched(request).charges
    assert len(charge.key) <= 3 * 3 * VALUE_LENGTH + 20
    assert len(values_of(charge.key)) == 3
    assert charge.key.isprintable()


@given(arguments=st.dictionaries(st.sampled_from(["a", "b"]), JSON_VALUES), result=JSON_VALUES)
def test_every_call_has_a_cost_within_bounds_whatever_it_says(arguments: dict[str, Any], result: Any) -> None:
    call = Call(ANONYMOUS, arguments=arguments, headers={}, request={})
    matched = BY_COST.matched(CountedRequest(ANONYMOUS, Primitive.TOOLS, Verb.CALL, "t", call=call))
    (charge,) = matched.charges
    more = BY_COST.result_charges(matched, call, {"a": result})
    total = charge.units + sum(each.units for each in more)
    assert type(total) is int
    assert 1 <= charge.units <= total <= LARGEST
