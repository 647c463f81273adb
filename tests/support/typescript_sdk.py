"""The official TypeScript SDKs as clients: a session in a Node process, a result for every step; and one as a server.

    [listed, called] = await run_session(
        url, sdk="v2", era="modern", steps=[{"op": "listTools"}, {"op": "callTool", "name": "echo", …}]
    )

Tests that use it bear the marker `node`. `tests/clients/typescript/session.mjs` says which steps there are.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from mcp_clients import Era
from node_packages import installed_script
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.toolchain import node

Sdk = Literal["v1", "v2"]
"""v1: `@modelcontextprotocol/sdk`, legacy only; v2: `@modelcontextprotocol/client`, both eras."""

CLIENTS: tuple[tuple[Sdk, Era], ...] = (("v1", "legacy"), ("v2", "legacy"), ("v2", "modern"))
"""All that there are, to parametrise tests with."""

SOURCE = Path(__file__).parents[1] / "clients" / "typescript"
_SESSION_SECONDS = TIMEOUT_SECONDS


class ConnectError(Exception):
    """The session could not be opened.

    Attributes:
        error: what the SDK said: name, code, message, data, status (those that there are).
    """

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error.get("message"))
        self.error = error


async def run_session(
    url: str,
    *,
    sdk: Sdk,
    era: Era | Literal["auto"],
    steps: Sequence[Mapping[str, Any]],
    headers: Mapping[str, str] | None = None,
    revision: str | None = None,
) -> list[dict[str, Any]]:
    """Open a session, run the steps one after the other, close it.

    Args:
        url: the endpoint.
        sdk: which SDK.
        era: what to negotiate; nothing else is accepted. With "auto" (v2) it is what client and server agree on.
        steps: each an object with `op`, and what that needs.
        headers: sent with every request.
        revision: the only revision that the client knows (v2); None leaves it those that it has.

    Returns:
        One object for each step: `ok`, `result` or `error` (name, code, message, data, status), and in
        `notifications` (method, params) what the server sent since the step before.

    Raises:
        ConnectError: there is no session.
        AssertionError: the script failed, which is not the server's fault.
    """
    script = await asyncio.to_thread(installed_script, SOURCE, "session")
    flags = [flag for name, value in (headers or {}).items() for flag in ("--header", f"{name}: {value}")]
    flags += ["--revision", revision] if revision is not None else []
    arguments = ["--sdk", sdk, "--era", era, "--url", url, "--script", "-", *flags]
    code, stdout, stderr = await _node(script, arguments, json.dumps(list(steps)))
    assert code in {0, 1}, f"session.mjs ended with {code}: {stderr}"
    lines: list[dict[str, Any]] = [json.loads(line) for line in stdout.splitlines()]
    if code == 1:
        raise ConnectError(lines[0]["error"])
    assert len(lines) == len(steps), f"{len(lines)} lines for {len(steps)} steps: {stderr}"
    return lines


async def _node(script: Path, arguments: Sequence[str], stdin: str) -> tuple[int | None, str, str]:
    """Run node; it is killed when it takes too long, or when the test is cancelled."""
    found = await asyncio.to_thread(node.ensure)
    # A proxy of the environment has nothing to say on loopback.
    environment = found.environment() | {"NO_PROXY": "127.0.0.1,localhost"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        found.node, script, *arguments, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(_SESSION_SECONDS):
            stdout, stderr = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, stdout.decode(), stderr.decode()


@asynccontextmanager
async def meeting_server(*, json_response: bool) -> AsyncIterator[str]:
    """Run `meeting.mjs`, a server of SDK v1, until the block ends; yields its endpoint."""
    async with node_server("meeting", *(["--json"] if json_response else [])) as url:
        yield url


@asynccontextmanager
async def node_server(name: str, *arguments: str) -> AsyncIterator[str]:
    """Run a server of `tests/clients/typescript` until the block ends; yields its endpoint."""
    script = await asyncio.to_thread(installed_script, SOURCE, name)
    found = await asyncio.to_thread(node.ensure)
    process = await asyncio.create_subprocess_exec(
        found.node, script, *arguments, env=found.environment(), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_SESSION_SECONDS):
            port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        await process.wait()
