"""Write what a modern server sends as a legacy client reads it.

Results lose what only the modern era has: ``resultType``, the hints for caches, the server's name in ``_meta``. Errors
keep their code where the legacy era has it. Notifications lose the id of the subscription that they came by.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp import codes
from ostiary_core.mcp.meta_keys import META_SERVER_INFO, META_SUBSCRIPTION
from ostiary_core.upstream_faults import INVALID
from ostiary_gateway.bridge.client_input import ASKING_METHODS
from ostiary_gateway.errors import InputAsked, UpstreamFault

#: The members of a result that only the modern era has.
_MODERN_MEMBERS: Final = ("resultType", "ttlMs", "cacheScope")
#: The values of ``resultType``: absent reads as complete (2026-07-28, Results).
COMPLETE: Final = "complete"
INPUT_REQUIRED: Final = "input_required"
_READ: Final = "resources/read"
_CALL: Final = "tools/call"
#: The errors of the modern era that no legacy client knows: their causes are between gateway and server.
_BETWEEN_SERVERS: Final = frozenset(
    {codes.HEADER_MISMATCH, codes.MISSING_CLIENT_CAPABILITY, codes.UNSUPPORTED_PROTOCOL_VERSION}
)
#: Notifications that a server sends without being asked by a legacy client: it has no word for them.
_MODERN_NOTIFICATIONS: Final = frozenset({"notifications/subscriptions/acknowledged"})


class FromModern:
    """Translates the messages of one modern server for one request of a legacy client.

    ``method`` is that of the request, empty for a stream of changes.
    """

    __slots__ = ("_method", "headers_refused")

    def __init__(self, method: str) -> None:
        self._method = method
        #: Whether the server refused a header that the gateway wrote: its list of tools may have changed.
        self.headers_refused = False

    def response(self, text: bytes, message: dict[str, Any]) -> bytes:
        """Return the response to the request.

        ``message``, the parsed ``text``, is changed in the same way.

        Raises:
            UpstreamFault: its result is of a type that the bridge does not know, or cannot be written.
            InputAsked: the server asks for input.
        """
        error = message.get("error")
        if isinstance(error, dict) and error.get("code") == codes.HEADER_MISMATCH:
            self.headers_refused = True
        if not isinstance(error, dict):
            self._check_input(message)
            message["result"] = legacy_result(message.get("result"))
        elif error.get("code") == codes.MISSING_CLIENT_CAPABILITY and self._method == _CALL:
            del message["error"]
            message["result"] = unusable_tool(error)
        else:
            changed = legacy_error(error, method=self._method)
            if changed is error:
                return text
            message["error"] = changed
        return written(message)

    def _check_input(self, message: Mapping[str, Any]) -> None:
        if self._method in ASKING_METHODS and result_type(message) == INPUT_REQUIRED:
            raise InputAsked(message["result"])

    def streamed(self, text: bytes, message: dict[str, Any]) -> bytes | None:
        """Return a notification; None for what no legacy client understands, and for requests.

        A modern server sends no requests (2026-07-28, Transports): a client must not be asked by one.
        """
        method = message.get("method")
        if "id" in message or not isinstance(method, str) or method in _MODERN_NOTIFICATIONS:
            return None
        params = message.get("params")
        meta = params.get("_meta") if isinstance(params, dict) else None
        if not isinstance(params, dict) or not isinstance(meta, dict) or META_SUBSCRIPTION not in meta:
            return text
        _drop_meta(params, META_SUBSCRIPTION)
        return written(message)


def result_type(message: Mapping[str, Any]) -> str:
    """Return the type of the result in a response, empty for an error."""
    result = message.get("result")
    if not isinstance(result, dict):
        return ""
    found = result.get("resultType", COMPLETE)
    return found if isinstance(found, str) else "?"


def legacy_result(result: Any) -> dict[str, Any]:
    """Return a complete result without what only the modern era has.

    Raises:
        UpstreamFault: the result is of another type: that of an extension, which is not bridged, or of none.
    """
    if not isinstance(result, dict):
        raise UpstreamFault(INVALID, "the response has no result")
    if result.get("resultType", COMPLETE) != COMPLETE:
        raise UpstreamFault(INVALID, "the result is of a type that has no legacy form (resultType)")
    kept = {name: each for name, each in result.items() if name not in _MODERN_MEMBERS}
    _drop_meta(kept, META_SERVER_INFO)
    return kept


def legacy_error(error: dict[str, Any], *, method: str) -> dict[str, Any]:
    """Return an error as a legacy client understands it.

    It is the same object where the client does so already.
    """
    code = error.get("code")
    if type(code) is int and code in _BETWEEN_SERVERS:
        return {"code": codes.INTERNAL_ERROR, "message": error.get("message")}
    if code == codes.INVALID_PARAMS and method == _READ and _names_resource(error.get("data")):
        return {**error, "code": codes.RESOURCE_NOT_FOUND}
    return error


def unusable_tool(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a tool whose server needs what the client has not declared.

    A model can read it.
    """
    words = f"This tool cannot be used by this client: {error.get('message')}{_required(error.get('data'))}"
    return tool_error(words)


def tool_error(words: str) -> dict[str, Any]:
    """Return a legacy result of a tool that failed, for the model."""
    return {"content": [{"type": "text", "text": words}], "isError": True}


def written(message: Mapping[str, Any]) -> bytes:
    """Serialise a translated message.

    Raises:
        UpstreamFault: it holds what JSON cannot represent; it was read leniently.
    """
    try:
        return strict_json.dumps(message)
    except StrictJSONError as error:
        raise UpstreamFault(INVALID, f"the message cannot be translated: {error}") from None


def _drop_meta(holder: dict[str, Any], key: str) -> None:
    """Remove one key of ``_meta``, and an empty ``_meta`` with it."""
    meta = holder.get("_meta")
    if not isinstance(meta, dict) or key not in meta:
        return
    kept = {name: each for name, each in meta.items() if name != key}
    if kept:
        holder["_meta"] = kept
    else:
        del holder["_meta"]


def _required(data: Any) -> str:
    """Return the names of the capabilities that a server requires."""
    required = data.get("requiredCapabilities") if isinstance(data, dict) else None
    names = sorted(name for name in required if name.isidentifier()) if isinstance(required, dict) else []
    return f" (it needs the capabilities {', '.join(names[:8])})" if names else ""


def _names_resource(data: Any) -> bool:
    """Return whether an error is about a resource.

    The modern era has no code of its own for one that is not found.
    """
    return isinstance(data, dict) and isinstance(data.get("uri"), str)
