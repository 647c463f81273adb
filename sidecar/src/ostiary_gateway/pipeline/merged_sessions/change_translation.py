"""The stream of changes of one of several servers, as the caller's one stream shows it.

That a list changed is not passed on, only noted: whether the caller is told depends on what it sees of all servers
together (:mod:`.seen_lists`). What belongs to a request has no place here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.meta_keys import META_SUBSCRIPTION
from ostiary_core.mcp.methods import Primitive
from ostiary_gateway.pipeline.leg import Translation

_UPDATED: Final = "notifications/resources/updated"
_LIST_CHANGED: Final[Mapping[str, Primitive]] = {f"notifications/{each.value}/list_changed": each for each in Primitive}
#: What begins the stream of one server, and what belongs to a request, which has a stream of its own.
_OF_NO_CALLER: Final = frozenset({"notifications/subscriptions/acknowledged", "notifications/progress"})

OnChange = Callable[[Primitive], None]


class ChangeTranslation:
    """Translates the stream of changes of one server.

    ``inner`` translates what remains. ``subscription`` is the id of the caller's ``subscriptions/listen``, None for a
    session, whose notifications have none. ``wanted`` are the resources that a listen asked for, under their exposed
    URIs; a session gets what it has subscribed to.
    """

    __slots__ = ("_inner", "_on_change", "_subscription", "_wanted")

    def __init__(
        self,
        inner: Translation,
        on_change: OnChange,
        *,
        subscription: str | int | None = None,
        wanted: frozenset[str] = frozenset(),
    ) -> None:
        self._inner = inner
        self._on_change = on_change
        self._subscription = subscription
        self._wanted = wanted

    def response(self, text: bytes, message: dict[str, Any]) -> bytes:
        """Return a response to nothing: it is dropped, since no request of the caller waits for it."""
        return self._inner.response(text, message)

    def streamed(self, text: bytes, message: dict[str, Any]) -> bytes | None:
        """Return a notification or request for the caller; None where there is nothing to pass on."""
        method = message.get("method")
        if not isinstance(method, str) or method in _OF_NO_CALLER:
            return None
        changed = _LIST_CHANGED.get(method)
        if changed is not None:
            self._on_change(changed)
            return None
        if self._subscription is not None and method != _UPDATED:
            return None  # a listen carries nothing else, and a session of ours has no caller to ask
        shown = self._inner.streamed(text, message)
        return shown if shown is None or method != _UPDATED else self._updated(shown, message)

    def _updated(self, text: bytes, message: dict[str, Any]) -> bytes | None:
        params = message.get("params")
        if not isinstance(params, dict):
            return None
        if self._subscription is None:
            return text if not _has_subscription(params) else _written(message, _without_subscription(params))
        if params.get("uri") not in self._wanted:
            return None
        meta = params.get("_meta")
        tagged = {**(meta if isinstance(meta, dict) else {}), META_SUBSCRIPTION: self._subscription}
        return _written(message, {**params, "_meta": tagged})


def list_changed(primitive: Primitive, *, subscription: str | int | None = None) -> bytes:
    """Return the notification that a list has changed."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": f"notifications/{primitive.value}/list_changed"}
    if subscription is not None:
        message["params"] = {"_meta": {META_SUBSCRIPTION: subscription}}
    return strict_json.dumps(message)


def _has_subscription(params: Mapping[str, Any]) -> bool:
    meta = params.get("_meta")
    return isinstance(meta, dict) and META_SUBSCRIPTION in meta


def _without_subscription(params: Mapping[str, Any]) -> dict[str, Any]:
    meta = {name: each for name, each in params["_meta"].items() if name != META_SUBSCRIPTION}
    kept = {name: each for name, each in params.items() if name != "_meta"}
    return {**kept, "_meta": meta} if meta else kept


def _written(message: dict[str, Any], params: Mapping[str, Any]) -> bytes | None:
    message["params"] = dict(params)
    try:
        return strict_json.dumps(message)
    except StrictJSONError:
        return None  # no one waits for a notification that cannot be written
