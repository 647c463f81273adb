"""A server of the official Python SDK that knows its callers by the gateway's identity assertions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway
from mcp import MCPError
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp_clients import ERAS, Era, connect
from pydantic import AnyHttpUrl
from sdk_server import serving_app

from ostiary_core.contract.upstream_credentials import IdentityAssertionConfig, UpstreamCredentialConfig

GATEWAY = "https://gw.example.com"
AUDIENCE = "https://crm.example.com/mcp"


class AssertionVerifier:
    """Verifies assertions with the keys that the gateway publishes."""

    def __init__(self, keys: str) -> None:
        self._keys = jwt.PyJWKClient(keys)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return who calls; None where the assertion is not valid."""
        try:
            key = await asyncio.to_thread(self._keys.get_signing_key_from_jwt, token)
            issuer = f"{GATEWAY}/default/mock"
            found = jwt.decode(token, key, algorithms=["ES256"], issuer=issuer, audience=AUDIENCE)
        except jwt.PyJWTError:
            return None
        return AccessToken(
            token=token,
            client_id=found["consumer"],
            scopes=found["scope"].split(),
            resource=found["aud"],
            subject=found["sub"],
            claims=found,
        )


def whoami() -> str:
    """Name the caller, as the gateway asserts it."""
    token = get_access_token()
    return token.client_id if token is not None else "no one"


@asynccontextmanager
async def knowing_server(keys: str) -> AsyncIterator[str]:
    """A server that refuses calls without an assertion."""
    auth = AuthSettings(
        issuer_url=AnyHttpUrl(GATEWAY), resource_server_url=AnyHttpUrl(AUDIENCE), validate_token_resource=True
    )
    server = MCPServer("knowing", version="1", token_verifier=AssertionVerifier(keys), auth=auth)
    server.add_tool(whoami, name="whoami", description="Name the caller.")
    async with serving_app(server.streamable_http_app()) as url:
        yield url


async def name_of(url: str, era: Era, headers: dict[str, str]) -> Any:
    async with connect(url, era=era, headers=headers) as client:
        return (await client.call_tool("whoami", {})).structured_content


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_of_the_official_sdk_knows_each_caller_and_refuses_those_that_pass_the_gateway_by(
    gateway: RunningGateway, era: Era
) -> None:
    keys = f"http://127.0.0.1:{gateway.app.port}/.well-known/jwks.json"
    async with knowing_server(keys) as url:
        config = IdentityAssertionConfig(header="Authorization", prefix="Bearer ", audience=AUDIENCE, lifetime=60_000)
        credential = UpstreamCredentialConfig(identity_assertion=config)
        gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
        policy = keyed(api_key(AGENT_KEY), api_key(OTHER_KEY, "default/other"))
        await gateway.apply(gateway.entry("mock", url, [policy], server={"credential": credential}))
        agent, other = await asyncio.gather(
            name_of(gateway.url(), era, bearer(AGENT_KEY)), name_of(gateway.url(), era, bearer(OTHER_KEY))
        )
        assert (agent, other) == ({"result": "default/agent"}, {"result": "default/other"})
        with pytest.raises(MCPError):
            await name_of(url, era, bearer(AGENT_KEY))
