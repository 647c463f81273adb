"""Where a redirect leads: it is followed once to another path of the same server.

Any other target is only reported.

Frameworks redirect ``/mcp`` to ``/mcp/`` with 307, and 308 means that the move is permanent. Both keep method and body
(RFC 9110 §15.4.8 and §15.4.9); the other redirects would make us send something else, and are never followed.
"""

from typing import Final

from yarl import URL

#: Statuses that ask for the same request at another URL.
FOLLOWED: Final = frozenset({307, 308})
_PERMANENT: Final = 308
_LENGTH: Final = 2048


def target(location: str | None, url: URL, *, host: str | None) -> URL | None:
    """Return where to send the same request again.

    It is None for another origin, or an invalid Location.

    ``host`` is what is sent as Host in place of the URL's own: a server that writes absolute URLs uses it.
    """
    found = _joined(location, url)
    if found is None:
        return None
    origins = {_origin(url)} | ({_origin(URL(f"{url.scheme}://{host}"))} if host else set())
    if _origin(found) not in origins or found.raw_path_qs == url.raw_path_qs or found.raw_path.startswith("//"):
        return None
    return url.with_path(found.raw_path, encoded=True).update_query(None).join(_query(found))


def _query(found: URL) -> URL:
    return URL.build(path=found.raw_path, query_string=found.raw_query_string, encoded=True)


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.host, url.port


def _joined(location: str | None, url: URL) -> URL | None:
    if not location or len(location) > _LENGTH or not location.isascii() or not location.isprintable():
        return None
    try:
        found = url.join(URL(location)).with_fragment(None)
        found.origin()  # raises for a missing host or an invalid port
    except ValueError:
        return None
    return found if found.user is None else None


def is_lasting(status: int, *, before: URL, after: URL) -> bool:
    """Return whether later requests may go to the new URL directly.

    They may for a permanent move, or where only a trailing slash differs.
    """
    same_query = before.raw_query_string == after.raw_query_string
    slash = same_query and before.raw_path.rstrip("/") == after.raw_path.rstrip("/")
    return status == _PERMANENT or slash


def shown(location: str | None) -> str:
    """Return a Location for messages, without parts that may be secret."""
    if not location:
        return "nowhere: it names no Location"
    try:
        plain = URL(location[:_LENGTH])
        plain = plain.with_user(None) if plain.host else plain
        return str(plain.with_query(None).with_fragment(None))
    except ValueError:
        return "a Location that is no URL"
