"""A call whose server asks its caller, across eras: every round of it is judged again, and leaves a record."""

from pathlib import Path
from typing import Any

import pytest
from audited_gateway import audited, records
from gateways import policy
from mcp.types import ElicitResult
from mcp_clients import connect
from sdk_server import asking_server

from ostiary_core.contract.audit import AuditConfig
from ostiary_gateway.audit.auditor import Auditor
from ostiary_operator.demo.served_eras import ServedEras

ALLOW = {"name": "yes", "effect": "Allow"}


async def accept(*_: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"name": "Ada"})


def calls(path: Path, stage: str) -> list[dict[str, Any]]:
    """The records of calls in a stage."""
    events = records(path, kind="Event", stage=stage)
    return [event for event in events if event["mcp"].get("method") == "tools/call"]


async def test_each_round_of_a_client_with_a_session_has_a_record_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with asking_server(eras=ServedEras.MODERN) as url, audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", url, [policy("p", ALLOW)]))
        async with connect(gateway.url(), era="legacy", elicitation_callback=accept) as client:
            await client.call_tool("greet", {})

    first, second = calls(path, "RequestReceived")
    [end] = calls(path, "ResponseComplete")
    assert {first["auditID"], second["auditID"]} == {end["auditID"]}
    assert [each["mcp"].get("round") for each in (first, second, end)] == [None, 2, 2]
    assert second["authz"]["rule"] == "yes"
    assert second["objectRef"]["server"] == "up"
    answers = [each for each in records(path, kind="Event") if "method" not in each["mcp"]]
    assert [each["mcp"]["httpMethod"] for each in answers if each["mcp"]["httpMethod"] == "POST"] == ["POST"]


async def test_each_round_of_a_stateless_client_has_the_records_of_a_call(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with asking_server(eras=ServedEras.LEGACY) as url, audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", url, [policy("p", ALLOW)]))
        async with connect(gateway.url(), era="modern", elicitation_callback=accept) as client:
            await client.call_tool("greet", {})

    begun, ended = calls(path, "RequestReceived"), calls(path, "ResponseComplete")
    assert len(begun) == len(ended) == 2
    assert [each["auditID"] for each in begun] == [each["auditID"] for each in ended]
    assert {each["authz"]["rule"] for each in (*begun, *ended)} == {"yes"}
    assert {each["objectRef"]["server"] for each in (*begun, *ended)} == {"up"}
    assert [each["response"]["outcome"] for each in ended] == ["success", "success"]


async def test_a_round_that_the_policy_no_longer_allows_is_recorded_as_the_denied_end_of_its_call(
    tmp_path: Path,
) -> None:
    path = tmp_path / "audit.jsonl"
    async with asking_server(eras=ServedEras.MODERN) as url, audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", url, [policy("p", ALLOW)]))
        deny = {"name": "no", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["greet"]}}

        async def answer_late(*_: Any) -> ElicitResult:
            await gateway.apply(gateway.entry("mock", url, [policy("p", ALLOW, deny)]))
            return await accept()

        async with connect(gateway.url(), era="legacy", elicitation_callback=answer_late) as client:
            assert (await client.call_tool("greet", {})).is_error

    [begun], [end] = calls(path, "RequestReceived"), calls(path, "ResponseComplete")
    assert begun["auditID"] == end["auditID"]
    assert (end["authz"]["decision"], end["authz"]["rule"]) == ("deny", "no")


async def test_a_round_that_cannot_be_recorded_is_not_sent_where_a_policy_demands_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditConfig(level="Metadata", failure_policy="Fail")
    demanding = policy("p", ALLOW).model_copy(update={"audit": audit})
    asked: list[None] = [None]  # the answer can still be recorded
    async with asking_server(eras=ServedEras.MODERN) as url, audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", url, [demanding]))

        async def answer_late(*_: Any) -> ElicitResult:
            monkeypatch.setattr(Auditor, "unavailable", lambda _: asked.pop() if asked else "the disk is full")
            return await accept()

        async with connect(gateway.url(), era="legacy", elicitation_callback=answer_late) as client:
            result = await client.call_tool("greet", {})
            assert result.is_error
            assert "cannot be recorded" in str(result.content)

    assert len(calls(path, "RequestReceived")) == 1
