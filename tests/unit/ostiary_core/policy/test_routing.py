"""Routing rules: the first match decides, and an error never leads on to the next rule."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.errors import ContractError, ExpressionError
from ostiary_core.policy.expressions import ExpressionResult
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_core.policy.routing import RouteDecision, Routing

SERVERS = ("eu", "eu-2", "us", "default")


@dataclass(frozen=True)
class Rule:
    name: str
    when: str | None
    servers: tuple[str, ...]


EU = Rule("eu", 'claims.region == "eu"', ("eu", "eu-2"))
US = Rule("us", 'claims.region == "us"', ("us",))
REST = Rule("rest", None, ("default",))


def principal(**claims: Any) -> Principal:
    return Principal(id="token:x", method="jwt", claims=claims, groups=frozenset(claims.get("groups", ())))


def routed(
    *rules: Rule,
    caller: Principal = ANONYMOUS,
    method: str = "tools/call",
    arguments: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> RouteDecision:
    call = Call(caller, arguments=arguments or {}, headers=headers or {}, request={"method": method, "name": "t"})
    return Routing.build(rules, SERVERS).decide(caller, method=method, call=lambda: call)


def test_the_first_rule_that_matches_names_the_servers_in_order_of_preference() -> None:
    assert routed(EU, US, REST, caller=principal(region="eu")) == RouteDecision((0, 1), "eu")
    assert routed(EU, US, REST, caller=principal(region="us")) == RouteDecision((2,), "us")
    assert routed(EU, US, REST, caller=principal(region="asia")) == RouteDecision((3,), "rest")


def test_a_message_that_no_rule_matches_has_no_route() -> None:
    assert routed(EU, US, caller=principal(region="asia")) == RouteDecision()


def test_a_rule_that_fails_to_evaluate_never_leads_to_the_next_one() -> None:
    assert routed(EU, REST, caller=principal()) == RouteDecision(rule="eu", failed=True)
    failing = Rule("size", "args.size > 3", ("eu",))
    assert routed(failing, REST, arguments={"size": "many"}) == RouteDecision(rule="size", failed=True)
    assert routed(failing, REST, arguments={}) == RouteDecision(rule="size", failed=True)


def test_arguments_that_differ_in_case_from_those_of_a_rule_have_no_route() -> None:
    rule = Rule("eu", 'has(args.region) && args.region == "eu"', ("eu",))
    assert routed(rule, REST, arguments={"Region": "eu"}).failed


def test_arguments_too_large_to_evaluate_have_no_route() -> None:
    rule = Rule("eu", 'args.region == "eu"', ("eu",))
    assert routed(rule, REST, arguments={"region": "eu", "text": "x" * 100_000}).failed


@pytest.mark.parametrize("method", ["tools/list", "resources/read", "initialize", "server/discover"])
def test_methods_without_arguments_pass_over_rules_that_read_them(method: str) -> None:
    by_arguments = Rule("by-arguments", 'args.region == "eu"', ("eu",))
    assert routed(by_arguments, REST, method=method) == RouteDecision((3,), "rest")


@pytest.mark.parametrize("method", ["tools/call", "prompts/get"])
def test_methods_with_arguments_do_not_pass_over_them(method: str) -> None:
    by_arguments = Rule("by-arguments", 'args.region == "eu"', ("eu",))
    assert routed(by_arguments, REST, method=method, arguments={"region": "eu"}).servers == (0,)


def test_headers_groups_and_the_method_decide_too() -> None:
    assert routed(Rule("h", 'headers["x-site"] == "eu"', ("eu",)), headers={"x-site": "eu"}).servers == (0,)
    assert routed(Rule("g", '"support" in groups', ("us",)), caller=principal(groups=["support"])).servers == (2,)
    assert routed(Rule("m", 'request.method == "tools/call"', ("us",))).servers == (2,)


def test_the_message_is_not_prepared_where_the_caller_decides() -> None:
    def never() -> Call:
        raise AssertionError("the message was prepared")

    caller = principal(region="eu")
    assert Routing.build([EU], SERVERS).decide(caller, method="tools/call", call=never).servers == (0, 1)


def test_a_caller_reaches_the_servers_that_some_message_of_it_could_lead_to() -> None:
    by_arguments = Rule("by-arguments", "args.urgent == true", ("default",))
    rules = Routing.build([by_arguments, EU, US], SERVERS)
    assert rules.reachable(principal(region="us")) == (3, 2)
    assert rules.reachable(principal(region="eu")) == (3, 0, 1)
    assert rules.reachable(principal()) == (3,)
    assert Routing.build([EU], SERVERS).reachable(principal(region="us")) == ()


def test_a_trace_shows_each_rule_up_to_the_one_that_decides() -> None:
    caller = principal(region="us")
    call = Call(caller, arguments={}, headers={}, request={"method": "tools/list"})
    by_arguments = Rule("by-arguments", "args.urgent == true", ("default",))
    traced = Routing.build([by_arguments, EU, US, REST], SERVERS).trace(call)
    assert [each.result for each in traced] == [None, ExpressionResult.FALSE, ExpressionResult.TRUE, None]


def test_an_invalid_condition_and_an_unknown_server_are_refused() -> None:
    with pytest.raises(ExpressionError):
        Routing.build([Rule("x", "claims.region", ("eu",))], SERVERS)
    with pytest.raises(ContractError, match="routing rule x names the server nowhere"):
        Routing.build([Rule("x", None, ("nowhere",))], SERVERS)


CONDITIONS = (
    None,
    'claims.region == "eu"',
    'claims.region == "us"',
    "authenticated",
    'request.method == "tools/list"',
    'args.region == "eu"',
    'headers["x-site"] == "eu"',
)


@given(
    conditions=st.lists(st.sampled_from(CONDITIONS), max_size=6),
    region=st.sampled_from(["eu", "us", None]),
    method=st.sampled_from(["tools/call", "tools/list"]),
    arguments=st.sampled_from([{}, {"region": "eu"}, {"region": 1}]),
    headers=st.sampled_from([{}, {"x-site": "eu"}]),
)
def test_the_remembered_decision_is_that_of_trying_every_rule(
    conditions: list[str | None], region: str | None, method: str, arguments: dict[str, Any], headers: dict[str, str]
) -> None:
    caller = principal(**({"region": region} if region else {}))
    rules = [Rule(f"r{number}", when, ("eu", "us")[: 1 + number % 2]) for number, when in enumerate(conditions)]
    call = Call(caller, arguments=arguments, headers=headers, request={"method": method})
    routing = Routing.build(rules, SERVERS)
    decided = [each for each in routing.trace(call) if each.result not in (None, ExpressionResult.FALSE)]
    found = routing.decide(caller, method=method, call=lambda: call)
    if not decided:
        assert found == RouteDecision()
    else:
        assert found.rule == decided[0].rule.name
        assert found.failed == (decided[0].result is ExpressionResult.ERROR)
        assert set(found.servers) <= set(routing.reachable(caller))
