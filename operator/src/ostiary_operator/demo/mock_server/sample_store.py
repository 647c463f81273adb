"""The mock server's state: the sample data with the changes of clients.

It is in memory and bounded: a request that exceeds the limit gets an error.
"""

from datetime import UTC, datetime

from ostiary_operator.demo.mock_server.records import Post, Product, Role, User

_USERS: tuple[tuple[str, str, Role, str, str], ...] = (
    ("Ada Lovelace", "ada@example.com", "admin", "London", "2025-01-14"),
    ("Grace Hopper", "grace@example.com", "admin", "New York", "2025-01-20"),
    ("Alan Turing", "alan@example.com", "editor", "Manchester", "2025-02-03"),
    ("Katherine Johnson", "katherine@example.com", "editor", "Hampton", "2025-02-17"),
    ("Edsger Dijkstra", "edsger@example.com", "viewer", "Rotterdam", "2025-03-05"),
    ("Barbara Liskov", "barbara@example.com", "editor", "Boston", "2025-03-22"),
    ("Donald Knuth", "donald@example.com", "viewer", "Stanford", "2025-04-08"),
    ("Radia Perlman", "radia@example.com", "viewer", "Portsmouth", "2025-04-30"),
    ("Margaret Hamilton", "margaret@example.com", "admin", "Cambridge", "2025-05-12"),
    ("Tim Berners-Lee", "tim@example.com", "viewer", "Geneva", "2025-06-01"),
)
_POSTS: tuple[tuple[int, str, str, tuple[str, ...], str], ...] = (
    (1, "Notes on the engine", "It weaves patterns as the loom weaves flowers.", ("history",), "2025-06-02"),
    (2, "The first bug", "We found it in relay 70 and taped it into the log.", ("history", "debugging"), "2025-06-09"),
    (3, "Can machines think?", "Let us play the imitation game and see.", ("ai",), "2025-06-17"),
    (5, "Go to considered harmful", "Fewer jumps make clearer programs.", ("style",), "2025-07-01"),
    (6, "What a subtype owes", "Whatever holds of the type holds of the subtype.", ("style", "types"), "2025-07-15"),
    (8, "A tree for the network", "I think that I shall never see a graph more lovely.", ("network",), "2025-08-04"),
    (9, "Priority displays", "When the computer is too busy, say so at once.", ("safety",), "2025-08-19"),
    (10, "Vague but exciting", "A proposal for the management of information.", ("network", "web"), "2025-09-02"),
)
_PRODUCTS: tuple[tuple[str, str, float, int], ...] = (
    ("Mechanical keyboard", "hardware", 129.0, 42),
    ("Wireless mouse", "hardware", 49.5, 120),
    ("4K monitor", "hardware", 379.0, 15),
    ("USB-C dock", "hardware", 159.0, 33),
    ("Standing desk", "furniture", 549.0, 8),
    ("Desk lamp", "furniture", 39.9, 64),
    ("Office chair", "furniture", 289.0, 12),
    ("Notebook, dotted", "stationery", 12.5, 400),
    ("Fountain pen", "stationery", 34.0, 75),
    ("Rubber duck", "stationery", 4.9, 999),
)
_BUSY_DAY: dict[str, int] = {"/": 1200, "/blog": 540, "/docs": 860, "/pricing": 310, "/signup": 95}
_DAYS = 30
"""How many days of page views there are."""


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
        self._users = {user.id: user for user in users()}
        self._posts = {post.id: post for post in posts()}
        self._next_user = len(self._users) + 1
        self._next_post = len(self._posts) + 1
        self.products: tuple[Product, ...] = tuple(products())
        self.page_views: dict[str, list[int]] = page_views()

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


def users() -> list[User]:
    """The sample users; their ids count from 1."""
    return [
        User(id=number, name=name, email=email, role=role, city=city, created=created)
        for number, (name, email, role, city, created) in enumerate(_USERS, start=1)
    ]


def posts() -> list[Post]:
    """The sample posts; their ids count from 1."""
    return [
        Post(id=number, user_id=user_id, title=title, body=body, tags=list(tags), created=created)
        for number, (user_id, title, body, tags, created) in enumerate(_POSTS, start=1)
    ]


def products() -> list[Product]:
    """The sample products; their ids count from 1."""
    return [
        Product(id=number, name=name, category=category, price=price, stock=stock)
        for number, (name, category, price, stock) in enumerate(_PRODUCTS, start=1)
    ]


def page_views() -> dict[str, list[int]]:
    """Views of each page on the last 30 days, the oldest day first.

    Steady growth, quiet at weekends.
    """
    return {path: [_views(busy, day) for day in range(_DAYS)] for path, busy in _BUSY_DAY.items()}


def _views(busy: int, day: int) -> int:
    weekend = 0.4 if day % 7 in {5, 6} else 1.0
    return round(busy * weekend * (0.7 + 0.3 * day / (_DAYS - 1)))


def _today() -> str:
    return datetime.now(tz=UTC).date().isoformat()
