"""The category `posts`: list and create."""

from typing import Annotated

from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel, Field

from ostiary_operator.demo.mock_server.records import Post
from ostiary_operator.demo.mock_server.sample_store import Store
from ostiary_operator.demo.mock_server.sessions import POSTS_URI, Updates
from ostiary_operator.demo.mock_server.tools.common import (
    CREATE,
    READ,
    Limit,
    Offset,
    UserId,
    category,
    store_errors,
)

_META = category("posts")

Tag = Annotated[str, Field(min_length=1, max_length=30)]


class PostList(BaseModel):
    """A page of posts."""

    posts: list[Post] = Field(description="The posts, in the order of their ids.")
    total: int = Field(description="How many there are in all.")


def register(server: MCPServer, *, store: Store, updates: Updates) -> None:
    """Add the two tools of this category."""

    @server.tool(title="List posts", annotations=READ, meta=_META)
    async def get_posts(
        user_id: Annotated[int | None, Field(ge=1, description="Only posts of this user.")] = None,
        tag: Annotated[str | None, Field(max_length=30, description="Only posts with this tag.")] = None,
        limit: Limit = 20,
        offset: Offset = 0,
    ) -> PostList:
        """List the posts, of all users or of one."""
        found = store.posts(user_id=user_id, tag=tag)
        return PostList(posts=found[offset : offset + limit], total=len(found))

    @server.tool(title="Write a post", annotations=CREATE, meta=_META)
    async def create_post(
        user_id: UserId,
        title: Annotated[str, Field(min_length=1, max_length=200, description="Title.")],
        body: Annotated[str, Field(min_length=1, max_length=5000, description="Text.")],
        tags: Annotated[list[Tag], Field(max_length=10, description="Tags.")] = [],  # noqa: B006  the SDK copies it
    ) -> Post:
        """Write a post in a user's name."""
        with store_errors():
            post = store.add_post(user_id=user_id, title=title, body=body, tags=tags)
        await updates.publish(POSTS_URI)
        return post
