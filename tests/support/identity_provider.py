"""An OAuth authorization server for tests: metadata, key set, introspection and tokens, over real HTTP.

async with identity_provider() as provider:
    token = provider.token(aud="https://gw.example/a/mcp", scope="read")
"""

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from jwt.algorithms import ECAlgorithm

from ostiary_core.contract.authentication import FetchConfig, IssuerConfig
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.document_client import DOCUMENT_LIMIT, DocumentClient
from ostiary_gateway.upstream.egress import Egress

AUDIENCE = "https://gw.example.com/team/mcp"
LOOPBACK = FetchConfig(addresses=["127.0.0.0/8"])
_CLIENTS: list[DocumentClient] = []
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SigningKey:
    """A private key with a name."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private: EllipticCurvePrivateKey = generate_private_key(SECP256R1())

    def public(self) -> dict[str, Any]:
        """The JWK of its public part."""
        return {**ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True), "kid": self.kid, "alg": "ES256"}


class IdentityProvider:
    """What the server answers with. ``requests`` are the paths that were requested."""

    def __init__(self, port: int, *, scheme: str = "http") -> None:
        self.issuer = f"{scheme}://127.0.0.1:{port}"
        self.keys = [SigningKey("first")]
        self.requests: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.credentials: list[str] = []
        self.metadata: dict[str, Any] = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        self.active: dict[str, dict[str, Any]] = {}
        #: The client credentials that introspection accepts (id:secret); None for all.
        self.accepted: set[str] | None = None
        #: Answers all requests instead, if set.
        self.instead: Answer | None = None
        #: Answers requests to the token endpoint, `/token`.
        self.exchange: Answer | None = None

    def token(self, *, key: SigningKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token with these claims, valid for AUDIENCE for five minutes unless they say otherwise; None omits one."""
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ada", "client_id": "agent", "iat": now, "exp": now + 300}
        body = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        signing = key or self.keys[0]
        return jwt.encode(body, signing.private, algorithm="ES256", headers={"kid": signing.kid, **(header or {})})

    def config(self, **members: Any) -> IssuerConfig:
        """This server as an issuer of a policy."""
        return IssuerConfig(**{"issuer": self.issuer, "algorithms": ["ES256"], "fetch": LOOPBACK, **members})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.requests.append(request.path)
        if self.instead is not None:
            return await self.instead(request)
        if request.path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
            return web.json_response(self.metadata)
        if request.path == "/keys":
            return web.json_response({"keys": [key.public() for key in self.keys]})
        if request.path == "/introspect":
            return await self._introspect(request)
        if request.path == "/token" and self.exchange is not None:
            return await self.exchange(request)
        return web.Response(status=404)

    async def _introspect(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        scheme, _, text = request.headers["Authorization"].partition(" ")
        assert scheme == "Basic"
        self.credentials.append(base64.b64decode(text).decode())
        if self.accepted is not None and self.credentials[-1] not in self.accepted:
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response(self.active.get(form["token"], {"active": False}))


@asynccontextmanager
async def identity_provider(tls: ssl.SSLContext | None = None) -> AsyncIterator[IdentityProvider]:
    """Serve one on a free port of loopback, over https with ``tls``."""
    box: list[IdentityProvider] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        return await box[0].answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        box.append(IdentityProvider(port, scheme="http" if tls is None else "https"))
        yield box[0]
    finally:
        while _CLIENTS:
            _CLIENTS.pop().close()
        await runner.cleanup()
        for _ in range(10):  # a TLS connection is closed some iterations of the loop later
            await asyncio.sleep(0.005)


def document_client(
    *, seconds: float = 30, addresses: tuple[str, ...] = ("127.0.0.0/8",), limit: int = DOCUMENT_LIMIT
) -> DocumentClient:
    """A client that may connect to loopback; it is closed with the provider."""
    client = DocumentClient(lambda: (OwnEndpoints(), Egress()), seconds=seconds, addresses=addresses, limit=limit)
    _CLIENTS.append(client)
    return client
