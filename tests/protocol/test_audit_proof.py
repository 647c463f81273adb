"""The trail of a real gateway: it verifies, its records have the documented form, and its checkpoints leave the Pod."""

from pathlib import Path
from typing import Any

import aiohttp
from api_keys import bearer
from audit_trails import verified
from gateways import RunningGateway, policy, running_gateway
from http_receiver import http_receiver
from mcp_caller import mcp_caller, modern
from mcp_clients import eventually

from ostiary_core.audit.chain import link_of
from ostiary_core.audit.signatures import AuditSigningKey
from ostiary_core.audit.trail_check import Expectations
from ostiary_core.contract.audit import AuditConfig, AuditSinkConfig, AuditWebhookConfig, GatewayAuditConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.options import AuditOptions
from ostiary_operator.api.audit_record import AuditTrailRecord
from ostiary_operator.status.replica_reports import Report, parse_report

ALLOW = {"name": "yes", "effect": "Allow"}
DENY = {"name": "no", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["delete_*"]}}


async def send(gateway: RunningGateway) -> None:
    """Allowed and denied calls, a list, an unknown method, and a request to no proxy."""
    async with mcp_caller(gateway.url()) as caller:
        for name in ("echo", "delete_all", "echo"):
            await caller.post(modern("tools/call", {"name": name, "arguments": {"message": "hello"}}))
        await caller.post(modern("tools/list"))
        await caller.post(modern("no/such/method"))
    async with mcp_caller(gateway.url("missing")) as caller:
        await caller.post(modern("tools/list"))


async def reported(gateway: RunningGateway) -> Report:
    url = f"http://127.0.0.1:{gateway.app.admin_port}/config"
    async with aiohttp.ClientSession() as client, client.get(url, headers=bearer("admin-for-tests")) as response:
        return parse_report(await response.read(), gateway="ostiary/default")


def audit_settings(gateway: RunningGateway, **settings: Any) -> None:
    floor = AuditConfig(level="RequestResponse", arguments="Redacted", results="Digest")
    audit = GatewayAuditConfig(floor=floor, **settings)
    gateway.settings = gateway.settings.model_copy(update={"audit": audit})


async def test_the_trail_of_a_gateway_verifies_and_every_record_has_the_documented_form(
    tmp_path: Path, mock: str
) -> None:
    path = tmp_path / "audit.jsonl"
    published, keys = [], set()
    for _ in range(2):
        async with running_gateway(audit=AuditOptions(file=path)) as gateway:
            gateway.audit_key = b"k" * 32
            audit_settings(gateway)
            await gateway.apply(gateway.entry("mock", mock, [policy("p", ALLOW, DENY)]))
            await send(gateway)

            async def has_checkpoint() -> bool:
                audit = (await reported(gateway)).audit
                return audit is not None and audit.checkpoint is not None

            await eventually(has_checkpoint)
            audit = (await reported(gateway)).audit
            assert audit is not None
            assert audit.checkpoint is not None
            keys |= set(audit.public_keys)
            published.append((audit.checkpoint.chain, audit.checkpoint.seq, audit.checkpoint.hash))
    key = AuditSigningKey(SecretBytes(b"k" * 32)).public
    assert keys == {key}
    lines = path.read_bytes().splitlines()
    verdict = verified(b"".join(line + b"\n" for line in lines), keys=frozenset({key}))
    assert verdict.findings == ()
    assert [chain.end for chain in verdict.chains] == ["closed", "closed"]
    positions = [link.position for line in lines if (link := link_of(line)) is not None]
    assert set(published) <= {tuple(position) for position in positions}
    records = [AuditTrailRecord.model_validate_json(line) for line in lines]
    assert {record.kind.value for record in records} >= {
        "Event",
        "GatewayStarted",
        "ConfigurationChanged",
        "Checkpoint",
    }
    started = [record for record in records if record.kind == "GatewayStarted"]
    assert started[1].previous is not None
    assert started[1].previous.id == started[0].chain.id


async def test_a_webhook_gets_a_copy_that_verifies(tmp_path: Path, mock: str) -> None:
    with http_receiver() as receiver:
        async with running_gateway(audit=AuditOptions(file=tmp_path / "audit.jsonl")) as gateway:
            gateway.audit_key = b"k" * 32
            hook = AuditWebhookConfig(url=receiver.url, timeout=30_000)
            audit_settings(gateway, sinks=[AuditSinkConfig(webhook=hook)])
            await gateway.apply(gateway.entry("mock", mock, [policy("p", ALLOW, DENY)]))
            await send(gateway)
            await eventually(lambda: any(b"delete_all" in request.body for request in receiver.requests))
    key = AuditSigningKey(SecretBytes(b"k" * 32)).public
    text = b"".join(request.body for request in receiver.requests)
    verdict = verified(text, expected=Expectations(keys=frozenset({key}), from_middle=True))
    assert verdict.is_good
    assert text == (tmp_path / "audit.jsonl").read_bytes()
