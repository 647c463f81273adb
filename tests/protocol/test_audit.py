"""Every decision leaves records in a chained file: who, what, why, and how it ended; and never a secret."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from api_keys import api_key, bearer, keyed
from audited_gateway import audited, records
from gateways import RunningGateway, policy, running_gateway
from mcp_caller import legacy, mcp_caller, modern
from mcp_clients import ERAS, Era, connect, eventually

from ostiary_core.audit.record_layout import MAX_LINE_BYTES
from ostiary_core.contract.audit import AuditConfig, AuditFileConfig, AuditSinkConfig, GatewayAuditConfig
from ostiary_gateway.audit import record_members
from ostiary_gateway.audit.record_encoder import RecordEncoder
from ostiary_gateway.pipeline import audit_stage, audited_request

ALLOW = {"name": "yes", "effect": "Allow"}
DENY = {"name": "no", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["delete_*"]}}
CALL = {"name": "echo", "arguments": {"message": "hello", "password": "hunter2"}}


def calls(path: Path, stage: str = "ResponseComplete") -> list[dict[str, Any]]:
    """The records of tool calls in a stage."""
    events = records(path, kind="Event", stage=stage)
    return [event for event in events if event["mcp"].get("method") == "tools/call"]


async def call(gateway: RunningGateway, params: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
    async with mcp_caller(gateway.url()) as caller:
        answer = await caller.post(modern("tools/call", params), headers)
        return answer.json if answer.status != 200 else (answer.messages or [answer.json])[0]


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_leaves_two_records_and_a_list_one_with_its_items(tmp_path: Path, mock: str, era: Era) -> None:
    path = tmp_path / "audit.jsonl"
    async with audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", mock, [policy("p", ALLOW, DENY)]))
        async with connect(gateway.url(), era=era) as client:
            await client.call_tool("create_post", {"user_id": 1, "title": "hello", "body": "hello"})
            await client.list_tools()
            await client.call_tool("echo", {"message": "hello"})
    [received], [complete, read] = calls(path, "RequestReceived"), calls(path)
    assert received["auditID"] == complete["auditID"]
    assert complete["objectRef"] == {
        "gateway": "ostiary/default",
        "proxy": "default/mock",
        "uid": "uid-mock",
        "server": "up",
    }
    assert complete["user"]["authMethod"] == "anonymous"
    assert complete["authz"] == {
        "decision": "allow",
        "policy": "default/p",
        "generation": 1,
        "rule": "yes",
        "reason": "Allowed",
    }
    assert (complete["mcp"]["tool"], read["mcp"]["tool"]) == ("create_post", "echo")
    assert complete["response"]["outcome"] == "success"
    assert (complete["durationMs"] > 0, "arguments" in complete["request"]) == (True, False)
    lists = [each for each in records(path, kind="Event") if each["mcp"].get("method") == "tools/list"]
    assert [each["stage"] for each in lists] == ["ResponseComplete"] * len(lists)
    assert lists[0]["response"]["items"] > 3
    kinds = [record["kind"] for record in records(path)]
    assert kinds[:3] == ["GatewayStarted", "Checkpoint", "ConfigurationChanged"]
    assert kinds[-2:] == ["GatewayStopped", "Checkpoint"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_usual_request_is_recorded_with_the_bytes_of_a_whole_record(
    tmp_path: Path, mock: str, era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def both(encoder: RecordEncoder, *request: Any) -> bytes | None:
        line = audited_request.usual_record(encoder, *request)
        if line is not None:
            event = audited_request.request_event(*request)
            compared.append((line, encoder.encode(event._replace(arguments={}))))  # content: no template is used
        return line

    monkeypatch.setattr(audited_request, "time_ns", lambda: 1_800_000_000_123_456_789)
    monkeypatch.setattr(audit_stage, "usual_record", both)
    async with audited(tmp_path / "audit.jsonl") as gateway:
        await gateway.apply(gateway.entry("mock", mock, [keyed(api_key("k", "default/a")), policy("p", ALLOW, DENY)]))
        async with connect(gateway.url(), era=era, headers=bearer("k")) as client:
            for number in range(3):
                await client.call_tool("create_post", {"user_id": number + 1, "title": "hello", "body": "hello"})
                await client.call_tool("echo", {"message": "hello"})
            await client.list_tools()
            await client.call_tool("delete_all", {})
    assert [line for line, _ in compared] == [whole for _, whole in compared]
    assert sum(b'"tool":"create_post"' in line for line, _ in compared) == 6
    assert not any(b"delete_all" in line for line, _ in compared)


async def test_a_usual_record_that_would_be_too_long_is_shortened(
    tmp_path: Path, mock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_members, "TEXT", 100_000)  # more than any identity provider can send
    path = tmp_path / "audit.jsonl"
    async with audited(path) as gateway:
        key = api_key("k", f"default/{'a' * 30_000}")
        await gateway.apply(gateway.entry("mock", mock, [keyed(key), policy("p", ALLOW)]))
        for _ in range(2):
            await call(gateway, CALL, bearer("k"))
    assert [len(json.dumps(each)) < MAX_LINE_BYTES for each in calls(path)] == [True, True]


async def test_a_denied_call_is_recorded_with_policy_and_rule(tmp_path: Path, mock: str) -> None:
    path = tmp_path / "audit.jsonl"
    async with audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", mock, [policy("p", ALLOW, DENY)]))
        await call(gateway, {"name": "delete_all", "arguments": {}})
    [denied] = calls(path)
    assert calls(path, "RequestReceived") == []
    assert denied["authz"]["decision"] == "deny"
    assert (denied["authz"]["policy"], denied["authz"]["rule"]) == ("default/p", "no")
    assert denied["response"]["outcome"] == "denied"


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"level": "Request"}, {"arguments": {"message": "hello", "password": "[redacted]"}}),
        ({"level": "Request", "arguments": "Full"}, {"arguments": CALL["arguments"]}),
        ({"level": "Metadata"}, {}),
    ],
)
async def test_a_level_says_what_is_recorded_of_arguments(
    tmp_path: Path, mock: str, config: dict[str, Any], shown: dict[str, Any]
) -> None:
    path = tmp_path / "audit.jsonl"
    async with audited(path) as gateway:
        recorded = policy("p", ALLOW).model_copy(update={"audit": AuditConfig(**config)})
        await gateway.apply(gateway.entry("mock", mock, [recorded]))
        await call(gateway, CALL)
    [complete] = calls(path)
    assert {key: value for key, value in complete["request"].items() if key != "bytes"} == shown
    assert "result" not in complete["response"]


async def test_digests_recognise_equal_arguments_and_results_are_shown_redacted(tmp_path: Path, mock: str) -> None:
    path = tmp_path / "audit.jsonl"
    async with audited(path) as gateway:
        config = AuditConfig(level="RequestResponse", arguments="Digest")
        recorded = policy("p", ALLOW).model_copy(update={"audit": config})
        await gateway.apply(gateway.entry("mock", mock, [recorded]))
        for text in ("one", "one", "two"):
            await call(gateway, {"name": "echo", "arguments": {"message": text}})
    first, second, third = [record["request"]["argumentsDigest"] for record in calls(path)]
    assert first == second != third
    assert first.startswith("hmac-sha256:")
    assert "one" in json.dumps(calls(path)[0]["response"]["result"])
    assert b'"arguments":' not in path.read_bytes()


async def test_callers_without_a_credential_cannot_fill_the_disk(tmp_path: Path, mock: str) -> None:
    path = tmp_path / "audit.jsonl"
    async with audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", mock, [keyed(api_key("ostiary_known"))]))
        for _ in range(120):
            await call(gateway, CALL, bearer("ostiary_marked_secret"))
    refused = [each for each in records(path, kind="Event") if each["authz"].get("reason") == "CredentialInvalid"]
    [gap] = records(path, kind="Gap")
    assert 50 <= len(refused) < 120
    assert gap["gap"]["dropped"] == 120 - len(refused)
    assert (gap["gap"]["reason"], gap["gap"]["refusal"]) == ("NotAuthenticated", "CredentialInvalid")
    assert refused[0]["user"] == {"authMethod": "none"}
    assert b"marked_secret" not in path.read_bytes()


async def test_a_request_without_a_proxy_is_recorded(tmp_path: Path, mock: str) -> None:
    path = tmp_path / "audit.jsonl"
    async with audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", mock))
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{gateway.app.port}/none/mcp?token=marked"
            async with http.post(url, json=legacy("ping")) as answer:
                assert answer.status == 404
    [lost] = [each for each in records(path, kind="Event") if each["response"].get("status") == 404]
    assert lost["mcp"]["path"] == "/none/mcp"
    assert b"marked" not in path.read_bytes()


async def test_under_fail_a_dead_sink_refuses_calls_before_the_server_gets_them(tmp_path: Path, mock: str) -> None:
    folder = tmp_path / "volume"
    folder.mkdir()
    file = AuditFileConfig(path=str(folder / "audit.jsonl"), max_bytes=10**6, max_files=2)
    async with running_gateway() as gateway:
        floor = AuditConfig(level="Metadata", failure_policy="Fail")
        audit = GatewayAuditConfig(floor=floor, sinks=[AuditSinkConfig(file=file)])
        gateway.settings = gateway.settings.model_copy(update={"audit": audit})
        await gateway.apply(gateway.entry("mock", mock))
        assert (await call(gateway, CALL))["result"].get("isError") is not True
        folder.rename(tmp_path / "gone")
        await call(gateway, CALL)  # the file is missed when this one is written
        await eventually(lambda: gateway.app.auditor.fault is not None)
        refused = (await call(gateway, CALL))["result"]
        assert refused["isError"] is True
        assert "cannot be recorded" in refused["content"][0]["text"]
        assert "audit" in (gateway.app.not_ready() or "")
        (tmp_path / "gone").rename(folder)
        await eventually(lambda: gateway.app.not_ready() is None)
        assert (await call(gateway, CALL))["result"].get("isError") is not True
    unavailable = [each for each in calls(folder / "audit.jsonl") if each["authz"].get("reason") == "AuditUnavailable"]
    assert len(unavailable) == 1


async def test_the_next_start_names_a_trail_that_was_not_closed(tmp_path: Path, mock: str) -> None:
    path = tmp_path / "audit.jsonl"
    async with audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", mock))
        await call(gateway, CALL)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]) + lines[-2][:100])  # as after kill -9 in the middle of a line
    last = json.loads(lines[-3])["chain"]
    async with audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", mock))
    started = [json.loads(line) for line in path.read_bytes().splitlines() if b'"GatewayStarted"' in line][-1]
    assert started["previous"] == {
        "id": last["id"],
        "seq": last["seq"],
        "hash": last["hash"],
        "closed": False,
        "tornBytes": 100,
    }
