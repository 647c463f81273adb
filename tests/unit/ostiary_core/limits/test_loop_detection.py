"""When calls repeat others, and what is remembered of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.access import SubjectConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.limits import LoopDetectionConfig
from ostiary_core.limits.limited_servers import LimitedServers
from ostiary_core.limits.loop_detection import CallHistory, LoopRule, LoopRules, digest_of, key_of
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.principal import ANONYMOUS, Principal

NOW = 1_790_000_000.0
ONE = LimitedServers(("",))


def rule(**members: Any) -> LoopRule:
    (found,) = rules(**members)
    return found


def rules(subjects: list[SubjectConfig] | None = None, **members: Any) -> list[LoopRule]:
    parts = {"repeats": 3, "window": 60_000, "action": "Deny", **members}
    config = LoopDetectionConfig.model_validate(parts, strict=False)
    fixed: dict[str, Any] = {"namespace": "ns", "name": "p", "uid": "u", "generation": 1, "tier": "owner"}
    compiled = CompiledPolicy.build(PolicyDocument(loop_detection=config, subjects=subjects, **fixed))
    return [compiled.loop_rule] if compiled.loop_rule is not None else []


def key(arguments: Any = None, *, principal: str = "a", tool: str = "get", proxy: str = "x", of: LoopRule) -> bytes:
    return key_of(of, proxy=proxy, principal=principal, tool=tool, arguments=digest_of(arguments or {}))


def test_the_call_that_reaches_the_number_makes_a_loop_and_each_later_one_goes_on_with_it() -> None:
    watching, history = rule(), CallHistory()
    found = [history.note(watching, key(of=watching), NOW + second) for second in range(6)]
    assert [each.beyond if each is not None else None for each in found] == [None, None, 0, 1, 2, 3]
    assert [each.delay for each in found if each is not None] == [1, 2, 3, 4]


def test_a_pause_of_a_window_ends_a_loop() -> None:
    watching, history = rule(), CallHistory()
    for second in range(5):
        history.note(watching, key(of=watching), NOW + second)
    assert history.note(watching, key(of=watching), NOW + 64.5) is None
    assert history.note(watching, key(of=watching), NOW + 65) is None
    again = history.note(watching, key(of=watching), NOW + 66)
    assert again is not None
    assert again.beyond == 0


def test_calls_that_are_spread_over_more_than_a_window_are_no_loop() -> None:
    watching, history = rule(), CallHistory()
    assert [history.note(watching, key(of=watching), NOW + 31 * step) for step in range(20)] == [None] * 20


def test_calls_are_equal_by_tool_arguments_caller_and_proxy() -> None:
    watching = rule()
    same = key({"a": 1, "b": [1, {"c": 2, "d": 3}]}, of=watching)
    assert key({"b": [1, {"d": 3, "c": 2}], "a": 1}, of=watching) == same
    others = [
        key({"a": 1, "b": [{"c": 2, "d": 3}, 1]}, of=watching),
        key({"a": "1", "b": [1, {"c": 2, "d": 3}]}, of=watching),
        key({"a": 1, "b": [1, {"c": 2, "d": 3}]}, of=watching, principal="b"),
        key({"a": 1, "b": [1, {"c": 2, "d": 3}]}, of=watching, tool="put"),
        key({"a": 1, "b": [1, {"c": 2, "d": 3}]}, of=watching, proxy="y"),
    ]
    assert len({same, *others}) == 6


def test_no_part_of_a_call_passes_for_another_part() -> None:
    watching = rule()
    assert key(of=watching, principal="ab", tool="c") != key(of=watching, principal="a", tool="bc")


def test_a_rule_watches_its_tools_and_subjects_only() -> None:
    (watching,) = rules([SubjectConfig(groups=["a"])], tools={"names": ["get_*"]})
    member = Principal(id="m", method="jwt", groups=frozenset({"a"}))
    of_proxy = LoopRules([watching], "uid", ONE)
    assert of_proxy.matching(member, "get_x") == [watching]
    assert of_proxy.matching(member, "put_x") == []
    assert of_proxy.matching(ANONYMOUS, "get_x") == []


def test_a_rule_watches_a_tool_by_the_name_that_its_server_knows() -> None:
    merged = LimitedServers(("a:80", "b:80"), CatalogueNames([("a", "a_"), ("b", "b_")]))
    (watching,) = rules(tools={"names": ["get_*"]})
    of_proxy = LoopRules([watching], "uid", merged)
    assert [bool(of_proxy.matching(ANONYMOUS, tool)) for tool in ("a_get_x", "a_put_x")] == [True, False]


def test_subjects_that_cannot_be_judged_are_watched() -> None:
    (watching,) = rules([SubjectConfig(when="claims.missing.member == 1")])
    assert LoopRules([watching], "uid", ONE).matching(ANONYMOUS, "get_x") == [watching]


@pytest.mark.parametrize("repeats", [2, 1000])
def test_the_history_is_bounded_whatever_callers_send(repeats: int) -> None:
    watching, history = rule(repeats=repeats), CallHistory(calls=50, times=500)
    for number in range(5_000):
        history.note(watching, number.to_bytes(4) if number % 3 else b"same", NOW + number / 1000)
    assert len(history) <= 50
    assert history.held <= 500 + repeats


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(0, 2)), max_size=80))
def test_a_loop_is_found_exactly_if_so_many_equal_calls_lie_in_the_window(calls: list[tuple[float, int]]) -> None:
    watching, history, now = rule(), CallHistory(), NOW
    times: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for pause, which in calls:
        now += pause
        times[which].append(now)
        found = history.note(watching, bytes([which]), now)
        within = [each for each in times[which] if now - 60 < each <= now]
        assert (found is not None) == (len(within) >= 3)
