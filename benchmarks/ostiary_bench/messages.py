"""The requests of the load, and the responses of the upstream."""

import json
from typing import Any, Final

#: The tool that every policy must allow.
TOOL: Final = "get_users"
CALL: Final = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": TOOL, "arguments": {"limit": 10}}}
LIST: Final = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
TEXT: Final = "Ada Lovelace, Grace Hopper, Annie Easley"
#: The result of an initialize.
INITIALIZED: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "bench", "version": "1"},
}
RESULT: Final = {"content": [{"type": "text", "text": TEXT}], "isError": False}


def encoded(message: object) -> bytes:
    """Return the bytes of a message, as JSON without spaces."""
    return json.dumps(message, separators=(",", ":")).encode()


def answer(result: object) -> bytes:
    """Return the response with a result to any of the requests, which all have the id 1."""
    return encoded({"jsonrpc": "2.0", "id": 1, "result": result})


def as_event(data: bytes) -> bytes:
    """Return a response as the only event of a stream."""
    return b"event: message\ndata: " + data + b"\n\n"


def tools(count: int, variant: int = 0) -> dict[str, Any]:
    """Return a list of tools; every tenth starts with ``get_``.

    Lists of another ``variant`` differ in one number, and in what one of their tools says of itself.
    """
    tools = [_tool(f"{'get' if n % 10 == 0 else 'do'}_something_{n}") for n in range(count)]
    if variant:
        tools[variant % count]["description"] += f" This is variant {variant}."
    return {"_meta": {"variant": variant}, "tools": tools}


def _tool(name: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "description": "How many at most"},
            "query": {"type": "string", "description": "What to look for"},
        },
        "required": ["query"],
    }
    return {"name": name, "description": f"Does what {name} says, and nothing else.", "inputSchema": schema}
