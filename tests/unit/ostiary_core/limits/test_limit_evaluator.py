"""Which limits count a request, by which counters, and what it takes of each."""

from typing import Any

import pytest

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.access import SubjectConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.limits import LimitConfig
from ostiary_core.errors import ContractError, ExpressionError
from ostiary_core.limits.charge import MOST_GROUPS, NO_CLAIM, NO_GROUP, OTHER_NAME, CountedRequest, values_of
from ostiary_core.limits.cost_weight import LARGEST, WEIGHT_FAILURES
from ostiary_core.limits.limit_evaluator import LimitEvaluator
from ostiary_core.limits.limited_servers import LimitedServers
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import ANONYMOUS, Principal

ALICE = Principal(id="token:alice", method="jwt", groups=frozenset({"b", "a"}), claims={"team": {"id": 7}})
AGENT = Principal(id="consumer:ns/agent", method="apiKey", consumer="ns/agent")


def limit(name: str = "l", **members: Any) -> LimitConfig:
    given = {"per": ["Principal"], "onStoreFailure": "Local", "whenExhausted": "Show", **members}
    if not given.keys() & {"requests", "budget", "concurrency", "requestBytes", "responseBytes"}:
        given |= {"requests": 10, "window": 60_000}
    return LimitConfig.model_validate({"name": name, **given}, strict=False)


def policy(*limits: LimitConfig, name: str = "p", **more: Any) -> PolicyDocument:
    parts = {"namespace": "ns", "uid": f"uid-{name}", "generation": 1, "tier": "owner", **more}
    return PolicyDocument(name=name, limits=list(limits), **parts)


def evaluator(*policies: PolicyDocument) -> LimitEvaluator:
    return evaluator_of(LimitedServers(("crm.example:443",)), *policies)


def evaluator_of(servers: LimitedServers, *policies: PolicyDocument) -> LimitEvaluator:
    found = LimitEvaluator.build(map(CompiledPolicy.build, policies), proxy="ns/crm", servers=servers)
    assert found is not None
    return found


def request(name: str = "get_weather", principal: Principal = ANONYMOUS, **more: Any) -> CountedRequest:
    return CountedRequest(
        **{"principal": principal, "primitive": Primitive.TOOLS, "verb": Verb.CALL, "name": name, **more}
    )


def call(arguments: Any = None) -> Call:
    return Call(ANONYMOUS, arguments=arguments or {}, headers={}, request={})


def keys(found: LimitEvaluator, asked: CountedRequest) -> list[str]:
    return [charge.key for charge in found.matched(asked).charges]


def test_a_proxy_without_limits_has_no_evaluator() -> None:
    bare = CompiledPolicy.build(PolicyDocument(namespace="ns", name="p", uid="u", generation=1, tier="owner"))
    assert LimitEvaluator.build([bare], proxy="ns/crm", servers=LimitedServers(("",))) is None


def test_a_limit_without_a_selection_counts_everything_that_names_or_lists_something() -> None:
    limits = evaluator(policy(limit()))
    asked = [request(), request("", verb=Verb.LIST), request("x://y", primitive=Primitive.RESOURCES, verb=Verb.READ)]
    task = request("task-1", primitive=None, verb=None)
    assert [len(keys(limits, each)) for each in (*asked, task)] == [1, 1, 1, 1]


def test_a_limit_counts_the_names_and_verbs_of_its_selection_only() -> None:
    limits = evaluator(policy(limit(tools={"verbs": ["Call"], "names": ["get_*"]})))
    prompt = request("get_x", primitive=Primitive.PROMPTS, verb=Verb.GET)
    counted = [request(), request("delete"), request("get_x", verb=Verb.LIST), prompt]
    assert [bool(keys(limits, each)) for each in counted] == [True, False, False, False]
    assert keys(limits, request("t", primitive=None, verb=None)) == []


def test_another_spelling_of_a_uri_does_not_evade_a_limit() -> None:
    limits = evaluator(policy(limit(resources={"names": ["file:///secret/key"]})))
    spelled = ["file:///secret/key", "FILE:/secret/key", "file:///secr%65t/key", "file:///docs/../secret/key"]
    asked = [request(each, primitive=Primitive.RESOURCES, verb=Verb.READ) for each in spelled]
    assert [bool(keys(limits, each)) for each in asked] == [True] * 4


def test_a_name_that_is_too_long_to_compare_is_counted() -> None:
    slow = limit(tools={"patterns": ["(ab?){300}"]})
    assert keys(evaluator(policy(slow)), request("z" * 4096)) != []


def test_counters_are_apart_by_the_dimensions_of_a_limit() -> None:
    every = ["Principal", "Consumer", "Claim", "Tool", "Server", "Proxy", "Gateway"]
    limits = evaluator(policy(limit(per=every, claim=["team", "id"])))
    (key,) = keys(limits, request("get_weather", ALICE, is_offered=True, gateway="ostiary/gateway"))
    assert key.startswith("uid-p/l/")
    assert values_of(key) == (
        "token:alice", "token:alice", "7", "get_weather", "crm.example:443", "ns/crm", "ostiary/gateway"
    )  # fmt: skip


MERGED = LimitedServers(("crm:80", "wiki:80"), CatalogueNames([("crm", "crm_"), ("wiki", "wiki_")]))


def test_a_request_counts_at_the_server_that_owns_its_name_and_a_list_at_each() -> None:
    limits = evaluator_of(MERGED, policy(limit(per=["Server"])))
    read = request("file://wiki/a", primitive=Primitive.RESOURCES, verb=Verb.READ)
    asked = [request("crm_search"), request("wiki_search"), read, request("", verb=Verb.LIST)]
    assert [[values_of(each) for each in keys(limits, one)] for one in asked] == [
        [("crm:80",)], [("wiki:80",)], [("wiki:80",)], [("crm:80",), ("wiki:80",)]
    ]  # fmt: skip


def test_a_prefix_takes_no_name_out_of_its_limit() -> None:
    limits = evaluator_of(
        MERGED, policy(limit(tools={"names": ["delete_*"]}, resources={"names": ["file:///secret/key"]}))
    )
    secret = request("file://crm//docs/../secret/key", primitive=Primitive.RESOURCES, verb=Verb.READ)
    asked = [request("crm_delete_user"), request("wiki_delete_page"), request("crm_get"), secret]
    assert [bool(keys(limits, each)) for each in asked] == [True, True, False, True]
    assert keys(evaluator_of(MERGED, policy(limit(tools={"names": ["crm_*"]}))), request("crm_get")) != []


def test_a_request_counts_at_the_server_that_its_route_names() -> None:
    limits = evaluator_of(LimitedServers(("eu:80", "us:80")), policy(limit(per=["Server"])))
    found = [keys(limits, request(servers=(server,))) for server in ("eu:80", "us:80")]
    assert [values_of(*each) for each in found] == [("eu:80",), ("us:80",)]


def test_a_consumer_is_counted_by_its_name_and_any_other_caller_by_its_id() -> None:
    limits = evaluator(policy(limit(per=["Consumer"])))
    assert [values_of(*keys(limits, request(principal=each))) for each in (AGENT, ALICE, ANONYMOUS)] == [
        ("ns/agent",), ("token:alice",), ("anonymous",)
    ]  # fmt: skip


def test_a_request_counts_once_in_each_group_of_its_caller() -> None:
    limits = evaluator(policy(limit(per=["Group"])))
    many = Principal(id="m", method="jwt", groups=frozenset(f"g{number:03}" for number in range(100)))
    assert [values_of(each) for each in keys(limits, request(principal=ALICE))] == [("a",), ("b",)]
    assert [values_of(each) for each in keys(limits, request())] == [(NO_GROUP,)]
    assert len(keys(limits, request(principal=many))) == MOST_GROUPS


def test_callers_without_the_claim_share_a_counter() -> None:
    limits = evaluator(policy(limit(per=["Claim"], claim=["team"])))
    claims: list[Any] = ["sales", 7, True, None, ["a"], {"x": 1}]
    callers = [Principal(id="x", method="jwt", claims={"team": each}) for each in claims]
    found = [values_of(*keys(limits, request(principal=each)))[0] for each in callers]
    assert found == ["sales", "7", "true", NO_CLAIM, NO_CLAIM, NO_CLAIM]


@pytest.mark.parametrize("text", ["~no claim", "a/b", "%2F", "~sha256:x", "a~b/c%"])
def test_no_value_of_a_caller_passes_for_another(text: str) -> None:
    limits = evaluator(policy(limit(per=["Claim"], claim=["team"])))
    (key,) = keys(limits, request(principal=Principal(id="x", method="jwt", claims={"team": text})))
    assert key.count("/") == 2
    assert NO_CLAIM not in key
    assert values_of(key) == (text,)


def test_a_long_value_is_hashed_so_that_keys_stay_short() -> None:
    limits = evaluator(policy(limit(per=["Claim"], claim=["team"])))
    longs = [Principal(id="x", method="jwt", claims={"team": "x" * 5000 + end}) for end in ("a", "b", "\n")]
    found = {key for each in longs for key in keys(limits, request(principal=each))}
    assert len(found) == 3
    assert max(map(len, found)) < 120


def test_names_that_no_server_is_known_to_offer_share_one_counter() -> None:
    limits = evaluator(policy(limit(per=["Tool"], tools={"names": ["spelled", "inv*"]})))
    found = {key for number in range(10_000) for key in keys(limits, request(f"invented-{number}"))}
    assert [values_of(each) for each in found] == [(OTHER_NAME,)]
    assert values_of(*keys(limits, request("spelled"))) == ("spelled",)
    assert values_of(*keys(limits, request("invented-1", is_offered=True))) == ("invented-1",)


def test_a_policy_counts_its_subjects_only_and_those_that_it_cannot_judge() -> None:
    by_group = policy(limit(), subjects=[SubjectConfig(groups=["a"])])
    failing = policy(limit(), subjects=[SubjectConfig(when="claims.missing.member == 1")])
    assert [bool(keys(evaluator(by_group), request(principal=each))) for each in (ALICE, AGENT)] == [True, False]
    assert keys(evaluator(failing), request(principal=AGENT)) != []


def test_equal_requests_are_looked_up_and_callers_do_not_share() -> None:
    limits = evaluator(policy(limit()))
    first = limits.matched(request(principal=ALICE))
    assert limits.matched(request(principal=ALICE)) is first
    assert limits.matched(request("another", principal=ALICE)) is first, "equal results are kept once"
    assert limits.matched(request(principal=AGENT)).charges != first.charges


def test_all_limits_of_all_policies_apply_in_an_order_that_no_listing_decides() -> None:
    policies = [policy(limit("z"), limit("a"), name="second"), policy(limit("m"), name="first", tier="platform")]
    orders = [evaluator(*policies), evaluator(*policies[::-1])]
    named = [[each.limit.name for each in found.matched(request()).charges] for found in orders]
    assert named == [["m", "a", "z"]] * 2


def test_limits_on_sizes_take_nothing_and_the_smallest_of_them_applies() -> None:
    shadow = policy(limit("tiny", requestBytes=1), name="s", mode="Shadow")
    limits = evaluator(
        policy(limit("big", requestBytes=4096), limit("small", requestBytes=64, responseBytes=9)), shadow
    )
    matched = limits.matched(request())
    assert matched.charges == ()
    request_limit, response_limit = matched.smallest_request(), matched.smallest_response()
    assert request_limit is not None
    assert response_limit is not None
    assert (request_limit.name, response_limit.response_bytes) == ("small", 9)


def test_requests_in_flight_are_a_counter_of_their_own() -> None:
    (charge,) = evaluator(policy(limit(concurrency=3))).matched(request()).charges
    assert (charge.limit.concurrency, charge.limit.rate, charge.limit.quota) == (3, None, None)


def costs(*weights: dict[str, Any]) -> LimitEvaluator:
    return evaluator(policy(limit(budget=1000, window=3_600_000, weights=list(weights))))


def test_a_fixed_weight_is_taken_and_the_largest_of_several_counts() -> None:
    named = {"get_*": 5, "get_weather": 9, "free": 0}
    limits = costs(*({"tools": {"names": [name]}, "units": units} for name, units in named.items()))
    assert [limits.matched(request(each)).charges[0].units for each in ("get_x", "get_weather", "free", "else")] == [
        5, 9, 0, 1
    ]  # fmt: skip


def test_arguments_weigh_a_call_and_a_fault_never_makes_it_free() -> None:
    limits = costs({"arguments": "args.pages * 2"})
    given = [{"pages": 3}, {"pages": 0}, {"pages": -5}, {"pages": "x"}, {}, {"pages": 10**12}, {"pages": 2.5}]
    before = WEIGHT_FAILURES["ns/p", "l"]
    units = [limits.matched(request(call=call(each))).charges[0].units for each in given]
    assert units == [6, 0, 1, 1, 1, LARGEST, 1], "a huge request is not had for 1"
    assert WEIGHT_FAILURES["ns/p", "l"] - before == 4


def test_a_number_of_any_type_can_weigh_a_call() -> None:
    limits = costs({"arguments": "double(args.pages) * 2.0"})
    given: list[Any] = [3, 3.0, "3", 2.5, 2**62, "inf"]
    units = [limits.matched(request(call=call({"pages": each}))).charges[0].units for each in given]
    assert units == [6, 6, 6, 5, LARGEST, 1]


def test_a_fraction_is_rounded_up() -> None:
    limits = costs({"arguments": "double(args.pages) / 2.0"})
    assert limits.matched(request(call=call({"pages": 3}))).charges[0].units == 2


def test_a_result_weighs_a_call_after_it() -> None:
    limits = costs({"result": "result.structuredContent.usage.total_tokens"})
    asked = request(call=call())
    matched = limits.matched(asked)
    assert matched.reads_result
    assert [charge.units for charge in matched.charges] == [1]
    answers: list[Any] = [
        {"structuredContent": {"usage": {"total_tokens": each}}} for each in (42, 1, 0, -3, "x", None)
    ]
    added = [[charge.units for charge in limits.result_charges(matched, call(), each)] for each in (*answers, {})]
    assert added == [[41], [], [], [], [], [], []]


def test_a_result_of_any_size_weighs_a_call() -> None:
    limits = costs({"result": "result.structuredContent.usage.total_tokens"})
    matched = limits.matched(request(call=call()))
    text = {"type": "text", "text": "x" * 1_000_000}
    huge = {"content": [text] * 5, "structuredContent": {"usage": {"total_tokens": 700}, "rows": [1] * 200_000}}
    assert [charge.units for charge in limits.result_charges(matched, call(), huge)] == [699]


def test_a_weight_that_is_no_number_is_invalid() -> None:
    with pytest.raises(ExpressionError, match=r"spec.limits\[0\].cost.weights\[0\].arguments of limit l.*a number"):
        costs({"arguments": "args.pages > 2"})
    with pytest.raises(ExpressionError, match="undeclared reference to 'result"):
        costs({"arguments": "result.x"})


def test_a_time_zone_that_does_not_exist_is_an_error_of_the_config() -> None:
    for name in ("Europe/Nowhere", "../../etc/passwd", "Europe"):
        with pytest.raises(ContractError, match="there is no time zone"):
            CompiledPolicy.build(policy(limit(requests=1, period="Day", timeZone=name)))
