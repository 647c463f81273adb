"""Write what a legacy server sends as a modern client reads it.

Results gain what the modern era requires: ``resultType``, hints for caches where its schema has them, and the server's
name. Errors keep their code unless the modern era gives it another meaning. All other bytes stay.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.json_spans import SpanReader
from ostiary_core.mcp import codes
from ostiary_core.mcp.meta_keys import META_SERVER_INFO
from ostiary_core.mcp.methods import METHODS, AuthorizationKind
from ostiary_gateway.bridge.client_input import ELICITATION, missing_capability
from ostiary_gateway.bridge.from_modern import COMPLETE, INPUT_REQUIRED, written
from ostiary_gateway.bridge.to_legacy import is_logged

#: The codes that only the modern era defines: from a legacy server they would mean something else.
_MODERN_CODES: Final = range(-32099, -32019)
_READ: Final = "resources/read"
#: The methods whose results hold hints for caches (2026-07-28, Caching).
_CACHED: Final = frozenset(row.name for row in METHODS.values() if row.authorization is AuthorizationKind.LIST) | {
    _READ
}
_HINTS: Final[Mapping[str, Any]] = {"ttlMs": 0, "cacheScope": "private"}
#: The members of a result that only the modern era defines.
_MODERN_MEMBERS: Final = ("resultType", "ttlMs", "cacheScope", "inputRequests", "requestState")
#: How servers begin a response: its text is cut there without a search.
_RESULT_FIRST: Final = b'{"result":{'
#: The most URLs of one error that a caller is sent to.
_ELICITATIONS: Final = 16


class FromLegacy:
    """Translates the messages of one legacy server for one request of a modern client.

    ``method`` is that of the request. ``info`` is how the server names itself. ``token`` is the caller's progress token
    and ``sent_token`` what stood for it. ``level`` is the log level that the caller wants, empty for none.
    ``capabilities`` are those that it declares.
    """

    __slots__ = ("_capabilities", "_info", "_level", "_method", "_sent_token", "_token")

    def __init__(
        self,
        method: str,
        *,
        info: Mapping[str, Any],
        capabilities: Mapping[str, Any],
        token: str | int | None = None,
        sent_token: str | None = None,
        level: str = "",
    ) -> None:
        self._method = method
        self._info = info
        self._capabilities = capabilities
        self._token = token
        self._sent_token = sent_token
        self._level = level

    def response(self, text: bytes, message: dict[str, Any]) -> bytes:
        """Return the response to the request.

        ``message``, the parsed ``text``, is changed in the same way.

        Raises:
            UpstreamFault: it cannot be written.
        """
        error = message.get("error")
        if isinstance(error, dict):
            return self._error(text, message, error)
        result = message["result"]
        has_modern_members = any(name in result for name in _MODERN_MEMBERS)
        if has_modern_members or "_meta" in result or not result:
            message["result"] = modern_result(result, method=self._method, info=self._info)
            return written(message)
        gained = modern_result({}, method=self._method, info=self._info)
        message["result"] = {**gained, **result}
        return _with_members(text, message, strict_json.dumps(gained)[1:-1] + b",")

    def _error(self, text: bytes, message: dict[str, Any], error: dict[str, Any]) -> bytes:
        if error.get("code") == codes.URL_ELICITATION_REQUIRED:
            self._send_to_urls(message, error)
            return written(message)
        changed = modern_error(error, method=self._method)
        if changed is error:
            return text
        message["error"] = changed
        return written(message)

    def _send_to_urls(self, message: dict[str, Any], error: dict[str, Any]) -> None:
        """Turn the error that names URLs into a request for input.

        The caller repeats the call afterwards.
        """
        del message["error"]
        requests = _url_requests(error.get("data"))
        if requests and not missing_capability(ELICITATION, {"mode": "url"}, self._capabilities):
            message["result"] = {"resultType": INPUT_REQUIRED, "inputRequests": requests}
            return
        words = "The server needs its user to open a URL, which this client has not declared that it can"
        data: dict[str, Any] = {"requiredCapabilities": {"elicitation": {"url": {}}}}
        message["error"] = {"code": codes.MISSING_CLIENT_CAPABILITY, "message": words, "data": data}

    def streamed(self, text: bytes, message: dict[str, Any]) -> bytes | None:
        """Return a notification as the caller gets it.

        It is None for one that has no place on the stream of a request. A change of a list is not told there
        (2026-07-28, Subscriptions), and log messages only to who asked for them.
        """
        method, params = message.get("method"), message.get("params")
        if "id" in message or not isinstance(params, dict):
            return None
        if method == "notifications/progress":
            return self._progress(message, params)
        return (
            text if method == "notifications/message" and is_logged(params.get("level"), wanted=self._level) else None
        )

    def _progress(self, message: dict[str, Any], params: dict[str, Any]) -> bytes | None:
        if self._token is None or params.get("progressToken") != self._sent_token:
            return None
        message["params"] = {**params, "progressToken": self._token}
        return written(message)


def modern_result(result: Mapping[str, Any], *, method: str, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result with what the modern era requires.

    It is without what a legacy server cannot mean.
    """
    meta = result.get("_meta")
    kept = {name: each for name, each in result.items() if name not in _MODERN_MEMBERS and name != "_meta"}
    hints = _HINTS if method in _CACHED else {}
    named = {**(meta if isinstance(meta, dict) else {}), META_SERVER_INFO: dict(info)}
    return {"resultType": COMPLETE, **hints, "_meta": named, **kept}


def modern_error(error: dict[str, Any], *, method: str) -> dict[str, Any]:
    """Return an error as a modern client understands it; the same object where it does already."""
    code = error.get("code")
    if code == codes.RESOURCE_NOT_FOUND and method == _READ:
        return {**error, "code": codes.INVALID_PARAMS}
    if type(code) is int and code in _MODERN_CODES:
        return {**error, "code": codes.INTERNAL_ERROR}
    return error


def http_status(message: Mapping[str, Any]) -> int:
    """Return the HTTP status that the modern era requires for a response."""
    error = message.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if code == codes.METHOD_NOT_FOUND:
        return 404
    return 400 if code == codes.MISSING_CLIENT_CAPABILITY else 200


def _url_requests(data: Any) -> dict[str, Any]:
    """Return requests for input of the URLs in an error -32042."""
    named = data.get("elicitations") if isinstance(data, dict) else None
    found = [each for each in (named if isinstance(named, list) else [])[:_ELICITATIONS] if _is_url(each)]
    return {
        f"url-{number}": {
            "method": ELICITATION,
            "params": {"mode": "url", "message": each["message"], "url": each["url"]},
        }
        for number, each in enumerate(found, 1)
    }


def _is_url(elicitation: Any) -> bool:
    return (
        isinstance(elicitation, dict)
        and isinstance(elicitation.get("url"), str)
        and isinstance(elicitation.get("message"), str)
    )


def _with_members(text: bytes, message: Mapping[str, Any], members: bytes) -> bytes:
    """Return a response with further members at the start of its result."""
    if text.startswith(_RESULT_FIRST):
        return _RESULT_FIRST + members + text[len(_RESULT_FIRST) :]
    head = b'{"jsonrpc":"2.0","id":%b,"result":{' % strict_json.dumps(message["id"])
    if text.startswith(head):
        return head + members + text[len(head) :]
    return _with_members_found(text, message, members)


def _with_members_found(text: bytes, message: Mapping[str, Any], members: bytes) -> bytes:
    places: list[int] = []
    try:
        reader = SpanReader(text)

        def note(start: int) -> int:
            places.append(start)
            return reader.value(start)[1]

        reader.whole({"result": note})
    except StrictJSONError:
        return written(message)
    return reader.replaced(places[0], places[0] + 1, "{" + members.decode())
