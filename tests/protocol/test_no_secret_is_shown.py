"""No secret is shown: one of each kind, every step at which it could fail, and all that a gateway shows of it."""

import asyncio
import base64
import io
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from api_keys import api_key, bearer, keyed
from canaries import Canaries, objects_of
from captured_log import captured_log
from gateways import RunningGateway, running_gateway
from identity_provider import LOOPBACK, IdentityProvider, SigningKey, identity_provider
from mcp_caller import BOTH_TYPES, modern, modern_headers
from mcp_clients import eventually
from multidict import CIMultiDict
from otlp_sink import Sink, http_sink
from tls_secrets import MountedSecret
from upstreams import Arrived, Upstream, answer, document, serving
from yarl import URL

from ostiary_core.contract.audit import AuditConfig, GatewayAuditConfig
from ostiary_core.contract.authentication import AuthenticationConfig, ClaimsConfig, IntrospectionConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.upstream_credentials import (
    ClientCredentialsConfig,
    IdentityAssertionConfig,
    StaticCredentialConfig,
    TokenExchangeConfig,
    UpstreamCredentialConfig,
)
from ostiary_gateway.config.directory_source import DirectorySource
from ostiary_gateway.options import AuditOptions
from ostiary_gateway.server.certificate import Certificate
from ostiary_gateway.telemetry import Telemetry

GATEWAY = "https://gw.example.com"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
PROXIES = ("keyed", "tokens", "opaque", "bearer", "header", "client", "assertion", "exchanged", "relayed")
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class Server:
    """A server that repeats all headers that it got where it fails, in the body and in its challenge."""

    def __init__(self) -> None:
        self.status = 200
        self.seen: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        self.seen += [value for name, value in arrived.headers.items() if name in ("Authorization", "X-Api-Key")]
        if self.status == 200:
            return document(answer(arrived, {"content": []}))
        shown = json.dumps(dict(arrived.headers))
        challenge = {"WWW-Authenticate": f"Bearer error={shown!r}"}
        return web.Response(status=self.status, text=shown, headers=challenge, reason=shown.replace("\n", " ")[:200])


class TokenEndpoint:
    """An authorization server that repeats what it got where it fails."""

    def __init__(self, token: str, exchanged: str) -> None:
        self.token, self.exchanged, self.status = token, exchanged, 200

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if self.status != 200:
            text = f"{dict(request.headers)} {arrived.body!r}"
            return web.Response(status=self.status, text=json.dumps({"error": text, "error_description": text}))
        token = self.exchanged if b"subject_token" in arrived.body else self.token
        found = {"access_token": token, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer"}
        return document({**found, "expires_in": 3600})


class CanaryScenario:
    """A gateway with one proxy for each kind of secret, and all that was sent and received."""

    def __init__(self, gateway: RunningGateway, provider: IdentityProvider, canaries: Canaries) -> None:
        self.gateway, self.provider, self.canaries = gateway, provider, canaries
        self.server = Server()
        self.endpoint = TokenEndpoint(
            canaries.new("access token of client credentials"), canaries.new("exchanged token")
        )
        self.key = canaries.new("API key")
        self.opaque = canaries.new("opaque token")
        self.relayed = canaries.new("token that passes through")
        self.replies: list[bytes] = []
        canaries.add("session key", gateway.session_key)
        canaries.add("MAC key", gateway.mac_key)
        canaries.add("audit key", gateway.audit_key)
        gateway.admin_token = canaries.new("admin token").encode()
        for name, key in gateway.assertion_keys.items():
            canaries.add(f"signing key {name}", key)
        for name in ("static", "header", "client", "exchange", "introspection"):
            gateway.credentials[f"credential-{name}"] = canaries.new(f"credential {name}").encode()

    async def apply(self, upstream: Upstream, endpoint: Upstream) -> None:
        """Have the gateway open all proxies."""
        audit = GatewayAuditConfig(floor=AuditConfig(level="RequestResponse", arguments="Full", results="Full"))
        self.gateway.settings = self.gateway.settings.model_copy(update={"external_url": GATEWAY, "audit": audit})
        policies = self._policies()
        credentials = _credentials(endpoint.url)
        await self.gateway.apply(
            *(
                self.gateway.entry(
                    name,
                    upstream.url,
                    [policies[name]] if name in policies else [],
                    server={"credential": credentials.get(name)},
                )
                for name in PROXIES
            )
        )

    def _policies(self) -> dict[str, PolicyDocument]:
        introspection = IntrospectionConfig(
            issuer=self.provider.issuer,
            endpoint=f"{self.provider.issuer}/introspect",
            client_id="gateway",
            client_secret="credential-introspection",
            cache=30_000,
            timeout=30_000,
            claims=ClaimsConfig(),
            fetch=LOOPBACK,
        )
        keys = keyed(api_key(self.key), anonymous=True)
        return {
            "keyed": keyed(api_key(self.key)),
            "tokens": _policy("tokens", AuthenticationConfig(issuers=[self.provider.config()])),
            "opaque": _policy("opaque", AuthenticationConfig(introspection=introspection)),
            "assertion": keys.model_copy(update={"name": "assertion", "uid": "uid-assertion"}),
            "exchanged": _policy("exchanged", AuthenticationConfig(issuers=[self.provider.config()])),
            "relayed": _policy("relayed", AuthenticationConfig(passthrough=True)),
        }

    async def send(
        self,
        proxy: str,
        headers: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        message: dict[str, Any] = CALL,
    ) -> int:
        """Send a call, keep all of the response, and return its status."""
        sent = CIMultiDict({"Content-Type": "application/json", "Accept": BOTH_TYPES, **_mirrored(message)})
        sent.extend(headers or {})
        url = URL(self.gateway.url(proxy)).with_query(query)
        async with (
            aiohttp.ClientSession() as client,
            client.post(url, data=json.dumps(message), headers=sent, allow_redirects=False) as response,
        ):
            self.replies.append(f"{response.status} {response.reason} {dict(response.headers)} ".encode())
            self.replies.append(await response.read())
            return response.status

    def token(self, what: str, *, proxy: str = "tokens", **claims: Any) -> str:
        """A token with a secret claim; its signature is searched for, too."""
        token = self.provider.token(
            aud=f"{GATEWAY}/{proxy}/mcp", secret=self.canaries.new(f"claim of {what}"), **claims
        )
        self.canaries.add(f"signature of {what}", token.rpartition(".")[2])
        return token

    async def admin(self) -> dict[str, bytes]:
        """All that the admin port shows."""
        found = {}
        async with aiohttp.ClientSession() as client:
            for path in ("/config", "/metrics", "/healthz", "/readyz", "/missing"):
                url = f"http://127.0.0.1:{self.gateway.app.admin_port}{path}"
                for header in ({}, bearer(self.gateway.admin_token.decode())):
                    async with client.get(url, headers=header) as response:
                        found[f"{path} {response.status}"] = await response.read()
        return found


def _mirrored(message: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in modern_headers(message).items()}


def _policy(name: str, authentication: AuthenticationConfig) -> PolicyDocument:
    return PolicyDocument(
        namespace="default", name=name, uid=f"uid-{name}", generation=1, tier="owner", authentication=authentication
    )


def _credentials(token_endpoint: str) -> dict[str, UpstreamCredentialConfig]:
    client = ClientCredentialsConfig(token_endpoint=token_endpoint, client_id="ostiary", secret="credential-client")
    exchange = TokenExchangeConfig(
        token_endpoint=token_endpoint,
        client_id="ostiary",
        secret="credential-exchange",
        subject_token_type=ACCESS_TOKEN,
    )
    assertion = IdentityAssertionConfig(header="Authorization", prefix="Bearer ", audience="crm", lifetime=60_000)
    return {
        "bearer": UpstreamCredentialConfig(
            static=StaticCredentialConfig(header="Authorization", prefix="Bearer ", secret="credential-static")
        ),
        "header": UpstreamCredentialConfig(
            static=StaticCredentialConfig(header="X-Api-Key", secret="credential-header")
        ),
        "client": UpstreamCredentialConfig(client_credentials=client),
        "exchanged": UpstreamCredentialConfig(token_exchange=exchange),
        "assertion": UpstreamCredentialConfig(identity_assertion=assertion),
    }


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged, by every library, with the tracebacks."""
    with captured_log() as text:
        yield text


@pytest.fixture
def sink() -> Iterator[Sink]:
    with http_sink() as found:
        yield found


@pytest.fixture
async def scenario(sink: Sink, tmp_path: Path) -> AsyncIterator[CanaryScenario]:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, "OTEL_TRACES_SAMPLER": "always_on"}
    async with AsyncExitStack() as stack:
        audit = AuditOptions(file=tmp_path / "audit.jsonl")
        telemetry = Telemetry.from_env(variables)
        gateway = await stack.enter_async_context(running_gateway(telemetry=telemetry, audit=audit))
        provider = await stack.enter_async_context(identity_provider())
        found = CanaryScenario(gateway, provider, Canaries())
        upstream = await stack.enter_async_context(serving(found.server.script))
        endpoint = await stack.enter_async_context(serving(found.endpoint.script))
        await found.apply(upstream, endpoint)
        yield found


async def _callers(scenario: CanaryScenario) -> None:
    """Send credentials of callers of every kind, good and bad."""
    canaries, provider = scenario.canaries, scenario.provider
    provider.active[scenario.opaque] = {"active": True, "sub": "ada", "aud": f"{GATEWAY}/opaque/mcp"}
    accepted = [
        ("keyed", bearer(scenario.key)),
        ("tokens", bearer(scenario.token("a valid token"))),
        ("opaque", bearer(scenario.opaque)),
        ("relayed", bearer(scenario.relayed)),
        ("assertion", bearer(scenario.key)),
    ]
    assert [await scenario.send(*each) for each in accepted] == [200] * len(accepted)
    foreign = SigningKey("first")
    refused = [
        ("keyed", bearer(canaries.new("unknown API key"))),
        ("keyed", {"Authorization": f"Basic {canaries.new('value of another scheme')}"}),
        ("keyed", {"Authorization": canaries.new("value without a scheme")}),
        ("tokens", bearer(scenario.token("an expired token", exp=int(time.time()) - 600))),
        ("tokens", bearer(scenario.token("a forged token", key=foreign))),
        ("tokens", bearer(scenario.token("a token of another issuer", iss="https://other.example.com"))),
        ("tokens", bearer(scenario.token("a token with bad groups", header={"crit": ["x"]}))),
        ("tokens", bearer(canaries.new("a text that is no token"))),
        ("opaque", bearer(canaries.new("an inactive token"))),
    ]
    assert [await scenario.send(*each) for each in refused] == [401] * len(refused)


async def _misplaced(scenario: CanaryScenario) -> None:
    """Send secrets where they do not belong, and several at once."""
    canaries = scenario.canaries
    in_query = canaries.new("key in the query")
    for name in ("access_token", "api-key", "q"):
        assert await scenario.send("keyed", bearer(scenario.key), query={name: in_query}) == (
            200 if name == "q" else 400
        )
    several = CIMultiDict(bearer(canaries.new("first of two keys")))
    several.add("Authorization", f"Bearer {canaries.new('second of two keys')}")
    assert await scenario.send("keyed", several) == 400
    control = {"Authorization": "Bearer " + canaries.new("key with a tab").replace("~", "\t")}
    assert await scenario.send("keyed", control) in (400, 401)
    for name in ("keyed", "bearer", "relayed"):
        bad = modern("tools/call", {"name": 7, "arguments": {}})
        assert await scenario.send(name, bearer(scenario.key), message=bad) in (200, 400)


async def _servers_that_fail(scenario: CanaryScenario) -> None:
    """Have servers and the token endpoint fail, and repeat what they got."""
    senders: dict[str, dict[str, str]] = {"bearer": {}, "header": {}, "client": {}}
    senders["assertion"] = bearer(scenario.key)
    senders["exchanged"] = bearer(scenario.token("a token that is exchanged", proxy="exchanged"))
    for name, headers in senders.items():
        assert await scenario.send(name, headers) == 200
    for scenario.server.status in (401, 403, 500, 302):
        for name, headers in senders.items():
            await scenario.send(name, headers)
    for scenario.endpoint.status in (400, 500):
        await scenario.send("client")
        caller = f"caller-{scenario.endpoint.status}"
        failing = scenario.token(f"a token whose exchange fails with {caller}", proxy="exchanged", sub=caller)
        assert await scenario.send("exchanged", bearer(failing)) == 200
    scenario.server.status = 200
    for number, value in enumerate(scenario.server.seen):
        if value.count(".") == 2:
            scenario.canaries.add(f"signature of the token {number} that a server got", value.rpartition(".")[2])


async def _providers_that_fail(scenario: CanaryScenario) -> None:
    """Have the identity provider fail, and repeat what it got."""

    async def repeat(request: web.Request) -> web.StreamResponse:
        shown = f"{dict(request.headers)} {await request.text()}"
        return web.Response(status=status, text=shown, reason=shown.replace("\r\n", " ")[:200])

    scenario.provider.instead = repeat
    for status in (200, 400, 500):
        assert await scenario.send("opaque", bearer(scenario.canaries.new(f"opaque token at {status}"))) in (401, 503)
        unknown = scenario.token(f"a token of an unknown key at {status}", key=SigningKey(f"key-{status}"))
        assert await scenario.send("tokens", bearer(unknown)) in (401, 503)


async def _keys_that_are_wrong(scenario: CanaryScenario) -> None:
    """Place a Secret with keys that cannot be used, and a config that needs a credential that is missing."""
    names = ("session-1", "mac-2", "assertion-1", "credential-new")
    wrong = {name: scenario.canaries.new(f"ill-formed {name}").encode() for name in names}
    scenario.gateway.place_secret({**scenario.gateway.secret, **wrong})
    source = scenario.gateway.app.sources[0]
    assert isinstance(source, DirectorySource)
    await source.poll()


async def _in_flight(scenario: CanaryScenario) -> dict[str, bytes]:
    """Return how all objects of the gateway show themselves while requests of every kind are in flight."""
    scenario.server.gate.clear()
    senders = {
        "keyed": scenario.key,
        "opaque": scenario.opaque,
        "relayed": scenario.relayed,
        "bearer": "",
        "header": "",
    }
    arrived = len(scenario.server.seen)
    tasks = [asyncio.create_task(scenario.send(name, bearer(key) if key else {})) for name, key in senders.items()]
    await eventually(lambda: scenario.server.waiting == len(senders))
    shown = {f"{name} ({number})": text for number, (name, text) in enumerate(objects_of("ostiary_gateway"))}
    shown |= {f"{name} ({number})": text for number, (name, text) in enumerate(objects_of("ostiary_core"))}
    scenario.server.gate.set()
    assert [await task for task in tasks] == [200] * len(senders)
    assert arrived < len(scenario.server.seen)
    return shown


def _certificate(gateway: RunningGateway) -> Certificate:
    [found] = (source for source in gateway.app.sources if isinstance(source, Certificate))
    return found


async def test_the_key_of_the_data_port_is_nowhere_although_it_is_replaced_by_a_bad_one(
    tmp_path: Path, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    canaries, secret = Canaries(), MountedSecret(tmp_path)
    secret.renew("localhost")
    files = secret.draft("localhost")
    canaries.add("TLS key", secret.files.key.read_text().splitlines()[2])
    canaries.add("next TLS key", files["tls.key"].splitlines()[2])
    outputs: dict[str, str | bytes] = {}
    async with running_gateway(tls=secret.files) as gateway:
        for bad in (files["tls.key"][:-60], files["tls.key"].replace(b"-----", b""), files["tls.key"]):
            secret.place({**files, "tls.key": bad, "tls.crt": b"" if bad == files["tls.key"] else files["tls.crt"]})
            await _certificate(gateway).poll()
        outputs |= {f"{name} {number}": text for number, (name, text) in enumerate(objects_of("ostiary_gateway"))}
    written = capfd.readouterr()
    outputs |= {"log": log.getvalue(), "standard output": written.out, "standard error": written.err}
    assert canaries.shown_in(outputs) == []


@pytest.mark.timeout(120)
async def test_no_secret_of_any_kind_is_in_a_log_a_span_a_metric_an_error_or_an_object(
    scenario: CanaryScenario, sink: Sink, log: io.StringIO, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await _callers(scenario)
    await _misplaced(scenario)
    objects = await _in_flight(scenario)
    await _servers_that_fail(scenario)
    await _providers_that_fail(scenario)
    await _keys_that_are_wrong(scenario)

    trail = tmp_path / "audit.jsonl"
    events = b'"kind":"Event"'
    await eventually(lambda: trail.read_bytes().count(events) >= len(PROXIES))
    count = len(scenario.replies) // 2
    spans = sink.wait_for(lambda found: sum(each.kind == "SERVER" for each in found) >= count)
    written = capfd.readouterr()
    outputs: dict[str, str | bytes] = {
        "responses": b"\n".join(scenario.replies),
        "log": log.getvalue(),
        "standard output": written.out,
        "standard error": written.err,
        "spans": "\n".join(map(str, spans)),
        "audit trail": trail.read_bytes(),
        **await scenario.admin(),
        **objects,
    }
    assert len(log.getvalue()) > 0
    shown = scenario.canaries.shown_in(outputs)
    # A principal can be pickled, with the claims of its token, which are no credentials.
    assert [each for each in shown if not (each.startswith("claim of") and "in pickle of" in each)] == []


def test_the_search_finds_a_secret_in_every_encoding() -> None:
    canaries = Canaries()
    secret = canaries.new("secret")
    encoded: dict[str, str | bytes] = {
        "plain": secret,
        "hex": secret.encode().hex().upper(),
        "url": f"?key={quote(secret, safe='')}",
        "base64": base64.b64encode(f"user:{secret}".encode()),
        "base64url": base64.urlsafe_b64encode(f"x{secret}".encode()),
        "json": json.dumps({"key": secret}),
    }
    for name, text in encoded.items():
        assert canaries.shown_in({name: text}) != [], name
    assert canaries.shown_in({"other": "canary"}) == []
