"""Sends traffic to an endpoint and counts failures.

For use while something is restarted, killed or upgraded.

    PYTHONPATH=tools python -m ostiary_tools.traffic http://HOST/PATH/mcp --seconds 60

Calls are sent at a fixed rate, whatever the state of earlier ones, half of them in sessions (2025-11-25) and half
without (2026-07-28). A stream that ends is opened again. There are no retries. A call has failed unless its response is
HTTP 200 with a result; a stream has failed if it could not be opened. The exit code is 1 if anything failed.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

_SESSION_ERA: Final = "2025-11-25"
_STATELESS: Final = "2026-07-28"
_ACCEPT: Final = "application/json, text/event-stream"
_CLIENT: Final = {"name": "ostiary-traffic", "version": "1"}
_CALL_SECONDS: Final = 30.0
#: Connections of the clients; idle ones are kept and reused, as agents' clients do.
_CONNECTIONS: Final = 40
_SESSIONS: Final = 10
_REOPEN_SECONDS: Final = 0.05
#: The number of failures of a kind that are printed at once; all are counted.
_MAX_PRINTED: Final = 3


@dataclass(slots=True)
class TrafficResult:
    """The results of calls and streams. Times are in seconds; failures are counted by kind."""

    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    stream_failures: Counter[str] = field(default_factory=Counter)

    def report(self) -> str:
        """Return the figures as lines."""
        ordered = sorted(self.latencies) or [0.0]
        p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.50, 0.99))
        took = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, slowest {ordered[-1] * 1000:.0f} ms"
        failed = self.failures.total()
        lines = [
            f"calls: {len(self.latencies) + failed}, failed {failed}; {took}",
            f"streams: opened {self.opened} times, failed {self.stream_failures.total()} times",
        ]
        found = (self.failures + self.stream_failures).most_common()
        return "\n".join(lines + [f"  {count} x {kind}" for kind, count in found])


class Traffic:
    """Clients of one endpoint. ``headers`` are sent with every request."""

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: Mapping[str, str], tool: str) -> None:
        self.result = TrafficResult()
        self._http = http
        self._url = url
        self._headers = {"Accept": _ACCEPT, **headers}
        self._tool = tool
        self._began = time.monotonic()

    async def run(self, *, rate: float, streams: int, seconds: float) -> None:
        """Call ``rate`` times a second for ``seconds``, with ``streams`` open streams."""
        # A server may reject a second stream of a session.
        sessions = [await self._open_session() for _ in range(max(streams, _SESSIONS))]
        listeners = [asyncio.create_task(self._listen(session)) for session in sessions[:streams]]
        loop = asyncio.get_running_loop()
        self._began = time.monotonic()
        start, calls = loop.time(), []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
            session = sessions[number % len(sessions)] if number % 2 else None
            calls.append(asyncio.create_task(self._call(number, session)))
        await asyncio.gather(*calls)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)

    async def _open_session(self) -> str:
        hello = {"protocolVersion": _SESSION_ERA, "capabilities": {}, "clientInfo": _CLIENT}
        async with self._http.post(self._url, json=_message(0, "initialize", hello), headers=self._headers) as response:
            response.raise_for_status()
            await response.read()
            session = response.headers["Mcp-Session-Id"]
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        async with self._http.post(self._url, json=ready, headers=self._of_session(session)) as response:
            response.raise_for_status()
        return session

    def _of_session(self, session: str) -> dict[str, str]:
        return {**self._headers, "Mcp-Session-Id": session, "MCP-Protocol-Version": _SESSION_ERA}

    async def _call(self, number: int, session: str | None) -> None:
        params: dict[str, Any] = {"name": self._tool, "arguments": {}}
        if session is not None:
            headers = self._of_session(session)
        else:
            params["_meta"] = _envelope()
            headers = {**self._headers, "MCP-Protocol-Version": _STATELESS}
            headers |= {"Mcp-Method": "tools/call", "Mcp-Name": self._tool}
        began = time.monotonic()
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                problem = await self._ask(_message(number, "tools/call", params), headers)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            problem = f"{type(error).__name__} {error}"
        if problem:
            self._fail("call", problem, self.result.failures)
        else:
            self.result.latencies.append(time.monotonic() - began)

    async def _ask(self, message: dict[str, Any], headers: Mapping[str, str]) -> str:
        async with self._http.post(self._url, json=message, headers=headers) as response:
            text = await response.text()
        found = _result(text)
        if response.status == 200 and "result" in found and not found["result"].get("isError"):
            return ""
        return f"HTTP {response.status} {json.dumps(found.get('error', text[:200]))}"

    async def _listen(self, session: str) -> None:
        while True:
            try:
                async with self._http.get(self._url, headers=self._of_session(session)) as response:
                    if response.status == 200:
                        self.result.opened += 1
                        async for _ in response.content:
                            pass
                    else:
                        problem = f"HTTP {response.status} {(await response.text())[:200]}"
                        self._fail("stream", problem, self.result.stream_failures)
            except aiohttp.ClientPayloadError:
                pass  # a broken stream has ended, too
            except (aiohttp.ClientError, OSError) as error:
                self._fail("stream", f"{type(error).__name__} {error}", self.result.stream_failures)
            await asyncio.sleep(_REOPEN_SECONDS)

    def _fail(self, what: str, problem: str, counts: Counter[str]) -> None:
        counts[problem] += 1
        if counts[problem] <= _MAX_PRINTED:
            print(f"{time.monotonic() - self._began:7.2f} s  {what}: {problem}", file=sys.stderr, flush=True)


def _message(number: int, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def _envelope() -> dict[str, Any]:
    prefix = "io.modelcontextprotocol/"
    return {f"{prefix}protocolVersion": _STATELESS, f"{prefix}clientInfo": _CLIENT, f"{prefix}clientCapabilities": {}}


def _result(text: str) -> dict[str, Any]:
    """Return the JSON-RPC message of a body, or the last one of an event stream."""
    events = [line[5:] for line in text.splitlines() if line.startswith("data:") and len(line) > len("data: ")]
    with suppress(ValueError):
        found = json.loads(events[-1] if events else text)
        if isinstance(found, dict):
            return found
    return {}


async def _run(arguments: argparse.Namespace) -> TrafficResult:
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS + arguments.streams, ssl=not arguments.insecure)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CALL_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        headers = dict(header.split(": ", 1) for header in arguments.header)
        traffic = Traffic(http, arguments.url, headers, arguments.tool)
        await traffic.run(rate=arguments.rate, streams=arguments.streams, seconds=arguments.seconds)
        return traffic.result


def main() -> int:
    """Send the traffic, print the results, return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ostiary_tools.traffic", description="Send calls to an endpoint, and count failures."
    )
    parser.add_argument("url", help="the complete endpoint, ending in /mcp")
    parser.add_argument("--rate", type=float, default=200.0, help="calls a second (default: 200)")
    parser.add_argument("--streams", type=int, default=50, help="open streams (default: 50)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long (default: 60)")
    parser.add_argument("--tool", default="get_users", help="a tool that needs no arguments (default: get_users)")
    parser.add_argument("--header", action="append", default=[], help="'Name: value', with every request")
    parser.add_argument("--insecure", action="store_true", help="take any certificate")
    result = asyncio.run(_run(parser.parse_args()))
    print(result.report())
    return 1 if result.failures or result.stream_failures else 0


if __name__ == "__main__":
    sys.exit(main())
