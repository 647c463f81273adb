"""An MCP server of tickets on the official Python SDK, which records the headers of each request.

With a `verifier` it authenticates callers itself: it answers 401 without a token, and serves its metadata.

async with ticket_server() as server:
    server.url, server.headers
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from sdk_server import serving_app
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class TicketServer:
    """A running one."""

    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of each request, by lower-case name."""

    def recording(self, app: ASGIApp) -> ASGIApp:
        """Return an app that records the headers of each request before it answers."""

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self.headers.append({name.decode(): value.decode("latin-1") for name, value in scope["headers"]})
            await app(scope, receive, send)

        return recorded


@dataclass(frozen=True)
class JwksVerifier:
    """Verifies JWTs by the keys that an issuer publishes, as the documentation of the SDK shows it."""

    issuer: str
    audience: str

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what a valid token says."""
        keys = jwt.PyJWKClient(f"{self.issuer}/jwks")
        try:
            key = keys.get_signing_key_from_jwt(token)
            claims: dict[str, Any] = jwt.decode(token, key, ["ES256"], audience=self.audience, issuer=self.issuer)
        except jwt.PyJWTError:
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims.get("scope", "").split(),
            expires_at=claims["exp"],
            resource=claims["aud"],
            subject=claims["sub"],
            claims=claims,
        )


def _build(verifier: JwksVerifier | None, settings: AuthSettings | None) -> MCPServer:
    server = MCPServer("tickets", version="1", token_verifier=verifier, auth=settings)

    @server.tool()
    async def read_ticket(number: int) -> str:
        """Read a ticket."""
        return f"ticket {number}"

    @server.tool()
    async def delete_ticket(number: int) -> str:
        """Delete a ticket."""
        return f"deleted {number}"

    @server.tool()
    async def whoami() -> str:
        """Say for whom the server takes its caller."""
        token = get_access_token()
        return "" if token is None else str(token.subject)

    return server


@asynccontextmanager
async def ticket_server(
    verifier: JwksVerifier | None = None, *, resource: str = "", scopes: Sequence[str] = ()
) -> AsyncIterator[TicketServer]:
    """Serve it on a free port of loopback.

    ``resource`` is the URL that its metadata name as its own, and ``scopes`` are those that each request needs.
    """
    settings = None
    if verifier is not None:
        settings = AuthSettings.model_validate(
            {
                "issuer_url": verifier.issuer,
                "resource_server_url": resource,
                "required_scopes": list(scopes),
                "validate_token_resource": False,
            }
        )
    server = TicketServer()
    app = _build(verifier, settings).streamable_http_app(streamable_http_path="/mcp")
    async with serving_app(server.recording(app)) as url:
        server.url = url
        yield server
