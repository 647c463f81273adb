"""One JSON-RPC message from a client, as the stages of the pipeline see it."""

from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.mcp.methods import METHODS, UNKNOWN_NOTIFICATION, AuthorizationKind, Method
from ostiary_core.mcp.protocol_revisions import Era

#: By method, the member of the params that is read again after the request has been forwarded.
_KEPT: Final = {"subscriptions/listen": "notifications", "initialize": "protocolVersion"} | {
    method.name: "cursor" for method in METHODS.values() if method.authorization is AuthorizationKind.LIST
}


@dataclass(slots=True)
class Message:
    """One JSON-RPC message from a client, decoded.

    It is parsed once, its era is known, and its headers are consistent with the body.

    ``method`` is None for a response to a request of the server. ``id`` is None for a notification. ``name`` is the
    name or URI that the method is about, or empty. ``revision`` is the protocol version of its headers, envelope or
    session, or empty for a legacy message without one.
    """

    body: dict[str, Any]
    era: Era
    revision: str
    method: Method | None
    id: str | int | None
    name: str = ""

    @property
    def params(self) -> dict[str, Any]:
        """The params, empty where there are none."""
        params = self.body.get("params")
        return params if isinstance(params, dict) else {}

    @property
    def method_name(self) -> str:
        """The name of its method; empty for a response."""
        return self.method.name if self.method is not None else ""

    @property
    def is_dropped(self) -> bool:
        """Whether this is an unknown notification: it is accepted, and not forwarded."""
        return self.method is UNKNOWN_NOTIFICATION

    @property
    def is_request(self) -> bool:
        """Whether a response with this id is due."""
        return self.method is not None and self.id is not None

    def drop_body(self) -> None:
        """Drop the body of a forwarded request.

        A parsed body takes twenty times its bytes, and the response
        may take hours. What is read again stays: the filter of a listen, the revision that an initialize asks for, and
        the requested page of a list.
        """
        if self.method is None or self.id is None:
            return
        kept = _KEPT.get(self.method.name)
        self.body = {} if kept is None or kept not in self.params else {"params": {kept: self.params[kept]}}
