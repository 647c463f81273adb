"""No secret is in what a gateway records of calls: spans, trail, its copies, capture, limits, and what commands print.

Everything is on at once: spans, an audit trail with all copies, a debug capture, limits in a Redis with a password.
"""

import asyncio
import gzip
import io
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from api_keys import api_key, bearer, keyed
from canaries import Canaries
from command_line import Ostiary, ostiary_command
from gateways import RunningGateway, policy, running_gateway
from http_receiver import HTTPReceiver, http_receiver
from limits import limit_config, limiting
from mcp_caller import BOTH_TYPES, modern, modern_headers
from mcp_clients import eventually
from multidict import CIMultiDict
from otlp_sink import Sink, http_sink
from redis_servers import RedisServer
from upstreams import Arrived, answer, document, serving

from ostiary_core.contract.audit import AuditConfig, AuditSinkConfig, AuditWebhookConfig, GatewayAuditConfig
from ostiary_core.contract.debug_capture import DebugCaptureConfig
from ostiary_core.contract.limit_store import LimitStoreConfig, RedisConfig, StoreCredentialsConfig
from ostiary_core.contract.upstream_credentials import StaticCredentialConfig, UpstreamCredentialConfig
from ostiary_gateway.options import AuditOptions
from ostiary_gateway.telemetry import Telemetry

ADMIN_TOKEN = "admin-for-tests"
LIMIT = 20


@dataclass
class Records:
    """The gateway, and where it writes to."""

    gateway: RunningGateway
    trail: Path
    webhook: HTTPReceiver
    logs: HTTPReceiver
    spans: Sink
    canaries: Canaries
    key: str
    replies: list[bytes] = field(default_factory=list)

    async def send(self, message: dict[str, Any], headers: dict[str, str] | None = None, query: str = "") -> int:
        """Send a message with the API key, and keep the response."""
        sent = CIMultiDict({"Content-Type": "application/json", "Accept": BOTH_TYPES, **bearer(self.key)})
        sent.update({name: str(value) for name, value in modern_headers(message).items()})
        sent.update(headers or {})
        async with (
            aiohttp.ClientSession() as client,
            client.post(self.gateway.url("mock") + query, data=json.dumps(message), headers=sent) as response,
        ):
            self.replies.append(f"{response.headers}".encode() + await response.read())
            return response.status

    async def admin(self, path: str, accept: str = "*/*") -> bytes:
        """What the admin port shows."""
        headers = {**bearer(ADMIN_TOKEN), "Accept": accept}
        url = f"http://127.0.0.1:{self.gateway.app.admin_port}{path}"
        async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
            assert response.status == 200, (path, await response.text())
            return await response.read()


def secrets_in_contents(canaries: Canaries) -> dict[str, Any]:
    """Arguments and results with secrets in every place that a person would recognise one in."""

    def new(what: str) -> str:
        return canaries.new(what)

    return {
        "password": new("password member"),
        "nested": {"list": [{"apiKey": new("nested key")}, {"client_secret": [new("listed secret")]}]},
        "headers": [{"name": "Authorization", "value": new("header in a list")}, ["Cookie", new("pair")]],
        "env": f"DB_PASSWORD={new('assignment')}",
        "raw": f"GET / HTTP/1.1\r\nAuthorization: Bearer {new('header text')}\r\nCookie: a=1; sid={new('cookie text')}",
        "json": json.dumps({"token": new("JSON in a text")}),
        "twice": json.dumps(json.dumps({"access_token": new("JSON in JSON in a text")})),
        "url": f"https://user:{new('password in a URL').replace('/', '_')}@host/x?sig={new('signature in a URL')}",
        "redis": f"redis://:{new('password of a store').replace('/', '_')}@cache:6379/0",
        "option": f"login --password {new('option')}",
        "city": "Berlin",
    }


def _plain(canaries: Canaries, what: str) -> str:
    """A secret of letters and digits, for where others need an encoding."""
    secret = f"canary{secrets.token_hex(12)}"
    canaries.add(what, secret)
    return secret


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged, by every library."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    loggers = [logging.getLogger(), logging.getLogger("ostiary_gateway")]
    before = [each.level for each in loggers]
    loggers[0].addHandler(handler)
    for each in loggers:
        each.setLevel(logging.DEBUG)
    yield text
    loggers[0].removeHandler(handler)
    for each, level in zip(loggers, before, strict=True):
        each.setLevel(level)


def _settings(stack: AsyncExitStack, tmp_path: Path, webhook: HTTPReceiver, canaries: Canaries) -> dict[str, Any]:
    password, token = canaries.new("password of Redis"), _plain(canaries, "token in the webhook's URL")
    redis = RedisServer(tmp_path / "redis", ("--requirepass", password), password=password)
    stack.callback(redis.kill)
    redis.start()
    sinks = [
        AuditSinkConfig(otlp=True),
        AuditSinkConfig(
            webhook=AuditWebhookConfig(
                url=f"{webhook.url}?token={token}", timeout=30_000, credential="credential-webhook"
            )
        ),
    ]
    floor = AuditConfig(level="RequestResponse", arguments="Redacted", results="Redacted")
    credentials = StoreCredentialsConfig(password="credential-redis")
    store = RedisConfig(mode="Standalone", addresses=[redis.address], credentials=credentials)
    return {
        "secret": password,
        "settings": {
            "audit": GatewayAuditConfig(floor=floor, sinks=sinks, checkpoint=1000),
            "limit_store": LimitStoreConfig(redis=store, timeout=5000, leases="Off"),
        },
    }


@pytest.fixture
async def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Records]:
    canaries = Canaries()
    async with AsyncExitStack() as stack:
        sink, webhook = stack.enter_context(http_sink()), stack.enter_context(http_receiver())
        logs = stack.enter_context(http_receiver())
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", logs.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-otlp-key={_plain(canaries, 'header of OTLP')}")
        telemetry = Telemetry.from_env(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, "OTEL_TRACES_SAMPLER": "always_on"}
        )
        trail = tmp_path / "audit.jsonl"
        settings = await asyncio.to_thread(_settings, stack, tmp_path, webhook, canaries)
        gateway = await stack.enter_async_context(running_gateway(telemetry=telemetry, audit=AuditOptions(file=trail)))
        gateway.settings = gateway.settings.model_copy(update=settings["settings"])
        gateway.credentials |= {
            "credential-redis": settings["secret"].encode(),
            "credential-webhook": canaries.new("token of the webhook").encode(),
            "credential-static": canaries.new("credential of the server").encode(),
        }
        canaries.add("audit key", gateway.audit_key)
        found = Records(gateway, trail, webhook, logs, sink, canaries, canaries.new("API key"))
        contents = secrets_in_contents(canaries)

        async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
            if not arrived.body:
                return web.Response(status=405)
            seen = {"echo": dict(arrived.headers), **contents}
            texts = [{"type": "text", "text": json.dumps(seen)}, {"type": "text", "text": str(seen)}]
            if arrived.message["method"] == "tools/list":
                return document(answer(arrived, {"tools": []}))
            return document(answer(arrived, {"content": texts, "structuredContent": seen}))

        upstream = await stack.enter_async_context(serving(script))
        static = StaticCredentialConfig(header="Authorization", prefix="Bearer ", secret="credential-static")
        rules = policy(
            "rules",
            {"name": "no", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["drop"]}},
            {"name": "yes", "effect": "Allow"},
        )
        await gateway.apply(
            gateway.entry(
                "mock",
                upstream.url,
                [keyed(api_key(found.key)), rules, limiting(limit_config(tools={"names": ["get"]}, requests=LIMIT))],
                server={"credential": UpstreamCredentialConfig(static=static)},
                debug_capture=DebugCaptureConfig(until=int((time.time() + 3600) * 1000), contents="Redacted"),
            )
        )
        yield found


async def _failing_store(recorded: Records) -> None:
    """Have Redis refuse the password."""
    wrong = recorded.canaries.new("wrong password of Redis").encode()
    recorded.gateway.place_secret({**recorded.gateway.secret, "credential-redis": wrong})
    await recorded.gateway.apply(*recorded.gateway.applied)
    await recorded.send(modern("tools/call", {"name": "get", "arguments": {}}))


async def _calls(recorded: Records) -> None:
    """Calls that are allowed, denied, limited, refused and unreadable, with secrets in every place that has room."""
    canaries = recorded.canaries
    arguments = secrets_in_contents(canaries)
    headers = {
        "Cookie": f"session={canaries.new('cookie')}",
        "X-Api-Key": canaries.new("other header"),
    }
    for name in ("get", "drop", *["get"] * LIMIT):
        assert await recorded.send(modern("tools/call", {"name": name, "arguments": arguments}), headers) == 200
    await recorded.send(modern("tools/list"), headers, query=f"?q={canaries.new('query string')}")
    await recorded.send(modern("tools/list"), headers, query=f"?access_token={canaries.new('token in the query')}")
    await recorded.send(modern("tools/list"), bearer(canaries.new("unknown key")))
    await recorded.send(modern("tools/list"), {"Mcp-Session-Id": canaries.new("session id")})
    await recorded.send(modern("tools/call", {"name": 7, "arguments": arguments}), headers)
    url = recorded.gateway.url("mock")
    async with aiohttp.ClientSession() as client:
        for method in ("DELETE", "GET", "PUT"):
            async with client.request(method, url, headers={**bearer(recorded.key), **headers}) as response:
                recorded.replies.append(await response.content.read(4096))
        async with client.post(
            url, data=b'{"password": "' + arguments["password"].encode(), headers=bearer(recorded.key)
        ) as response:
            recorded.replies.append(await response.read())


def _bodies(receiver: HTTPReceiver) -> bytes:
    bodies = (each.body for each in receiver.requests)
    return b"\n".join(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body for body in bodies)


async def _commands(recorded: Records, tmp_path: Path, ostiary: Ostiary) -> dict[str, str | bytes]:
    """What commands print of it."""
    token = tmp_path / "admin-token"
    token.write_text(ADMIN_TOKEN)
    admin = ("--admin", f"http://127.0.0.1:{recorded.gateway.app.admin_port}", "--token-file", str(token))
    found: dict[str, str | bytes] = {}
    for arguments in (
        ("logs", "default/mock", *admin),
        ("logs", "default/mock", "-o", "json", *admin),
        ("limits", *admin),
        ("limits", "-o", "json", *admin),
        ("audit", "query", "--kind", "All", str(recorded.trail)),
        ("audit", "query", "--kind", "All", "-o", "json", str(recorded.trail)),
        ("audit", "verify", "--open", str(recorded.trail)),
    ):
        done = await asyncio.to_thread(ostiary, *arguments)
        assert done.code == 0, (arguments, done.err)
        found[" ".join(arguments[:4])] = done.out + done.err
    return found


@pytest.mark.timeout(120)
async def test_no_secret_in_contents_headers_or_settings_is_in_anything_that_is_recorded(
    recorded: Records, tmp_path: Path, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    await _calls(recorded)
    await _failing_store(recorded)
    complete = b'"stage":"ResponseComplete"'
    trail = recorded.trail  # which begins with the first record that is written
    await eventually(lambda: trail.exists() and trail.read_bytes().count(complete) >= LIMIT + 6)
    await eventually(lambda: _bodies(recorded.webhook).count(complete) >= LIMIT + 6)
    await eventually(lambda: _bodies(recorded.logs).count(complete) >= LIMIT + 6)
    spans = recorded.spans.wait_for(lambda each: len(each) >= LIMIT)
    outputs: dict[str, str | bytes] = {
        "log": log.getvalue(),
        "spans": "\n".join(map(str, spans)),
        "logs over OTLP": _bodies(recorded.logs),
        "audit trail": recorded.trail.read_bytes(),
        "webhook": _bodies(recorded.webhook),
        "refusals": b"\n".join(each for each in recorded.replies if b'"structuredContent"' not in each),
    }
    openmetrics = "application/openmetrics-text"
    for path, accept in (("/config", "*/*"), ("/limits", "*/*"), ("/metrics", "*/*"), ("/metrics", openmetrics)):
        outputs[f"{path} {accept}"] = await recorded.admin(path, accept)
    for path in ("/capture", "/capture?proxy=default/mock", "/healthz", "/readyz"):
        outputs[path] = await recorded.admin(path)
    outputs |= await _commands(recorded, tmp_path, ostiary_command(capsys))

    assert recorded.canaries.shown_in(outputs) == []
    for name in ("audit trail", "webhook", "logs over OTLP", "/capture?proxy=default/mock"):
        text = outputs[name]
        assert isinstance(text, bytes)
        assert text.count(b"Berlin") > 1, f"{name} lacks the contents"
        assert b"[redacted]" in text
