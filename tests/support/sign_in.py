"""Policies that trust the real authorization server, and a client without an SDK that gets tokens from it.

await gateway.apply(gateway.entry("tickets", url, [trusting(provider)]))
token = (await tokens(provider, HeadlessBrowser("ada"), resource=gateway.url("tickets")))["access_token"]
"""

import base64
import hashlib
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import ClientSession, web
from authorization_server import GATEWAY_SECRET, REDIRECT, AuthorizationServer
from client_certificates import Authority, Issued
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from gateways import RunningGateway
from headless_browser import HeadlessBrowser
from identity_provider import LOOPBACK, SigningKey
from mcp_caller import mcp_caller, modern
from web_application import serving_application

from ostiary_core.contract.authentication import (
    AuthenticationConfig,
    ClaimsConfig,
    FetchConfig,
    IntrospectionConfig,
    IssuerConfig,
)
from ostiary_core.contract.documents import PolicyDocument

CALL = modern("tools/call", {"name": "read_ticket", "arguments": {"number": 7}})
#: The entry of the gateway's Secret with which it introspects.
SECRET_NAME = "credential-1"


def local_url(gateway: RunningGateway) -> None:
    """Have a gateway take its own address for its external URL, as users of this machine type it."""
    url = f"http://127.0.0.1:{gateway.app.port}"
    gateway.settings = gateway.settings.model_copy(update={"external_url": url})


class Endpoint:
    """The proxy `tickets`, whose policies a test changes. ``server`` is the URL of its MCP server."""

    def __init__(self, gateway: RunningGateway, server: str) -> None:
        local_url(gateway)
        gateway.credentials = {SECRET_NAME: GATEWAY_SECRET.encode()}
        self._gateway = gateway
        self._server = server
        self.url = gateway.url("tickets")

    async def govern(self, *policies: PolicyDocument) -> None:
        """Put exactly these policies in force."""
        await self._gateway.apply(self._gateway.entry("tickets", self._server, policies))

    async def status(self, token: str) -> int:
        """The status of a call with a token."""
        async with mcp_caller(self.url, credential={"Authorization": f"Bearer {token}"}) as caller:
            return (await caller.post(CALL)).status


def oauth_policy(authentication: AuthenticationConfig, *, name: str = "oauth") -> PolicyDocument:
    """A policy that authenticates callers and has no rules."""
    return PolicyDocument(
        namespace="default", name=name, uid=f"uid-{name}", generation=1, tier="owner", authentication=authentication
    )


def trusting(provider: AuthorizationServer, *, ca: str | None = None, clock_skew: int = 30_000) -> PolicyDocument:
    """A policy that accepts the JWTs of the server. ``clock_skew`` is in milliseconds."""
    fetch = FetchConfig(ca=ca, addresses=LOOPBACK.addresses)
    issuer = IssuerConfig(issuer=provider.issuer, algorithms=["ES256"], clock_skew=clock_skew, fetch=fetch)
    return oauth_policy(AuthenticationConfig(issuers=[issuer]))


def introspecting(provider: AuthorizationServer, *, cache: int = 30_000) -> PolicyDocument:
    """A policy that asks the server about tokens. ``cache`` is in milliseconds."""
    config = IntrospectionConfig(
        issuer=provider.issuer,
        endpoint=f"{provider.issuer}/token/introspection",
        client_id="gateway",
        client_secret=SECRET_NAME,
        cache=cache,
        timeout=30_000,
        claims=ClaimsConfig(),
        fetch=LOOPBACK,
    )
    return oauth_policy(AuthenticationConfig(introspection=config))


async def tokens(
    provider: AuthorizationServer,
    browser: HeadlessBrowser,
    *,
    resource: str,
    scope: str = "",
    client: str = "public",
    bound: bool = False,
) -> dict[str, Any]:
    """Return the tokens of a new authorization of a client without a secret.

    ``bound`` binds them to a key of the client (DPoP).
    """
    verifier = token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {"response_type": "code", "client_id": client, "redirect_uri": REDIRECT, "resource": resource}
    query |= {"code_challenge": challenge, "code_challenge_method": "S256"} | ({"scope": scope} if scope else {})
    callback = await browser.follow(f"{provider.issuer}/auth?{urlencode(query)}")
    form = {"grant_type": "authorization_code", "code": callback["code"], "code_verifier": verifier}
    form |= {"redirect_uri": REDIRECT, "resource": resource}
    headers = {"DPoP": _proof(f"{provider.issuer}/token")} if bound else {}
    return await post(provider, "/token", form, client=client, tls=browser.tls, headers=headers)


def _proof(url: str) -> str:
    """Return a proof that the sender has a new key (RFC 9449 §4.2)."""
    key = SigningKey("")
    jwk = {name: value for name, value in key.public().items() if name not in ("kid", "alg")}
    claims = {"htm": "POST", "htu": url, "iat": int(time.time()), "jti": token_urlsafe(16)}
    return jwt.encode(claims, key.private, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": jwk})


async def revoke(provider: AuthorizationServer, token: str) -> None:
    """Revoke a token of the public client (RFC 7009)."""
    await post(provider, "/token/revocation", {"token": token})


async def post(
    provider: AuthorizationServer,
    path: str,
    form: dict[str, str],
    *,
    client: str = "public",
    tls: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Post a form as a client without a secret; return the JSON object of the response, which must be good."""
    form = form | {"client_id": client}
    url, verified = provider.issuer + path, tls if tls is not None else True
    async with ClientSession() as http, http.post(url, data=form, headers=headers, ssl=verified) as response:
        assert response.status == 200, await response.text()
        return dict(await response.json()) if response.content_type == "application/json" else {}


def loopback_certificate(authority: Authority) -> Issued:
    """A certificate of a server on 127.0.0.1."""
    return authority.issue(x509.IPAddress(IPv4Address("127.0.0.1")), usage=ExtendedKeyUsageOID.SERVER_AUTH)


def trust_in(authority: Authority) -> ssl.SSLContext:
    """What a client uses that trusts this authority alone."""
    return ssl.create_default_context(cadata=authority.issued.pem)


@asynccontextmanager
async def client_document(certificate: Issued, directory: Path) -> AsyncIterator[str]:
    """Serve the metadata document of a client over https; yields its URL, which is the id of the client."""
    chain = directory / "document.pem"
    chain.write_text(certificate.pem + certificate.key_pem)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(chain)

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(
            {
                "client_id": f"https://{request.host}/client.json",
                "client_name": "test",
                "redirect_uris": [REDIRECT],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "application_type": "native",
                "token_endpoint_auth_method": "none",
            }
        )

    app = web.Application()
    app.router.add_get("/client.json", answer)
    async with serving_application(app, tls) as origin:
        yield f"{origin}/client.json"
