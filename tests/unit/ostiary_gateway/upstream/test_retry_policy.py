"""What may be sent to a server again once it may have received it."""

from typing import Any

import pytest

from ostiary_core.contract.server_resilience import RetriedToolsConfig, RetryConfig
from ostiary_core.mcp.methods import METHODS
from ostiary_gateway.upstream.retry_policy import RetryPolicy

READS = {
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "prompts/list",
    "resources/read",
    "prompts/get",
    "completion/complete",
    "tasks/get",
    "tasks/list",
}


def policy(attempts: int = 1, backoff: int = 25, **tools: Any) -> RetryPolicy:
    config = RetriedToolsConfig(**tools) if tools else None
    found = RetryPolicy.of(RetryConfig(attempts=attempts, backoff=backoff, tools=config), has_endpoints=False)
    assert found is not None
    return found


def listed(*tools: tuple[str, dict[str, Any] | None]) -> dict[str, Any]:
    return {"result": {"tools": [{"name": name, "annotations": hints} for name, hints in tools]}}


def test_no_attempts_is_no_policy() -> None:
    assert RetryPolicy.of(RetryConfig(attempts=0, backoff=25), has_endpoints=False) is None
    assert RetryPolicy.of(None, has_endpoints=False) is None


def test_without_attempts_a_server_with_several_endpoints_still_has_another_one() -> None:
    tools = RetriedToolsConfig(names=["*"])
    for config in (None, RetryConfig(attempts=0, backoff=25, tools=tools)):
        found = RetryPolicy.of(config, has_endpoints=True)
        assert found is not None
        assert not found.attempts
        assert not found.repeats("tools/call", "x", {})


def test_reads_may_be_repeated_and_everything_else_not() -> None:
    each = policy()
    assert {method for method in METHODS if each.repeats(method, "x", {})} == READS


@pytest.mark.parametrize("member", ["requestState", "inputResponses"])
@pytest.mark.parametrize("method", ["resources/read", "prompts/get", "tools/call"])
def test_no_request_is_repeated_that_brings_what_was_asked_for(method: str, member: str) -> None:
    each = policy(names=["*"])
    assert each.repeats(method, "x", {})
    assert not each.repeats(method, "x", {member: ""})


def test_tools_are_repeated_by_the_names_that_their_server_knows() -> None:
    each = policy(names=["get_*", "*_status", "a*c", "exact"])
    allowed = {"get_", "get_users", "x_status", "abc", "ac", "exact"}
    refused = {"GET_users", "forget_users", "exactly", "acd", "", "create"}
    assert {name for name in allowed | refused if each.repeats("tools/call", name, {})} == allowed


def test_tools_are_repeated_by_the_hints_that_their_server_lists() -> None:
    each = policy(hints=["readOnlyHint"])
    tools = each.tools
    assert tools is not None
    assert not each.repeats("tools/call", "read", {})
    tools.learn("tools/list", listed(("read", {"readOnlyHint": True}), ("put", {"idempotentHint": True}), ("do", None)))
    assert [name for name in ("read", "put", "do") if each.repeats("tools/call", name, {})] == ["read"]
    tools.learn("tools/list", listed(("read", {"readOnlyHint": False})))
    assert not each.repeats("tools/call", "read", {})


@pytest.mark.parametrize("value", [1, "true", None, [True], {"readOnlyHint": True}])
def test_only_a_hint_that_is_true_counts(value: Any) -> None:
    each = policy(hints=["readOnlyHint", "idempotentHint"])
    assert each.tools is not None
    each.tools.learn("tools/list", listed(("x", {"readOnlyHint": value, "idempotentHint": value})))
    assert not each.repeats("tools/call", "x", {})


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"result": []},
        {"result": {"tools": None}},
        {"result": {"tools": [None, 1, {"name": 1}, {"name": "x", "annotations": []}, {"annotations": {}}]}},
        {"error": {"code": 1, "message": ""}},
    ],
)
def test_lists_of_any_shape_are_learned_from(message: dict[str, Any]) -> None:
    each = policy(hints=["readOnlyHint"])
    assert each.tools is not None
    each.tools.learn("tools/list", message)
    assert not each.repeats("tools/call", "x", {})


def test_a_server_cannot_fill_memory_with_hinted_names() -> None:
    each = policy(hints=["readOnlyHint"])
    assert each.tools is not None
    each.tools.learn("tools/list", listed(*((f"tool-{number}", {"readOnlyHint": True}) for number in range(5000))))
    each.tools.learn("tools/list", listed(("x" * 10_000, {"readOnlyHint": True})))
    assert sum(each.tools.has(f"tool-{number}") for number in range(5000)) == 4096
    assert not each.tools.has("x" * 10_000)


def test_pauses_double_and_are_spread() -> None:
    each = policy(backoff=25)
    assert [each.pause(number, spread=0.0) for number in (1, 2, 3)] == [0.025, 0.05, 0.1]
    assert each.pause(1, spread=1.0) == 0.05
    assert each.pause(60, spread=0.0) == 64 * 0.025
