# mypy: ignore-errors
# It runs in a virtual environment of its own: two major versions of one package do not fit into one.
"""A server on the official Python SDK 1.x, which knows sessions only. It prints its endpoint, then serves."""

import socket

import uvicorn
from mcp.server.fastmcp import FastMCP


def main():
    server = FastMCP("legacy only")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    # A client that connects before the start waits in the backlog.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", flush=True)
        uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="critical")).run(sockets=[listening])


main()
