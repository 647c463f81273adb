"""The category `users`: list, read, create and delete."""

from typing import Annotated

from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel, Field

from ostiary_operator.demo.mock_server.records import Role, User
from ostiary_operator.demo.mock_server.sample_store import Store
from ostiary_operator.demo.mock_server.sessions import POSTS_URI, USERS_URI, Updates, user_uri
from ostiary_operator.demo.mock_server.tools.common import (
    CREATE,
    DELETE,
    READ,
    Limit,
    Offset,
    UserId,
    category,
    store_errors,
)

_META = category("users")


class UserList(BaseModel):
    """A page of users."""

    users: list[User] = Field(description="The users, in the order of their ids.")
    total: int = Field(description="How many there are in all.")


class DeletedUser(BaseModel):
    """What a deletion took away."""

    deleted: User = Field(description="The user as it was.")
    deleted_posts: int = Field(description="How many posts of the user went with it.")


def register(server: MCPServer, *, store: Store, updates: Updates) -> None:
    """Add the four tools of this category."""
    _register_readers(server, store)
    _register_writers(server, store, updates)


def _register_readers(server: MCPServer, store: Store) -> None:
    @server.tool(title="List users", annotations=READ, meta=_META)
    async def get_users(
        role: Annotated[Role | None, Field(description="Only users with this role.")] = None,
        limit: Limit = 20,
        offset: Offset = 0,
    ) -> UserList:
        """List the users, with their ids, roles and cities."""
        found = store.users(role=role)
        return UserList(users=found[offset : offset + limit], total=len(found))

    @server.tool(title="Read a user", annotations=READ, meta=_META)
    async def get_user(user_id: UserId) -> User:
        """Read one user by id."""
        with store_errors():
            return store.user(user_id)


def _register_writers(server: MCPServer, store: Store, updates: Updates) -> None:
    @server.tool(title="Create a user", annotations=CREATE, meta=_META)
    async def create_user(
        name: Annotated[str, Field(min_length=1, max_length=100, description="Full name.")],
        email: Annotated[str, Field(max_length=200, pattern=r"^[^@\s]+@[^@\s]+$", description="E-mail address.")],
        role: Annotated[Role, Field(description="What the user may do.")] = "viewer",
        city: Annotated[str, Field(max_length=100, description="Where the user lives.")] = "",
    ) -> User:
        """Create a user. The e-mail address must not be taken."""
        with store_errors():
            user = store.add_user(name=name, email=email, role=role, city=city)
        await updates.publish(USERS_URI)
        return user

    @server.tool(title="Delete a user", annotations=DELETE, meta=_META)
    async def delete_user(user_id: UserId) -> DeletedUser:
        """Delete a user and all posts of the user. This cannot be undone."""
        with store_errors():
            user, posts = store.remove_user(user_id)
        await updates.publish(USERS_URI, user_uri(user_id), *([POSTS_URI] if posts else []))
        return DeletedUser(deleted=user, deleted_posts=len(posts))
