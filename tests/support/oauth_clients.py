"""The OAuth client of the official Python SDK, with a browser in place of its user's.

async with signed_in(url, era="modern", user=browser) as session:
    await session.client.call_tool(…) ; session.auth.context.current_tokens
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from authorization_server import CLIENT_SECRET, REDIRECT
from headless_browser import HeadlessBrowser
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from mcp_clients import Era, connect
from pydantic import AnyUrl

Registration = Literal["pre-registered", "public", "without-refresh", "dynamic", "metadata-document"]
"""How the authorization server knows a client: beforehand (with a secret, without, or without refresh tokens), by its
registration endpoint, or by a document at the URL that is the client's id."""

REGISTRATIONS: tuple[Registration, ...] = ("pre-registered", "public", "dynamic", "metadata-document")


class Storage(TokenStorage):
    """Where the SDK keeps its tokens and its registration."""

    def __init__(self, client: OAuthClientInformationFull | None) -> None:
        self.client = client
        self.tokens: list[OAuthToken] = []

    async def get_tokens(self) -> OAuthToken | None:
        """Return the newest tokens."""
        return self.tokens[-1] if self.tokens else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep tokens, next to the former ones."""
        self.tokens.append(tokens)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return how the client is registered."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep how the client is registered."""
        self.client = client_info


@dataclass
class SignedIn:
    """An open session of a client that signed in."""

    client: Client
    auth: OAuthClientProvider
    storage: Storage
    browser: HeadlessBrowser

    def expire(self) -> None:
        """Make the SDK take its access token for expired: it refreshes before the next request."""
        self.auth.context.token_expiry_time = 1.0

    @property
    def tokens(self) -> list[str]:
        """The access tokens that it got, the newest last."""
        return [each.access_token for each in self.storage.tokens]


@asynccontextmanager
async def signed_in(
    url: str, *, era: Era, browser: HeadlessBrowser, registration: Registration = "public", document: str | None = None
) -> AsyncIterator[SignedIn]:
    """Connect to an endpoint as a client without a token: the SDK signs in when it is refused.

    ``document`` is the URL of the client's metadata document.
    """
    storage = Storage(_known(registration))
    auth = oauth(url, browser, storage, document=document if registration == "metadata-document" else None)
    async with connect(url, era=era, auth=auth, tls=browser.tls) as client:
        yield SignedIn(client, auth, storage, browser)


def oauth(url: str, browser: HeadlessBrowser, storage: Storage, *, document: str | None = None) -> OAuthClientProvider:
    """Return the SDK's OAuth client for an endpoint; its user has this browser."""
    callbacks: list[dict[str, str]] = []

    async def redirect(authorization_url: str) -> None:
        callbacks.append(await browser.follow(authorization_url))

    async def callback() -> AuthorizationCodeResult:
        found = callbacks.pop()
        assert "code" in found, found
        return AuthorizationCodeResult(code=found["code"], state=found.get("state"), iss=found.get("iss"))

    metadata = OAuthClientMetadata(
        client_name="test", redirect_uris=[AnyUrl(REDIRECT)], token_endpoint_auth_method="none"
    )
    return OAuthClientProvider(url, metadata, storage, redirect, callback, client_metadata_url=document)


def _known(registration: Registration) -> OAuthClientInformationFull | None:
    secrets = {"pre-registered": CLIENT_SECRET, "public": None, "without-refresh": None}
    if registration not in secrets:
        return None
    secret = secrets[registration]
    return OAuthClientInformationFull(
        client_id=registration,
        client_secret=secret,
        redirect_uris=[AnyUrl(REDIRECT)],
        token_endpoint_auth_method="none" if secret is None else "client_secret_basic",
    )
