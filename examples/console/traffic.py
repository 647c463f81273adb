"""Sends a known number of calls through both endpoints, and prints how many of each kind.

    python3 examples/console/traffic.py

Start `ostiary run examples/console` before. It needs nothing but Python. Run it once after each start: the limit of a
day is used up then, and two tickets are deleted.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

_REVISION = "2025-11-25"
_CITIES = ("Berlin", "Lagos", "Lima", "Oslo")


class Use(NamedTuple):
    """Calls of one tool: its arguments, and how often."""

    tool: str
    arguments: dict[str, Any]
    times: int


class Agent(NamedTuple):
    """One caller: its API key, the endpoint it uses, and what it calls there."""

    name: str
    path: str
    uses: tuple[Use, ...]


AGENTS = (
    Agent(
        "support-agent",
        "/tickets/mcp",
        (
            *(Use("read_ticket", {"ticket_id": number}, 6) for number in range(1, 6)),
            Use("read_ticket", {"ticket_id": 99}, 2),  # there is no such ticket: the tool reports an error
            Use("delete_ticket", {"ticket_id": 1}, 3),  # denied
        ),
    ),
    Agent(
        "admin-agent",
        "/tickets/mcp",
        (Use("delete_ticket", {"ticket_id": 4}, 1), Use("delete_ticket", {"ticket_id": 5}, 1)),
    ),
    Agent(
        "travel-agent",
        "/weather/mcp",
        (Use("list_cities", {}, 10), *(Use("get_weather", {"city": city}, 15) for city in _CITIES)),
    ),
    Agent("report-agent", "/weather/mcp", (Use("get_weather", {"city": "Seoul"}, 45),)),  # 5 are too many for the day
)
WITHOUT_KEY = ("/tickets/mcp", 4)
"""An endpoint, and how many requests come to it without a key: they are refused."""


class Endpoint:
    """A session with an endpoint, over Streamable HTTP."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {
            "Accept": "application/json, text/event-stream",
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": _REVISION,
        }
        self._id = 0

    def open(self) -> None:
        """Open the session."""
        client = {"name": "traffic", "version": "1"}
        self.request("initialize", {"protocolVersion": _REVISION, "capabilities": {}, "clientInfo": client})
        self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def request(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Send a request; return its response."""
        self._id += 1
        message = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": parameters}
        return next(each for each in self._post(message) if each.get("id") == self._id)

    def _post(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        request = urllib.request.Request(  # noqa: S310  the URL is this script's argument
            self._url, data=json.dumps(message).encode(), headers=self._headers, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310  likewise
            if session := response.headers.get("Mcp-Session-Id"):
                self._headers["Mcp-Session-Id"] = session
            return list(_messages(response.headers.get_content_type(), response.read().decode()))


def _messages(content_type: str, text: str) -> Iterator[dict[str, Any]]:
    """Yield the messages of a response: a JSON document, or a stream of events."""
    if content_type == "text/event-stream":
        yield from (json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:") and line[5:].strip())
    elif text:
        yield json.loads(text)


def send(url: str) -> Counter[tuple[str, str, str]]:
    """Send all calls; return how many there were by endpoint, tool and outcome.

    Raises:
        OSError: the endpoint does not answer.
    """
    counted: Counter[tuple[str, str, str]] = Counter()
    for agent in AGENTS:
        endpoint = Endpoint(url + agent.path, f"{agent.name}-example-key")
        endpoint.open()
        endpoint.request("tools/list", {})
        for use in agent.uses:
            for _ in range(use.times):
                answer = endpoint.request("tools/call", {"name": use.tool, "arguments": use.arguments})
                counted[agent.path, use.tool, _outcome(answer)] += 1
    path, times = WITHOUT_KEY
    for _ in range(times):
        try:
            Endpoint(url + path, "not-a-key").open()
        except urllib.error.HTTPError as error:
            counted[path, "-", f"refused with {error.code}"] += 1
            error.close()
    return counted


def _outcome(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return "error"
    return "error of the tool, or refused" if answer["result"].get("isError") else "ok"


def main() -> int:
    """Send the calls, and print what came of them; return 0, or 1 without an answer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default="http://localhost:8080", help="of the gateway (default: %(default)s)")
    url = parser.parse_args().url.rstrip("/")
    try:
        counted = send(url)
    except OSError as error:
        sys.stderr.write(f"{url} does not answer: {error}. Start `ostiary run examples/console` first.\n")
        return 1
    for (path, tool, outcome), number in sorted(counted.items()):
        sys.stdout.write(f"{path}  {tool:<14} {outcome:<30} {number:>4}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
