"""What becomes of the audit trail of a real process that is killed, whose disk is full, or whose output is not read."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from api_keys import bearer
from command_line import Ostiary, ostiary_command
from configs import ConfigWriter, entry, settings
from gateway_process import GatewayProcess, gateway_process
from gateways import LONG_TIMEOUTS, LOOPBACK
from mcp_caller import mcp_caller, modern
from mcp_clients import eventually
from volumes import swap_in_config

from ostiary_core.audit.signatures import AuditSigningKey, pem_of
from ostiary_core.contract.audit import AuditConfig, GatewayAuditConfig
from ostiary_core.contract.documents import ServerConfig
from ostiary_core.secret_bytes import SecretBytes

AUDIT_KEY = b"k" * 32
Calls = dict[Any, bool]
"""By id, whether a call was answered as one that its server got."""


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return ostiary_command(capsys)


@pytest.fixture
def public_key(tmp_path: Path) -> str:
    path = tmp_path / "gateway.pem"
    path.write_text(pem_of(AuditSigningKey(SecretBytes(AUDIT_KEY)).public))
    return str(path)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    return folder


@asynccontextmanager
async def started(config: Path, mock: str, *, fails: bool = False, **options: Any) -> AsyncIterator[GatewayProcess]:
    """A gateway process that records metadata, and answers calls."""
    operator = ConfigWriter()
    server = ServerConfig(name="up", url=mock, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK)
    floor = AuditConfig(level="Metadata", failure_policy="Fail" if fails else "Ignore")
    files = operator.files(entry("mock", servers=[server]), settings=settings(audit=GatewayAuditConfig(floor=floor)))
    swap_in_config(config, files, secret={**operator.secret, "audit-1": AUDIT_KEY})
    async with gateway_process(config, **options) as gateway:
        await eventually(lambda: is_ready(gateway))
        yield gateway


async def is_ready(gateway: GatewayProcess) -> bool:
    url = f"http://127.0.0.1:{gateway.admin_port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status == 200


async def state(gateway: GatewayProcess) -> dict[str, Any]:
    """What the admin port says of the trail."""
    url = f"http://127.0.0.1:{gateway.admin_port}/config"
    async with aiohttp.ClientSession() as http, http.get(url, headers=bearer("admin-for-tests")) as response:
        found: dict[str, Any] = (await response.json())["auditTrail"]
        return found


async def has_fault(gateway: GatewayProcess) -> bool:
    return (await state(gateway))["fault"] is not None


async def call(gateway: GatewayProcess, calls: Calls, name: str, count: int) -> None:
    """Make calls one after the other, until there were so many or the gateway is gone."""
    async with mcp_caller(f"http://127.0.0.1:{gateway.port}/mock/mcp") as caller:
        for number in range(count):
            message = modern("tools/call", {"name": "echo", "arguments": {"message": "hello"}}, id=f"{name}-{number}")
            try:
                reply = await caller.post(message)
            except aiohttp.ClientError:
                return
            calls[message["id"]] = reply.result.get("isError") is not True


def events(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """The records of calls that have ended."""
    for line in lines:
        record = json.loads(line)
        if record["kind"] == "Event" and record["stage"] == "ResponseComplete":
            yield record


def recorded(path: Path) -> set[str]:
    return {record["mcp"]["requestId"] for record in events(whole_lines(path))}


def whole_lines(path: Path) -> list[bytes]:
    return path.read_bytes().rpartition(b"\n")[0].splitlines()


async def test_a_killed_gateway_loses_only_what_was_not_written_and_the_next_start_says_so(
    tmp_path: Path, config: Path, mock: str, public_key: str, ostiary: Ostiary
) -> None:
    path = tmp_path / "audit.jsonl"
    early: Calls = {}
    late: Calls = {}
    async with started(config, mock, audit_file=path) as gateway:
        await asyncio.gather(*(call(gateway, early, f"early{each}", 20) for each in range(4)))
        await eventually(lambda: early.keys() <= recorded(path))
        load = [asyncio.create_task(call(gateway, late, f"late{each}", 10_000)) for each in range(4)]
        await eventually(lambda: len(recorded(path)) > len(early) + 100)
        gateway.kill()
        await gateway.ended()
        await asyncio.gather(*load)
    assert early.keys() <= recorded(path)
    cut = ostiary("audit", "verify", "--public-key", public_key, str(path))
    assert cut.code == 1
    assert "without its closing record" in cut.out + cut.err
    ending = json.loads(whole_lines(path)[-1])["chain"]
    async with started(config, mock, audit_file=path) as gateway:
        gateway.terminate()
        assert await gateway.ended() == 0
    starts = [json.loads(line) for line in whole_lines(path) if b'"GatewayStarted"' in line]
    previous = starts[-1]["previous"]
    assert (previous["id"], previous["seq"], previous["closed"]) == (ending["id"], ending["seq"], False)
    verdict = ostiary("audit", "verify", "--public-key", public_key, str(path))
    assert verdict.code == 0, verdict
    assert "was killed" in verdict.out + verdict.err


@pytest.mark.parametrize("fails", [False, True])
async def test_a_full_disk_does_what_the_failure_policy_says_and_loses_nothing(
    tmp_path: Path, config: Path, mock: str, public_key: str, ostiary: Ostiary, fails: bool
) -> None:
    path = tmp_path / "audit.jsonl"
    before: Calls = {}
    full: Calls = {}
    after: Calls = {}
    async with started(config, mock, fails=fails, audit_file=path) as gateway:
        await call(gateway, before, "before", 3)
        await eventually(lambda: before.keys() <= recorded(path))
        gateway.fill_disk_at(path.stat().st_size + 500)  # in the middle of a line
        await call(gateway, full, "first", 1)
        await eventually(lambda: has_fault(gateway))
        await call(gateway, full, "full", 20)
        assert await is_ready(gateway) is not fails
        assert "File too large" in (await state(gateway))["fault"]
        gateway.fill_disk_at(-1)
        await eventually(lambda: is_ready(gateway))
        await eventually(lambda: full.keys() <= recorded(path))
        await call(gateway, after, "after", 3)
        gateway.terminate()
        assert await gateway.ended() == 0
    assert all(before.values())
    assert all(after.values())
    assert [made for name, made in full.items() if name.startswith("full")] == [not fails] * 20
    reasons = {record["authz"].get("reason") for record in events(whole_lines(path))}
    assert ("AuditUnavailable" in reasons) is fails
    assert recorded(path) >= before.keys() | full.keys() | after.keys()
    verdict = ostiary("audit", "verify", "--public-key", public_key, str(path))
    assert verdict.code == 0, verdict


@pytest.mark.parametrize("fails", [False, True])
async def test_standard_output_that_is_not_read_does_what_the_failure_policy_says(
    tmp_path: Path, config: Path, mock: str, public_key: str, ostiary: Ostiary, fails: bool
) -> None:
    reading, writing = os.pipe()
    path = tmp_path / "stdout.jsonl"
    full: Calls = {}
    after: Calls = {}
    try:
        async with started(config, mock, fails=fails, stdout=writing) as gateway:
            os.close(writing)
            while not await has_fault(gateway):
                await call(gateway, {}, "before", 20)
            await call(gateway, full, "full", 20)
            assert await is_ready(gateway) is not fails
            drain = asyncio.create_task(asyncio.to_thread(copy, reading, path))
            await eventually(lambda: is_ready(gateway))
            await eventually(lambda: path.exists() and full.keys() <= recorded(path))
            await call(gateway, after, "after", 3)
            gateway.terminate()
            assert await gateway.ended() == 0
        await drain
    finally:
        os.close(reading)
    assert list(full.values()) == [not fails] * 20
    assert all(after.values())
    assert recorded(path) >= full.keys() | after.keys()
    verdict = ostiary("audit", "verify", "--public-key", public_key, str(path))
    assert verdict.code == 0, verdict


def copy(descriptor: int, path: Path) -> None:
    """Read until all writers are gone."""
    with path.open("wb", buffering=0) as file:
        while part := os.read(descriptor, 65536):
            file.write(part)
