"""The sample data with which the mock server starts."""

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
