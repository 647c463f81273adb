"""The official Python SDK's client, and the mock server as a process, for protocol tests.

async with start_mock_server() as url, connect(url, era="legacy") as client:
    tools = await client.list_tools()
"""

import asyncio
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from timeouts import TIMEOUT_SECONDS

Era = Literal["legacy", "modern"]
"""legacy: a session, at 2025-11-25; modern: stateless, at 2026-07-28."""

ERAS: tuple[Era, ...] = ("legacy", "modern")

_START_SECONDS = TIMEOUT_SECONDS
_STOP_SECONDS = TIMEOUT_SECONDS


@asynccontextmanager
async def connect(
    url: str,
    *,
    era: Era,
    headers: Mapping[str, str] | None = None,
    auth: httpx2.Auth | None = None,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[Client]:
    """An open session of the official SDK: `list_tools()`, `call_tool(name, arguments)`, `read_resource(uri)`, …

    Args:
        url: the endpoint.
        era: what to negotiate. Nothing else is accepted: a modern client does not fall back.
        headers: sent with every request.
        auth: how the client authenticates.
        tls: the certificate authorities that it trusts, None for those of the system.
        options: further arguments of `mcp.Client`, such as `logging_callback`, `message_handler`, `log_level`. The
            response cache is off unless `cache` is given, so that each call reaches the server.

    Raises:
        AssertionError: the server answers in the other era only.
        mcp.MCPError: the server refuses the handshake.
    """
    try:
        async with _http_client(headers, auth, tls) as http:
            transport = streamable_http_client(url, http_client=http)
            mode = "legacy" if era == "legacy" else "auto"
            async with Client(transport, mode=mode, **{"cache": None} | options) as client:
                negotiated = "modern" if client.protocol_version in MODERN_PROTOCOL_VERSIONS else "legacy"
                assert negotiated == era, f"asked for the {era} era, got {client.protocol_version}"
                yield client
    except BaseExceptionGroup as group:
        # The SDK's task groups wrap whatever the block raises; a test wants to see the failure itself.
        raise _innermost(group) from None


async def eventually(condition: Callable[[], bool | Awaitable[bool]], *, seconds: float = TIMEOUT_SECONDS) -> None:
    """Wait until the condition holds.

    Raises:
        AssertionError: it did not in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        is_met = condition()
        if is_met if isinstance(is_met, bool) else await is_met:
            return
        assert time.monotonic() < deadline, f"after {seconds} s it still does not hold"
        await asyncio.sleep(0.01)


@dataclass(frozen=True, slots=True)
class MockProcess:
    """A running mock server."""

    url: str
    """Its endpoint."""

    process: subprocess.Popen[str]
    stderr: Path
    """The file that takes its standard error."""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self.url.removesuffix("/mcp")


@contextmanager
def mock_process(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[MockProcess]:
    """Run the mock server on a free port until the block ends.

    Args:
        arguments: further arguments of the command.
        env: further variables of its environment. It has none of ours that begin with OTEL_, and no MOCK_PORT.

    Raises:
        AssertionError: the server did not start, or did not end cleanly and in time.
    """
    with tempfile.TemporaryDirectory() as directory:
        stderr = Path(directory, "stderr")
        process = _spawn(arguments, env or {}, stderr)
        try:
            mock = MockProcess(url=_announced_url(process, stderr), process=process, stderr=stderr)
            _await_health(mock)
            yield mock
        finally:
            _stop(process)
        assert process.returncode == 0, f"the mock server ended with {process.returncode}: {stderr.read_text()}"


@asynccontextmanager
async def start_mock_server(port: int | None = None, *, env: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """Run the mock server until the block ends; yields the URL of its endpoint.

    Args:
        port: where it listens; None takes a free port.
        env: further variables of its environment.
    """
    running = mock_process(*([] if port is None else ["--port", str(port)]), env=env)
    mock = await asyncio.to_thread(running.__enter__)
    try:
        yield mock.url
    finally:
        # Not with the block's exception: that one is not the server's fault, and it propagates by itself.
        await asyncio.to_thread(running.__exit__, None, None, None)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _http_client(
    headers: Mapping[str, str] | None, auth: httpx2.Auth | None, tls: ssl.SSLContext | None
) -> httpx2.AsyncClient:
    timeout = httpx2.Timeout(10.0, read=30.0)
    verify = tls if tls is not None else True
    return httpx2.AsyncClient(headers=dict(headers or {}), auth=auth, verify=verify, timeout=timeout, trust_env=False)


def _spawn(arguments: Sequence[str], env: Mapping[str, str], stderr: Path) -> subprocess.Popen[str]:
    inherited = {
        name: value for name, value in os.environ.items() if name != "MOCK_PORT" and not name.startswith("OTEL_")
    }
    with stderr.open("w") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "ostiary_operator.demo.mock_server", "--port", "0", *arguments],
            env=inherited | dict(env),
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        )


def _announced_url(process: subprocess.Popen[str], stderr: Path) -> str:
    """The URL in the line that the server prints when it is up, or why there is none."""
    assert process.stdout is not None
    line = process.stdout.readline()
    url = next((word for word in line.split() if word.startswith("http://")), None)
    assert url, f"the mock server did not start: {line}{stderr.read_text()}"
    return url


def _await_health(mock: MockProcess) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with opener.open(f"{mock.origin}/healthz", timeout=_START_SECONDS):
                return
        except urllib.error.URLError:
            assert time.monotonic() < deadline, f"the mock server is not healthy: {mock.stderr.read_text()}"
            time.sleep(0.02)


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()
