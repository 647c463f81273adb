"""The OAuth clients of the official TypeScript SDKs, each as a Node process, with a browser in place of their user's.

async with typescript_client(url, sdk="v2", era="modern", browser=browser) as client:
    await client.run("callTool", name="read_ticket", arguments={"number": 1})
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from authorization_server import CLIENT_SECRET, REDIRECT
from headless_browser import HeadlessBrowser
from mcp_clients import Era
from node_packages import installed_script
from oauth_clients import Registration
from timeouts import TIMEOUT_SECONDS
from typescript_sdk import SOURCE, Sdk

from ostiary_tools.toolchain import node

#: An event stream or a list of tools has longer lines than asyncio expects.
_LINE_LIMIT = 1 << 20


class TypeScriptError(Exception):
    """An operation failed in the SDK; the message is the SDK's."""


@dataclass
class TypeScriptClient:
    """A running one."""

    process: asyncio.subprocess.Process
    browser: HeadlessBrowser

    async def run(self, op: str, **members: Any) -> Any:
        """Run an operation, sign in where the SDK asks for it, and return the result.

        Raises:
            TypeScriptError: the operation failed.
        """
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answer = await self._exchange({"op": op, **members})
            while "authorize" in answer:
                answer = await self._exchange(await self.browser.follow(answer["authorize"]))
        if not answer["ok"]:
            raise TypeScriptError(f"{answer['error']['name']}: {answer['error']['message']}")
        return answer["result"]

    async def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(message).encode() + b"\n")
        return dict(json.loads(await stdout.readline()))


@asynccontextmanager
async def typescript_client(
    url: str,
    *,
    sdk: Sdk,
    era: Era,
    browser: HeadlessBrowser,
    registration: Registration = "public",
    document: str | None = None,
    trusted: str | None = None,
) -> AsyncIterator[TypeScriptClient]:
    """Connect to an endpoint as a client without a token.

    ``trusted`` is a file of certificate authorities.
    """
    known = {"pre-registered": {"client_id": "pre-registered", "client_secret": CLIENT_SECRET}}
    known |= {name: {"client_id": name} for name in ("public", "without-refresh")}
    options = {"sdk": sdk, "era": era, "url": url, "redirect": REDIRECT, "client": known.get(registration)}
    options |= {"document": document} if registration == "metadata-document" else {}
    script = await asyncio.to_thread(installed_script, SOURCE, "oauth")
    found = await asyncio.to_thread(node.ensure)
    environment = found.environment() | {"NO_PROXY": "127.0.0.1,localhost"}
    environment |= {"NODE_EXTRA_CA_CERTS": trusted} if trusted is not None else {}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(found.node, script, json.dumps(options)), env=environment, stdin=pipe, stdout=pipe, limit=_LINE_LIMIT
    )
    try:
        client = TypeScriptClient(process, browser)
        await client.run("connect")
        yield client
    finally:
        process.kill()
        await process.wait()
