# mypy: ignore-errors
# It runs in a virtual environment of its own: two major versions of one package do not fit into one.
"""One client of the official Python SDK 1.x with the SDK's own OAuth, driven by its standard input.

It takes the options and commands of `tests/clients/typescript/oauth.mjs`, and answers as that does.
"""

import asyncio
import json
import ssl
import sys
from contextlib import AsyncExitStack

import httpx
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata


def show(value):
    print(json.dumps(value), flush=True)


async def read():
    return json.loads(await asyncio.to_thread(sys.stdin.readline))


class Storage:
    """What the SDK keeps, in memory."""

    def __init__(self, client):
        self.client = client
        self.tokens = []

    async def get_tokens(self):
        return self.tokens[-1] if self.tokens else None

    async def set_tokens(self, tokens):
        self.tokens.append(tokens)

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


class Driver:
    """The client, and what it was asked for."""

    def __init__(self, options, stack):
        self.options = options
        self.stack = stack
        self.callback = {}
        secret = (options.get("client") or {}).get("client_secret")
        method = "client_secret_basic" if secret else "none"
        known = {"redirect_uris": [options["redirect"]], "token_endpoint_auth_method": method}
        client = OAuthClientInformationFull(**options["client"], **known) if options.get("client") else None
        self.storage = Storage(client)
        self.metadata = OAuthClientMetadata(client_name="test", **known)

    async def redirect(self, url):
        show({"authorize": url})
        self.callback = await read()

    async def called_back(self):
        return self.callback["code"], self.callback.get("state")

    async def connect(self, **_):
        document = self.options.get("document")
        self.auth = OAuthClientProvider(
            self.options["url"],
            self.metadata,
            self.storage,
            self.redirect,
            self.called_back,
            client_metadata_url=document,
        )
        tls = ssl.create_default_context()  # trusts SSL_CERT_FILE
        client = httpx.AsyncClient(auth=self.auth, verify=tls, timeout=60, trust_env=False)
        http = await self.stack.enter_async_context(client)
        streams = await self.stack.enter_async_context(streamable_http_client(self.options["url"], http_client=http))
        self.session_id = streams[2]
        self.session = await self.stack.enter_async_context(ClientSession(*streams[:2]))
        await self.session.initialize()
        return {}

    async def callTool(self, name, arguments):  # noqa: N802  the name of the command
        return (await self.session.call_tool(name, arguments)).model_dump(mode="json")

    async def expire(self):
        """Make the SDK take its access token for expired: it refreshes before the next request."""
        self.auth.context.token_expiry_time = 1.0
        return {}

    async def state(self):
        client = self.storage.client
        return {
            "sessionId": self.session_id(),
            "tokens": [each.access_token for each in self.storage.tokens],
            "client": None if client is None else {"client_id": client.client_id},
        }


async def main():
    async with AsyncExitStack() as stack:
        driver = Driver(json.loads(sys.argv[1]), stack)
        while True:
            command = await read()
            try:
                show({"ok": True, "result": await getattr(driver, command.pop("op"))(**command)})
            except Exception as error:  # noqa: BLE001  whatever the SDK raises is the answer
                show({"ok": False, "error": {"name": type(error).__name__, "message": str(error)}})


asyncio.run(main())
