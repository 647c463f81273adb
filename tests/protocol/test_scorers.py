"""Scorers through a real gateway: what they are sent, what becomes of what they flag, and those that fail."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, modern
from mcp_clients import ERAS, Era, connect
from modern_server import complete, modern_server
from scorers import LOOPBACK, ScorerOfTests, scorer
from upstreams import Arrived, Upstream, events

from ostiary_core.contract.guards import GuardConfig, ScorerAddressesConfig
from ostiary_core.contract.masks import MaskConfig

ALLOWED = {"name": "all", "effect": "Allow"}
CARD = "4111 1111 1111 1111"
TEXT = "harmless words, then poison, then more"


@pytest.fixture(name="scorer")
async def _served() -> AsyncIterator[ScorerOfTests]:
    async with scorer() as served:
        yield served


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async def respond(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        result = {"resultType": "complete", "content": [{"type": "text", "text": TEXT}]}
        if arrived.message["params"].get("name") != "stream":
            return complete(arrived, result)
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "id": arrived.message["id"], "result": result})
        return stream.response

    async with modern_server(respond) as served:
        yield served


async def apply(
    gateway: RunningGateway,
    upstream: Upstream,
    scorer: ScorerOfTests,
    *,
    masks: list[MaskConfig] | None = None,
    mode: str | None = None,
    asks: dict[str, Any] | None = None,
    **members: Any,
) -> None:
    """Have the gateway guard its proxy with a scorer."""
    given = {"url": scorer.url, "timeout": 60_000, "maxBytes": 1000, "onFailure": "Block", "sends": "Masked"}
    guard = {"name": "g", "directions": ["Results"], "sensitivity": "Medium", "action": "Block", **members}
    config = GuardConfig.model_validate({**guard, "scorer": {**given, **(asks or {})}}, strict=False)
    guarding = policy("p", ALLOWED)
    if mode is not None:
        scored = policy("scored").model_copy(update={"guards": [config], "mode": mode, "masks": masks})
        policies = [guarding, scored]
    else:
        policies = [guarding.model_copy(update={"guards": [config], "masks": masks})]
    entry, applied = gateway.entry("mock", upstream.url, policies)
    granted = ScorerAddressesConfig(owner=list(LOOPBACK))
    await gateway.apply((entry.model_copy(update={"scorer_addresses": granted}), applied))


def call(tool: str = "read", **arguments: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": tool, "arguments": arguments})


def flagging(word: str) -> Any:
    """Answer with a flag on a word, in the texts that hold it."""

    def answer(asked: Any) -> Any:
        places = [(number, each["text"].find(word)) for number, each in enumerate(asked["texts"])]
        spans = [{"text": n, "start": at, "end": at + len(word), "label": "Word"} for n, at in places if at >= 0]
        return {"verdict": "Flag", "spans": spans} if spans else {"verdict": "Pass"}

    return answer


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("tool", ["read", "stream"])
async def test_what_a_scorer_flags_is_withheld(
    gateway: RunningGateway, upstream: Upstream, scorer: ScorerOfTests, era: Era, tool: str
) -> None:
    await apply(gateway, upstream, scorer)
    scorer.answer = flagging("poison")
    async with connect(gateway.url(), era=era) as client:
        result = await client.call_tool(tool, {})
    assert result.is_error
    assert "poison" not in result.model_dump_json()
    [asked] = [each for each in scorer.asked if each["method"] == "tools/call"]
    assert (asked["direction"], asked["method"], asked["name"]) == ("Results", "tools/call", tool)
    assert {"place": "/result/content/0/text", "text": TEXT} in asked["texts"]


async def test_a_scorer_that_lets_pass_changes_no_byte(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scorer: ScorerOfTests
) -> None:
    await apply(gateway, upstream, scorer)
    assert (await caller.post(call())).result["content"][0]["text"] == TEXT


async def test_what_is_flagged_is_cut_out(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scorer: ScorerOfTests
) -> None:
    await apply(gateway, upstream, scorer, action="Strip")
    scorer.answer = flagging("poison")
    text = (await caller.post(call())).result["content"][0]["text"]
    assert text.startswith("harmless words, then ")
    assert text.endswith(", then more")
    assert "poison" not in text


async def test_arguments_are_judged_before_they_leave(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scorer: ScorerOfTests
) -> None:
    await apply(gateway, upstream, scorer, directions=["Arguments"])
    scorer.answer = flagging("poison")
    assert (await caller.post(call(note="poison"))).result["isError"] is True
    assert upstream.count("tools/call") == 0
    assert "isError" not in (await caller.post(call(note="fine"))).result


async def test_what_is_flagged_in_arguments_is_cut_out_before_they_leave(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scorer: ScorerOfTests
) -> None:
    await apply(gateway, upstream, scorer, directions=["Arguments"], action="Strip")
    scorer.answer = flagging("poison")
    assert "isError" not in (await caller.post(call(note="a poison b"))).result
    sent = upstream.arrived[-1].message["params"]["arguments"]["note"]
    assert "poison" not in sent
    assert (sent[:2], sent[-2:]) == ("a ", " b")


async def test_a_scorer_gets_masked_texts_unless_it_may_have_them_raw(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scorer: ScorerOfTests
) -> None:
    cards = {"name": "c", "directions": ["Results"], "detect": [{"kind": "CardNumber"}], "action": "Mask"}
    masks = [MaskConfig.model_validate(cards, strict=False)]
    await apply(gateway, upstream, scorer, directions=["Arguments"], masks=masks)
    await caller.post(call(note=f"pay with {CARD}", **{CARD: "as a key"}))
    assert CARD not in json.dumps(scorer.asked)
    await apply(gateway, upstream, scorer, directions=["Arguments"], masks=masks, asks={"sends": "Raw"})
    await caller.post(call(note=f"pay with {CARD}"))
    assert f"pay with {CARD}" in scorer.texts


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=500),
        lambda _: {"verdict": "Flag", "spans": [{"text": 0, "start": 0, "end": 10_000}]},
        lambda _: {"verdict": "Flag", "spans": [{"text": 99, "start": 0, "end": 1}]},
        lambda _: {"verdict": "Perhaps"},
    ],
    ids=["fails", "points outside of a text", "points outside of the texts", "lies"],
)
async def test_without_a_verdict_the_guard_says_whether_the_message_passes(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scorer: ScorerOfTests, answer: Any
) -> None:
    scorer.answer = answer
    await apply(gateway, upstream, scorer)
    result = (await caller.post(call())).result
    assert result["isError"] is True
    assert "try again later" in result["content"][0]["text"]
    assert scorer.url not in json.dumps(result)
    await apply(gateway, upstream, scorer, asks={"onFailure": "Pass"})
    assert (await caller.post(call())).result["content"][0]["text"] == TEXT


async def test_a_scorer_that_hangs_costs_its_time_and_no_more(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scorer: ScorerOfTests
) -> None:
    go_on = asyncio.Event()

    async def hang() -> Any:
        await go_on.wait()
        return {"verdict": "Pass"}

    scorer.answer = lambda _: hang()
    await apply(gateway, upstream, scorer, asks={"timeout": 50})
    assert (await caller.post(call())).result["isError"] is True
    go_on.set()


async def test_more_text_than_a_scorer_is_given_counts_as_a_failure(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scorer: ScorerOfTests
) -> None:
    await apply(gateway, upstream, scorer, directions=["Arguments"])
    assert (await caller.post(call(note="x" * 2000))).result["isError"] is True
    assert (scorer.asked, upstream.count("tools/call")) == ([], 0)


async def test_an_address_that_no_setting_grants_is_not_connected_to(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scorer: ScorerOfTests
) -> None:
    await apply(gateway, upstream, scorer)
    [(entry, policies)] = gateway.applied
    await gateway.apply((entry.model_copy(update={"scorer_addresses": None}), policies))
    assert (await caller.post(call())).result["isError"] is True
    assert scorer.asked == []


async def test_in_shadow_a_scorer_is_asked_and_nothing_changes(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scorer: ScorerOfTests
) -> None:
    await apply(gateway, upstream, scorer, mode="Shadow")
    scorer.answer = flagging("poison")
    assert (await caller.post(call())).result["content"][0]["text"] == TEXT
    assert len(scorer.asked) == 1
    scorer.answer = lambda _: web.Response(status=500)
    assert (await caller.post(call())).result["content"][0]["text"] == TEXT
