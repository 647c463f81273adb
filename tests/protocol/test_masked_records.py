"""What a mask hides is in nothing that a gateway records, also where callers and servers see it.

Everything is on at once: spans with contents, an audit trail with contents as they are, a debug capture, log lines.
"""

import asyncio
import io
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from audited_gateway import audited, records
from captured_log import captured_log
from command_line import ostiary_command
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from otlp_sink import Sink, http_sink
from upstreams import Arrived, answer, document, events, serving

from ostiary_core.contract.audit import AuditConfig
from ostiary_core.contract.debug_capture import DebugCaptureConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.masks import MaskConfig
from ostiary_gateway.telemetry import Telemetry

ADMIN_TOKEN = "admin-for-tests"
CARD = "4111111111111111"
SPACED = "4111 1111 1111 1111"
EMPLOYEE = "EMP-104477"
#: What is searched for in everything that was written, without spaces, dashes and backslashes.
HIDDEN = re.compile("4111111111111111|EMP104477|NDExMTExMTExMTExMTExM|RU1QLTEwNDQ3N")


def masking(directions: list[str], *, tools: list[str] | None = None) -> PolicyDocument:
    """A policy that masks cards and employees in some directions."""
    detect = [{"kind": "CardNumber"}, {"pattern": r"EMP-\d{6}", "name": "employee"}]
    selected = {"tools": {"names": tools}} if tools is not None else {}
    config = {"name": "hidden", "directions": directions, "detect": detect, "action": "Mask", **selected}
    masks = [MaskConfig.model_validate_json(json.dumps(config))]
    return PolicyDocument(
        namespace="default", name="masks", uid="uid-masks", generation=1, tier="owner", access=None, masks=masks
    )


CONTENTS: dict[str, Any] = {
    "card": SPACED,
    "number": int(CARD),
    "text": f"paid with {SPACED} by {EMPLOYEE}, in Berlin",
    CARD: "a key",
    "json": json.dumps({"card": CARD, "nested": json.dumps([EMPLOYEE])}),
    "rows": [{"deep": {"er": [f"{EMPLOYEE}"]}}],
}


async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """Repeat what was asked, with hidden values in every kind of message."""
    if not arrived.body:
        return web.Response(status=405)
    name = arrived.message.get("params", {}).get("name")
    if arrived.method == "resources/read" or name == "fail":
        error = {"code": -32050, "message": f"nothing is known of {SPACED}", "data": {"who": EMPLOYEE}}
        return document({"jsonrpc": "2.0", "id": arrived.message["id"], "error": error})
    texts = [{"type": "text", "text": json.dumps(CONTENTS)}, {"type": "text", "text": f"{SPACED} {EMPLOYEE}"}]
    result = {"content": texts, "structuredContent": CONTENTS, "isError": name == "complain"}
    if name != "stream":
        return document(answer(arrived, result))
    async with events(request) as stream:
        params = {"level": "info", "data": {"card": CARD, "who": EMPLOYEE}}
        await stream.send({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
        await stream.send(answer(arrived, result))
    return stream.response


@dataclass
class Recording:
    """A gateway that records everything, and its caller."""

    gateway: RunningGateway
    caller: McpCaller
    trail: Path
    spans: Sink

    async def send_all(self) -> None:
        """Send requests of every kind, with hidden values in each."""
        for name in ("read", "stream", "fail", "complain", "drop", f"tool-{CARD}", EMPLOYEE):
            await self.caller.post(modern("tools/call", {"name": name, "arguments": CONTENTS}))
        for method, params in (
            ("resources/read", {"uri": f"crm://cards/{CARD}"}),
            ("resources/read", {"uri": f"crm://staff/{EMPLOYEE}?name=ada"}),
            ("prompts/get", {"name": "summary", "arguments": {"who": EMPLOYEE}}),
            ("completion/complete", {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"value": CARD}}),
        ):
            await self.caller.post(modern(method, params))


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with captured_log() as text:
        yield text


@pytest.fixture(params=[["Results"], ["Arguments"], ["Results", "Arguments"]], ids="+".join)
async def recording(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Recording]:
    trail = tmp_path / "audit.jsonl"
    with http_sink() as sink:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        }
        telemetry = Telemetry.from_env(environ)
        rules = policy(
            "rules",
            {"name": "no", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["drop", f"tool-{CARD}"]}},
            {"name": "yes", "effect": "Allow"},
        ).model_copy(update={"audit": AuditConfig(level="RequestResponse", arguments="Full", results="Full")})
        until = int((time.time() + 3600) * 1000)
        async with (
            serving(script) as upstream,
            audited(trail, telemetry=telemetry) as gateway,
            mcp_caller(gateway.url("mock")) as caller,
        ):
            await gateway.apply(
                gateway.entry(
                    "mock",
                    upstream.url,
                    [rules, masking(request.param, tools=["other"])],
                    debug_capture=DebugCaptureConfig(until=until, contents="Redacted"),
                )
            )
            yield Recording(gateway, caller, trail, sink)


async def _written(recording: Recording, log: io.StringIO, tmp_path: Path, run: Any) -> dict[str, str]:
    """Everything that was written, by where."""
    await eventually(lambda: len(records(recording.trail, stage="ResponseComplete")) >= 11)
    spans = recording.spans.wait_for(lambda each: len(each) >= 20)
    token = tmp_path / "admin-token"
    token.write_text(ADMIN_TOKEN)
    admin = ("--admin", f"http://127.0.0.1:{recording.gateway.app.admin_port}", "--token-file", str(token))
    found = {"log": log.getvalue(), "spans": "\n".join(map(str, spans)), "trail": recording.trail.read_text()}
    for arguments in (
        ("logs", "default/mock", *admin),
        ("logs", "default/mock", "-o", "json", *admin),
        ("audit", "query", str(recording.trail)),
    ):
        done = await asyncio.to_thread(run, *arguments)
        assert done.code == 0, done.err
        found[" ".join(arguments[:4])] = done.out + done.err
    return found


@pytest.mark.timeout(120)
async def test_nothing_that_is_written_holds_what_a_mask_hides_in_any_direction_or_name(
    recording: Recording, log: io.StringIO, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await recording.send_all()

    written = await _written(recording, log, tmp_path, ostiary_command(capsys))

    plain = {where: re.sub(r"[\s\\-]", "", text) for where, text in written.items()}
    found = {
        where: text[max(0, at.start() - 80) : at.end()] for where, text in plain.items() if (at := HIDDEN.search(text))
    }
    assert found == {}
    for where in ("spans", "trail", "logs default/mock -o json"):
        assert "Berlin" in written[where], f"{where} lacks the contents"
        assert "masked: CardNumber" in written[where]


async def test_digests_of_masked_contents_are_those_of_what_was_sent(recording: Recording) -> None:
    """A keyed digest reveals nothing, and has to be the same as without a mask."""
    digests = policy("rules", {"name": "yes", "effect": "Allow"}).model_copy(
        update={"audit": AuditConfig(level="RequestResponse", arguments="Digest", results="Digest")}
    )
    entry, _ = recording.gateway.applied[0]
    upstream = entry.servers[0].url or ""
    for policies in ([digests], [digests, masking(["Arguments"], tools=["other"])]):
        await recording.gateway.apply(recording.gateway.entry("mock", upstream, policies))
        await recording.caller.post(modern("tools/call", {"name": "read", "arguments": CONTENTS}))
    await eventually(lambda: len(records(recording.trail, stage="ResponseComplete")) == 2)
    first, second = (each["request"] for each in records(recording.trail, stage="ResponseComplete"))
    assert first["argumentsDigest"] == second["argumentsDigest"]
