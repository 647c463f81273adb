"""The resources: six that are listed, and a template for single users."""

import base64
import json
from collections.abc import Iterable
from typing import Final

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from pydantic import BaseModel

from ostiary_operator.demo.mock_server.middleware import Activity
from ostiary_operator.demo.mock_server.sample_store import NotFoundError, Store
from ostiary_operator.demo.mock_server.sessions import POSTS_URI, USERS_URI

ACTIVITY_URI = "mock://activity"
GUIDE_URI = "mock://guide"
LOGO_URI = "mock://logo"
PRODUCTS_URI = "mock://products"
USER_TEMPLATE = "mock://users/{id}"

_JSON = "application/json"

_GUIDE: Final = """\
# The mock MCP server

It has tools in six categories: users, posts, products, analytics, utilities and streaming.
Ask `get_users` for sample users, read one of them at `mock://users/1`, or let `stream_count` count for you.
What is created or deleted is forgotten when the server stops.
"""

_LOGO: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQMAAAAlPW0iAAAABlBMVEX///88KBQ/NLVdAAAAI0lEQVR42mNgYGCQ/8FgwMOQwMbgwISEuBgc"
    "pFBFmBjq/wEAhPAGLQ4aXaMAAAAASUVORK5CYII="
)
"""The logo as PNG, 16 by 16 pixels."""


def register(server: MCPServer, *, store: Store, activity: Activity) -> None:
    """Register the resources."""
    _register_collections(server, store)
    _register_documents(server)

    @server.resource(ACTIVITY_URI, name="activity", title="What was asked", mime_type=_JSON)
    async def asked() -> str:
        """Messages and tool calls since the start, and the running calls, as JSON."""
        return json.dumps(activity.report(), indent=2)

    @server.resource(USER_TEMPLATE, name="user", title="One user", mime_type=_JSON)
    async def user(id: str) -> str:  # noqa: A002  the template's variable, by which clients complete it
        """One user as JSON."""
        return _dump(_user(store, id))


def _register_collections(server: MCPServer, store: Store) -> None:
    @server.resource(USERS_URI, name="users", title="All users", mime_type=_JSON)
    async def users() -> str:
        """All users as JSON. Changes when a user is created or deleted."""
        return _dump_all(store.users())

    @server.resource(POSTS_URI, name="posts", title="All posts", mime_type=_JSON)
    async def posts() -> str:
        """All posts as JSON. Changes when a post is written or its user is deleted."""
        return _dump_all(store.posts())

    @server.resource(PRODUCTS_URI, name="products", title="All products", mime_type=_JSON)
    async def products() -> str:
        """All products as JSON."""
        return _dump_all(store.products)


def _register_documents(server: MCPServer) -> None:
    @server.resource(GUIDE_URI, name="guide", title="A short guide", mime_type="text/markdown")
    async def guide() -> str:
        """What this server offers and what to try first."""
        return _GUIDE

    @server.resource(LOGO_URI, name="logo", title="The logo", mime_type="image/png")
    async def logo() -> bytes:
        """A picture, for clients that show binary resources."""
        return _LOGO


def _user(store: Store, raw_id: str) -> BaseModel:
    try:
        return store.user(int(raw_id))
    except (NotFoundError, ValueError) as error:
        raise ResourceNotFoundError(f"There is no user {raw_id[:50]!r}") from error


def _dump(record: BaseModel) -> str:
    return json.dumps(record.model_dump(mode="json"), indent=2)


def _dump_all(records: Iterable[BaseModel]) -> str:
    return json.dumps([record.model_dump(mode="json") for record in records], indent=2)
