"""Ids that servers choose, as a client of several servers sees them.

Each has the name of its server before it.

Two servers number their requests alike. So a request of a server reaches the client as ``<server>.<its id>``, and the
client's response says to any replica which server it answers, and with which id. The tokens by which servers follow the
progress of their requests are exposed in the same way.

The id 7 becomes ``crm.7``. A text that could be taken for a number or for quoted text is quoted: "7" becomes
``crm."7"``. Names of servers are DNS labels, which contain no dot.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError

#: The most characters of a server's id that are exposed.
_LONGEST: Final = 1024
_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")
_CANCELLED: Final = "notifications/cancelled"
_PROGRESS: Final = "notifications/progress"
_UNSIGNED_64: Final = 2**64

#: Changes an id or token, or returns None where it cannot be changed.
_Change = Callable[[Any], Any]


def exposed_id(server: str, own: str | int) -> str | None:
    """Return the id by which a client knows what a server calls ``own``.

    None where it is no id, or far too long.
    """
    if type(own) is int:
        return f"{server}.{own}" if -(2**63) <= own < _UNSIGNED_64 else None
    if type(own) is not str or len(own) > _LONGEST:
        return None
    if not own or own.startswith('"') or _NUMBER.fullmatch(own) is not None:
        own = strict_json.dumps(own).decode()
    return f"{server}.{own}"


def own_id(exposed: Any) -> tuple[str, str | int] | None:
    """Return the server that an exposed id names, and its own id; None for any other value."""
    server, dot, own = exposed.partition(".") if type(exposed) is str else ("", "", "")
    if not dot or not server:
        return None
    if _NUMBER.fullmatch(own) is not None:
        number = int(own)
        return (server, number) if -(2**63) <= number < _UNSIGNED_64 else None
    text = own if not own.startswith('"') else _unquoted(own)
    return (server, text) if text is not None else None


def expose_ids(message: dict[str, Any], server: str) -> bool:
    """Expose the ids in a request or notification of a server, in place.

    Return whether the client may have it.

    It may not where an id cannot be exposed: no answer could find back to the server.
    """

    def change(own: Any) -> Any:
        return exposed_id(server, own)

    if "id" in message and not _changed(message, "id", change):
        return False
    params = message.get("params")
    if not isinstance(params, dict):
        return True
    if message.get("method") == _CANCELLED and "requestId" in params:
        return _changed(params, "requestId", change)
    meta = params.get("_meta")
    if "id" in message and isinstance(meta, dict) and "progressToken" in meta:
        return _changed(meta, "progressToken", change)
    return True


def server_of_response(body: dict[str, Any]) -> str | None:
    """Return the server whose request a client's response answers; None without.

    The server's own id is restored in place.
    """
    found = own_id(body.get("id"))
    if found is None:
        return None
    body["id"] = found[1]
    return found[0]


def server_of_progress(params: dict[str, Any]) -> str | None:
    """Return the server to which a client reports progress; None without.

    Its own token is restored in place.
    """
    found = own_id(params.get("progressToken"))
    if found is None:
        return None
    params["progressToken"] = found[1]
    return found[0]


def is_foreign_progress(message: dict[str, Any], token: Any) -> bool:
    """Return whether a message reports progress of another request than that with this token.

    Tokens are chosen by clients, so two servers may know the same one: what a server reports passes only on the stream
    of its own request. ``token`` is None for a stream that belongs to no request.
    """
    if message.get("method") != _PROGRESS:
        return False
    params = message.get("params")
    found = params.get("progressToken") if isinstance(params, dict) else None
    return token is None or type(found) is not type(token) or found != token


def _changed(holder: dict[str, Any], key: str, change: _Change) -> bool:
    changed = change(holder[key])
    if changed is None:
        return False
    holder[key] = changed
    return True


def _unquoted(text: str) -> str | None:
    try:
        own = strict_json.loads(text.encode())
    except (StrictJSONError, UnicodeEncodeError):
        return None
    return own if isinstance(own, str) else None
