"""The mock server's state: the sample data with the changes of clients.

It is in memory and bounded: a request that exceeds the limit gets an error.
"""

from datetime import UTC, datetime

from ostiary_operator.demo.mock_server import data
from ostiary_operator.demo.mock_server.records import Post, Product, Role, User


class StoreError(Exception):
    """An operation on the store failed. The message is for the client."""


class NotFoundError(StoreError):
    """There is no such record."""


class DuplicateError(StoreError):
    """A record with this unique value exists already."""


class StoreFullError(StoreError):
    """The store has the maximum number of records."""


class Store:
    """Users, posts, products and page views. Not thread-safe.

    The server's one event loop owns it.
    """

    def __init__(self, *, limit: int = 1000) -> None:
        """Start from the sample data.

        Args:
            limit: the maximum number of users, and of posts.
        """
        self._limit = limit
        self._users = {user.id: user for user in data.users()}
        self._posts = {post.id: post for post in data.posts()}
        self._next_user = len(self._users) + 1
        self._next_post = len(self._posts) + 1
        self.products: tuple[Product, ...] = tuple(data.products())
        self.page_views: dict[str, list[int]] = data.page_views()

    def users(self, *, role: Role | None = None) -> list[User]:
        """All users, or those with one role, in the order of their ids."""
        return [user for user in self._users.values() if role in {None, user.role}]

    def user(self, user_id: int) -> User:
        """One user.

        Raises:
            NotFoundError: no user has this id.
        """
        if (user := self._users.get(user_id)) is None:
            raise NotFoundError(f"There is no user {user_id}. get_users lists them.")
        return user

    def add_user(self, *, name: str, email: str, role: Role, city: str) -> User:
        """Create a user.

        Raises:
            DuplicateError: the e-mail address is taken.
            FullError: there is the maximum number of users.
        """
        if any(user.email.casefold() == email.casefold() for user in self._users.values()):
            raise DuplicateError(f"A user with the e-mail address {email} exists already.")
        self._check_room(self._users, "users")
        user = User(id=self._next_user, name=name, email=email, role=role, city=city, created=_today())
        self._next_user += 1
        self._users[user.id] = user
        return user

    def remove_user(self, user_id: int) -> tuple[User, list[Post]]:
        """Delete a user and the posts the user wrote; both are returned.

        Raises:
            NotFoundError: no user has this id.
        """
        user = self.user(user_id)
        posts = self.posts(user_id=user_id)
        for post in posts:
            del self._posts[post.id]
        del self._users[user_id]
        return user, posts

    def posts(self, *, user_id: int | None = None, tag: str | None = None) -> list[Post]:
        """All posts, or those of one user, or with one tag, or both, in the order of their ids."""
        return [
            post
            for post in self._posts.values()
            if user_id in {None, post.user_id} and (tag is None or tag.casefold() in post.tags)
        ]

    def add_post(self, *, user_id: int, title: str, body: str, tags: list[str]) -> Post:
        """Create a post.

        Raises:
            NotFoundError: no user has this id.
            FullError: there is the maximum number of posts.
        """
        self.user(user_id)
        self._check_room(self._posts, "posts")
        folded = sorted({tag.casefold() for tag in tags})
        post = Post(id=self._next_post, user_id=user_id, title=title, body=body, tags=folded, created=_today())
        self._next_post += 1
        self._posts[post.id] = post
        return post

    def _check_room(self, records: dict[int, User] | dict[int, Post], kind: str) -> None:
        if len(records) >= self._limit:
            raise StoreFullError(f"There are {self._limit} {kind}, and there is no room for more. Restart the server.")


def _today() -> str:
    return datetime.now(tz=UTC).date().isoformat()
