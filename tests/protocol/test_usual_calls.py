"""A call like an earlier one is judged, counted and recorded as that one was, and as nothing else."""

from typing import Any

from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from evidence_reader import calls
from gateways import RunningGateway, policy
from limits import limit_config, limiting
from mcp_caller import McpCaller, mcp_caller, modern
from metric_samples import counted

from ostiary_core.contract.blocks import BlockedConfig
from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_gateway.config import usual_calls

ALL = {"name": "all", "effect": "Allow"}
NO_ECHO = {"name": "no-echo", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["echo"]}}
A: dict[str, Any] = {"path": ["message"], "enum": ["a"]}
ONLY_A = {"name": "only-a", "effect": "Allow", "tools": {"names": ["echo"]}, "arguments": [A]}
CALL = modern("tools/call", {"name": "echo", "arguments": {"message": "a"}})
DURATION = "mcp_server_operation_duration_seconds_count"
APART: dict[str, Any] = {"per": ["Consumer"], "requests": 2}


async def echo(agent: McpCaller, words: str = "a") -> bool:
    """Call a tool; return whether the server answered."""
    body = modern("tools/call", {"name": "echo", "arguments": {"message": words}})
    reply = (await agent.post(body)).messages[-1]
    return "result" in reply and not reply["result"].get("isError")


def known(gateway: RunningGateway) -> int:
    """How many calls the gateway knows under the config in force."""
    snapshot = gateway.app.store.snapshot
    return len(snapshot.usual_calls) if snapshot is not None else -1


async def test_a_new_policy_judges_the_next_call(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL)]))
    async with mcp_caller(gateway.url()) as agent:
        assert [await echo(agent) for _ in range(3)] == [True] * 3
        assert known(gateway) == 1

        await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL, NO_ECHO)]))
        assert not await echo(agent)
        await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL)]))
        assert await echo(agent)


async def test_a_config_that_is_no_longer_in_force_knows_no_calls(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL)]))
    async with mcp_caller(gateway.url()) as agent:
        await echo(agent)
    before = gateway.app.store.snapshot
    assert before is not None
    assert len(before.usual_calls) == 1

    await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL, NO_ECHO)]))
    assert len(before.usual_calls) == 0


async def test_a_new_limit_counts_the_next_call_and_a_limit_that_is_gone_does_not(
    gateway: RunningGateway, mock: str
) -> None:
    allowed = policy("p", ALL)
    await gateway.apply(gateway.entry("mock", mock, [allowed]))
    async with mcp_caller(gateway.url()) as agent:
        assert [await echo(agent) for _ in range(3)] == [True] * 3
        await gateway.apply(gateway.entry("mock", mock, [allowed, limiting(limit_config(requests=2))]))
        assert [await echo(agent) for _ in range(3)] == [True, True, False]
        await gateway.apply(gateway.entry("mock", mock, [allowed, limiting(limit_config(requests=4), generation=2)]))
        assert [await echo(agent) for _ in range(3)] == [True, True, False]
        await gateway.apply(gateway.entry("mock", mock, [allowed]))
        assert [await echo(agent) for _ in range(3)] == [True] * 3


async def test_callers_have_their_own_decisions_and_limits(gateway: RunningGateway, mock: str) -> None:
    keys = keyed(api_key(AGENT_KEY, "default/a"), api_key(OTHER_KEY, "default/b"))
    for_one = policy("p", {**ALL, "when": "consumer == 'default/a'"})
    await gateway.apply(gateway.entry("mock", mock, [keys, for_one, limiting(limit_config(**APART))]))
    one, two = (mcp_caller(gateway.url(), credential=bearer(key)) for key in (AGENT_KEY, OTHER_KEY))
    async with one as agent, two as other:
        found = [(await echo(agent), await echo(other)) for _ in range(3)]

    assert found == [(True, False), (True, False), (False, False)]
    assert known(gateway) == 1


async def test_a_call_whose_arguments_matter_is_judged_each_time(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", ONLY_A)]))
    async with mcp_caller(gateway.url()) as agent:
        assert [await echo(agent, words) for words in ("a", "b", "a", "c")] == [True, False, True, False]

    assert known(gateway) == 0


async def test_a_tool_is_named_in_metrics_and_evidence_from_when_its_server_has_listed_it(
    gateway: RunningGateway, mock: str
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL)]))
    named = {"mcp_method_name": "tools/call", "gen_ai_tool_name": "echo"}
    async with mcp_caller(gateway.url()) as agent:
        await echo(agent)
        await echo(agent)
        assert counted(gateway, DURATION, **named) == 0
        await agent.post(modern("tools/list"))
        await echo(agent)
        await echo(agent)

    assert counted(gateway, DURATION, **named) == 2
    found = (await calls(gateway, {"proxy": "default/mock"})).calls
    assert [each.name for each in found if each.method == "tools/call"] == ["echo"] * 4


async def test_a_call_that_fails_is_recorded_as_it_ended_and_the_next_one_as_that_ended(
    gateway: RunningGateway, mock: str
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL)]))
    async with mcp_caller(gateway.url()) as agent:
        await agent.post(modern("tools/list"))
        await echo(agent)
        await agent.post(modern("tools/call", {"name": "echo", "arguments": {}}))  # without its argument
        await echo(agent)

    found = (await calls(gateway, {"proxy": "default/mock"})).calls
    assert [(each.outcome, each.error_type) for each in found if each.method == "tools/call"] == [
        (CallOutcome.OK, ""),
        (CallOutcome.TOOL_ERROR, "tool_error"),
        (CallOutcome.OK, ""),
    ]


async def test_a_caller_who_invents_names_delays_others_and_takes_no_more_memory(
    gateway: RunningGateway, mock: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(usual_calls, "MOST", 4)
    await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL)]))
    async with mcp_caller(gateway.url()) as agent, mcp_caller(gateway.url()) as hostile:
        for number in range(10):
            await hostile.post(modern("tools/call", {"name": f"invented-{number}", "arguments": {}}))
            assert await echo(agent)
            assert known(gateway) <= 4


async def test_who_is_blocked_or_whose_key_is_revoked_makes_no_call_that_was_usual(
    gateway: RunningGateway, mock: str
) -> None:
    settings, allowed = gateway.settings, policy("p", ALL)
    keys = keyed(api_key(AGENT_KEY), api_key(OTHER_KEY, "default/other"))
    entry = gateway.entry("mock", mock, [keys, allowed])
    await gateway.apply(entry)
    one, two = (mcp_caller(gateway.url(), credential=bearer(key)) for key in (AGENT_KEY, OTHER_KEY))
    async with one as agent, two as other:
        assert [(await echo(agent), await echo(other)) for _ in range(2)] == [(True, True)] * 2
        gateway.settings = settings.model_copy(update={"blocked": BlockedConfig(principals=["default/agent"])})
        await gateway.apply(entry)
        assert [(await echo(agent), await echo(other)) for _ in range(2)] == [(False, True)] * 2
        gateway.settings = settings
        await gateway.apply(entry)
        assert await echo(agent)
        await gateway.apply(gateway.entry("mock", mock, [keyed(api_key(OTHER_KEY, "default/other")), allowed]))
        assert (await agent.post(CALL)).status == 401
        assert await echo(other)


async def test_a_caller_of_two_proxies_is_judged_by_the_policies_of_each(gateway: RunningGateway, mock: str) -> None:
    keys = keyed(api_key(AGENT_KEY))
    strict = gateway.entry("strict", mock, [keys, policy("strict", ALL, NO_ECHO)])
    await gateway.apply(gateway.entry("mock", mock, [keys, policy("p", ALL)]), strict)
    credential = bearer(AGENT_KEY)
    async with (
        mcp_caller(gateway.url(), credential=credential) as agent,
        mcp_caller(gateway.url("strict"), credential=credential) as same,
    ):
        assert [(await echo(agent), await echo(same)) for _ in range(3)] == [(True, False)] * 3


async def test_a_call_that_is_not_counted_does_not_make_the_next_ones_free(gateway: RunningGateway, mock: str) -> None:
    allowed = policy("p", ALL)
    await gateway.apply(gateway.entry("mock", mock, [allowed, limiting(limit_config(requests=2))]))
    async with mcp_caller(gateway.url()) as agent:
        without_id = {name: value for name, value in CALL.items() if name != "id"}
        assert (await agent.post(without_id)).status == 400
        assert [await echo(agent) for _ in range(3)] == [True, True, False]


async def test_each_call_that_a_policy_in_shadow_mode_would_deny_is_recorded_so(
    gateway: RunningGateway, mock: str
) -> None:
    shadow = policy("later", ALL, {**NO_ECHO, "arguments": [A]}).model_copy(update={"mode": "Shadow"})
    await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL), shadow]))
    async with mcp_caller(gateway.url()) as agent:
        assert [await echo(agent, words) for words in ("b", "a", "b", "a")] == [True] * 4

    found = (await calls(gateway, {"proxy": "default/mock"})).calls
    assert sorted(each.shadow_rule for each in found if each.method == "tools/call") == ["", "", "no-echo", "no-echo"]


async def test_limits_in_shadow_mode_are_recorded_of_calls_beyond_them_only(gateway: RunningGateway, mock: str) -> None:
    later = limiting(limit_config(requests=2), mode="Shadow")
    await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL), later]))
    async with mcp_caller(gateway.url()) as agent:
        assert [await echo(agent) for _ in range(4)] == [True] * 4

    found = (await calls(gateway, {"proxy": "default/mock"})).calls
    assert sorted(each.shadow_rule for each in found if each.method == "tools/call") == ["", "", "l", "l"]
