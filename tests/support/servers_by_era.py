"""Servers of the official SDKs that speak one era only, each a process, for every cell of clients and servers.

async with everything(sdk="typescript", eras=ServedEras.LEGACY) as url, connect(url, era="legacy") as client: …

They have every fixture of the conformance suite: tools, prompts, resources and templates, completion, progress, log
messages, and tools that ask back: at the older revisions on the open call (`test_elicitation`, `test_sampling`,
`test_list_roots`), at 2026-07-28 by their result (`test_input_required_result_elicitation` and others).
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

from mcp_clients import eventually

from ostiary_operator.demo.served_eras import ServedEras
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.conformance import suite

ServerSdk = Literal["python", "typescript"]
"""python: `mcp`; typescript: `@modelcontextprotocol/server`, which needs the marker `node`."""

SERVER_SDKS: Final[tuple[ServerSdk, ...]] = ("python", "typescript")


@asynccontextmanager
async def everything(*, sdk: ServerSdk, eras: ServedEras, page_size: int | None = None) -> AsyncIterator[str]:
    """Run the server with every fixture until the block ends; yields its endpoint.

    Args:
        sdk: which SDK it is built on.
        eras: which revisions it speaks.
        page_size: the length of pages of its lists; None for whole lists.

    Raises:
        AssertionError: it does not start.
    """
    port = reserve_port()
    more = [] if page_size is None else ["--page-size", str(page_size)]
    command = [*await asyncio.to_thread(_command, sdk), "--port", str(port), "--era", eras.value, *more]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        await eventually(lambda: process.returncode is not None or _listens(port))
        assert process.returncode is None, f"the server on {sdk} ended with {process.returncode}"
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _command(sdk: ServerSdk) -> list[str]:
    if sdk == "python":
        return [sys.executable, str(Path(__file__).with_name("everything_server.py"))]
    return [str(suite.install()), str(suite.HOME / "everything.mjs")]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
