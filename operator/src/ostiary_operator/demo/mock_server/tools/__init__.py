"""The 15 tools, one module for each of the six categories."""

from mcp.server.mcpserver import MCPServer

from ostiary_operator.demo.mock_server.sample_store import Store
from ostiary_operator.demo.mock_server.sessions import Sessions, Updates
from ostiary_operator.demo.mock_server.tools import analytics, posts, products, streaming, users, utilities


def register(server: MCPServer, *, store: Store, updates: Updates, sessions: Sessions) -> None:
    """Give the server all its tools."""
    users.register(server, store=store, updates=updates)
    posts.register(server, store=store, updates=updates)
    products.register(server, store=store)
    analytics.register(server, store=store)
    utilities.register(server)
    streaming.register(server, sessions=sessions)
