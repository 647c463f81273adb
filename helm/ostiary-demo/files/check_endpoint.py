# noqa: INP001  a file of a chart, not of a package
"""Sends requests to an endpoint like an MCP client and checks the responses (`helm test`).

    python3 check_endpoint.py http://HOST/PATH/mcp                 the mock server under its policy
    python3 check_endpoint.py http://HOST/PATH/mcp --any-server    any server, any policy: the gateway's own responses

It needs only Python's standard library. It speaks MCP 2026-07-28, one request at a time. The exit code is 0 if every
response is right, 1 if one is wrong, and 2 if the endpoint does not respond.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

REVISION = "2026-07-28"
PATIENCE = 60.0  # seconds

Answer = tuple[int, Any]
"""An HTTP status, and the JSON that came with it, or None."""


def main() -> int:
    """Run all checks, print their results, return the exit code."""
    parser = argparse.ArgumentParser(description="Send requests to an endpoint like an MCP client.")
    parser.add_argument("url", help="the complete endpoint, ending in /mcp")
    parser.add_argument("--any-server", action="store_true", help="check only what is the same for all servers")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds to wait for the endpoint")
    arguments = parser.parse_args()
    try:
        wait(arguments.url, patience=arguments.patience)
    except OSError as error:
        print(f"{arguments.url} does not respond: {error}")
        return 2
    checks = ERRORS if arguments.any_server else (*CALLS, *ERRORS)
    passed = [report(check, arguments.url) for check in checks]  # a list, so that a failure does not skip the rest
    return 0 if all(passed) else 1


def report(check: Any, url: str) -> bool:
    """Run one check, print its result as a line, return whether it passed."""
    expected, answer = check(url)
    print(f"{'ok   ' if expected else 'WRONG'} {check.__doc__}" + ("" if expected else f" Instead: {answer}"))
    return bool(expected)


def wait(url: str, *, patience: float) -> None:
    """Wait until the endpoint responds to server/discover; raise OSError if it is late."""
    deadline = time.monotonic() + patience
    while True:
        try:
            status, body = ask(url, "server/discover")
            if status == 200 and "result" in (body or {}):
                return
            problem = OSError(f"it responds {status} {body}")
        except OSError as error:
            problem = error
        if time.monotonic() > deadline:
            raise problem
        time.sleep(0.5)


def ask(url: str, method: str, params: dict[str, Any] | None = None, *, name: str = "") -> Answer:
    """Send one request of MCP."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientInfo": {"name": "ostiary-helm-test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}
    return post(url, json.dumps(message), {"Mcp-Method": method, **({"Mcp-Name": name} if name else {})})


def call(url: str, tool: str, **arguments: Any) -> Answer:
    """Call a tool."""
    return ask(url, "tools/call", {"name": tool, "arguments": arguments}, name=tool)


def post(url: str, text: str, headers: dict[str, str] | None = None) -> Answer:
    """Send a text and return the response; raises OSError if there is none."""
    wanted = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": REVISION,
    }
    request = urllib.request.Request(url, text.encode(), {**wanted, **(headers or {})})  # noqa: S310  the URL is an argument
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  the URL is an argument
            return answer.status, message_of(answer.read().decode())
    except urllib.error.HTTPError as refusal:
        return refusal.code, message_of(refusal.read().decode())


def message_of(text: str) -> Any:
    """The JSON of a body, or of the last event of a stream; None if there is none."""
    events = [line[5:].strip() for line in text.splitlines() if line.startswith("data:") and len(line) > 6]
    try:
        return json.loads(events[-1] if events else text)
    except ValueError:
        return None


def code_of(answer: Answer) -> Any:
    """The code of the JSON-RPC error in a response."""
    body = answer[1]
    return (body.get("error") or {}).get("code") if isinstance(body, dict) else None


def listed(url: str) -> tuple[bool, Answer]:
    """The tools are listed, including the one that may not be called."""
    answer = ask(url, "tools/list")
    names = {tool["name"] for tool in ((answer[1] or {}).get("result") or {}).get("tools", ())}
    return answer[0] == 200 and {"get_users", "delete_user"} <= names, answer


def allowed(url: str) -> tuple[bool, Answer]:
    """An allowed call gets the server's result."""
    answer = call(url, "get_users", limit=1)
    result = (answer[1] or {}).get("result") or {}
    return answer[0] == 200 and bool(result.get("content")) and not result.get("isError"), answer


def denied(url: str) -> tuple[bool, Answer]:
    """A denied call is refused by the gateway: HTTP 200, a result with isError and the reason."""
    answer = call(url, "delete_user", user_id=1)
    result = (answer[1] or {}).get("result") or {}
    return answer[0] == 200 and result.get("isError") is True and "Denied by policy" in str(result), answer


def unknown_method(url: str) -> tuple[bool, Answer]:
    """An unknown method is refused: error -32601."""
    answer = ask(url, "tools/destroy")
    return code_of(answer) == -32601, answer


def no_json(url: str) -> tuple[bool, Answer]:
    """A body that is not JSON is refused: HTTP 400 with error -32700."""
    answer = post(url, "{")
    return answer[0] == 400 and code_of(answer) == -32700, answer


def batch(url: str) -> tuple[bool, Answer]:
    """A batch is refused: HTTP 400 with error -32600."""
    answer = post(url, "[]")
    return answer[0] == 400 and code_of(answer) == -32600, answer


def nowhere(url: str) -> tuple[bool, Answer]:
    """A path without an MCPProxy gets 404."""
    answer = ask(urllib.parse.urljoin(url, "/-/no-proxy-here/mcp"), "server/discover")
    return answer[0] == 404, answer


CALLS = (listed, allowed, denied)
ERRORS = (unknown_method, no_json, batch, nowhere)

if __name__ == "__main__":
    sys.exit(main())
