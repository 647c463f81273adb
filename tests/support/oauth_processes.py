"""OAuth clients of official SDKs that are processes of their own, with a browser in place of their user's.

async with oauth_process("v2", url, era="modern", browser=browser) as client:
    await client.run("callTool", name="read_ticket", arguments={"number": 1})
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from authorization_server import CLIENT_SECRET, REDIRECT
from headless_browser import HeadlessBrowser
from mcp_clients import Era
from node_packages import installed_script
from oauth_clients import Registration
from timeouts import TIMEOUT_SECONDS
from typescript_sdk import CLIENTS as TYPESCRIPT
from typescript_sdk import SOURCE, Sdk

from ostiary_tools.conformance import installs
from ostiary_tools.toolchain import node

SdkProcess = Sdk | Literal["python-v1"]
"""v1, v2: the TypeScript SDKs; python-v1: the Python SDK 1.x."""

CLIENTS: tuple[tuple[SdkProcess, Era], ...] = (*TYPESCRIPT, ("python-v1", "legacy"))
"""All that there are, to parametrise tests with."""

#: A list of tools makes longer lines than asyncio expects.
_LINE_LIMIT = 1 << 20


class OAuthProcessError(Exception):
    """An operation failed in the SDK; the message is the SDK's."""


@dataclass
class OAuthProcess:
    """A running client."""

    process: asyncio.subprocess.Process
    browser: HeadlessBrowser

    async def run(self, op: str, **members: Any) -> Any:
        """Run an operation, sign in where the SDK asks for it, and return the result.

        Raises:
            OAuthProcessError: the operation failed.
        """
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answer = await self._exchange({"op": op, **members})
            while "authorize" in answer:
                answer = await self._exchange(await self.browser.follow(answer["authorize"]))
        if not answer["ok"]:
            raise OAuthProcessError(f"{answer['error']['name']}: {answer['error']['message']}")
        return answer["result"]

    async def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(message).encode() + b"\n")
        return dict(json.loads(await stdout.readline()))


@asynccontextmanager
async def oauth_process(
    sdk: SdkProcess,
    url: str,
    *,
    era: Era,
    browser: HeadlessBrowser,
    registration: Registration = "public",
    document: str | None = None,
    trusted: str | None = None,
) -> AsyncIterator[OAuthProcess]:
    """Connect to an endpoint as a client without a token.

    ``trusted`` is a file of certificate authorities.
    """
    known = {"pre-registered": {"client_id": "pre-registered", "client_secret": CLIENT_SECRET}}
    known |= {name: {"client_id": name} for name in ("public", "without-refresh")}
    options = {"sdk": sdk, "era": era, "url": url, "redirect": REDIRECT, "client": known.get(registration)}
    options |= {"document": document} if registration == "metadata-document" else {}
    program, environment = await asyncio.to_thread(_python if sdk == "python-v1" else _typescript)
    environment = {**environment, "NO_PROXY": "127.0.0.1,localhost"}
    environment |= {"NODE_EXTRA_CA_CERTS": trusted, "SSL_CERT_FILE": trusted} if trusted is not None else {}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(*program, json.dumps(options)), env=environment, stdin=pipe, stdout=pipe, limit=_LINE_LIMIT
    )
    try:
        client = OAuthProcess(process, browser)
        await client.run("connect")
        yield client
    finally:
        process.kill()
        await process.wait()


_Program = tuple[tuple[Path, Path], Mapping[str, str]]


def _typescript() -> _Program:
    """Return the command of a TypeScript client without its options, and its environment."""
    found = node.ensure()
    return (found.node, installed_script(SOURCE, "oauth")), found.environment()


def _python() -> _Program:
    """Return the same of a client of the Python SDK 1.x."""
    return (installs.virtual_environment("python-v1"), installs.DRIVERS / "python_v1_oauth.py"), os.environ
