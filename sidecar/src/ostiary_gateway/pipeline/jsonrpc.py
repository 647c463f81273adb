"""Read a response as far as the gateway must: which request it answers and how it ended.

Its bytes stay unchanged.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, cast

import jiter

from ostiary_core import strict_json
from ostiary_core.content.finding import ContentFinding
from ostiary_core.errors import StrictJSONError
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.large_messages import Steps, check_weight
from ostiary_gateway.upstream import faults

_MESSAGE_LIMIT: Final = 256
_REASON_LIMIT: Final = 64


@dataclass(frozen=True, slots=True)
class ResponseSummary:
    """How a response ended: a JSON-RPC error code, a tool error, or neither.

    ``dropped`` is the number of list items that were dropped because they cannot be judged; ``reason`` is
    ``data.reason`` of an error, which gateways such as this one set. ``empty`` says why a list is empty
    (:mod:`.empty_list_causes`), and is empty for every other response. ``findings`` are those in a list, which count
    again when it is shown from a cache. ``is_of_caller`` where it holds what another caller must not get, such as a
    token of a mask.
    """

    code: int | None = None
    message: str = ""
    tool_error: bool = False
    dropped: int = 0
    reason: str = ""
    empty: str = ""
    findings: tuple[ContentFinding, ...] = ()
    is_of_caller: bool = False


#: Of a result: nothing more is known of it.
GOOD: Final = ResponseSummary()
#: The tool's own text is content: it is recorded only where capturing content is enabled.
_TOOL_ERROR: Final = ResponseSummary(message="The tool answered with isError", tool_error=True)


def read(text: bytes) -> dict[str, Any]:
    """Parse a message from the upstream leniently: no decision depends on its names here.

    Raises:
        UpstreamFault: it is not a JSON object.
    """
    try:
        message = jiter.from_json(text)
    except ValueError as error:
        message = _read_leniently(text, str(error))
    return message if isinstance(message, dict) else _object(message)


def reading(text: bytes) -> Steps[dict[str, Any]]:
    """Parse a message as :func:`read` does, in steps.

    What the faster parser rejects is parsed a second time.
    """
    try:
        return _object(jiter.from_json(text))
    except ValueError as error:
        why = str(error)
    yield
    return _object(_read_leniently(text, why))


def reading_within(text: bytes, limit: int) -> Steps[dict[str, Any]]:
    """Parse a message that weighs at most ``limit``, in steps.

    Raises:
        UpstreamFault: also where it weighs more.
    """
    yield from check_weight(text, limit)
    return (yield from reading(text))


def _object(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise UpstreamFault(faults.INVALID, "the response is not a JSON object")
    return message


def _read_leniently(text: bytes, why: str) -> Any:
    """Parse what common clients still accept, such as half an emoji in a truncated text.

    It must be UTF-8 all the same: by default Python would also read what it takes for UTF-16, and no client does.
    """
    try:
        return json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise UpstreamFault(faults.INVALID, f"the answer is not JSON: {why}") from None


def is_response(message: dict[str, Any]) -> bool:
    """Return whether a message is a response to some request."""
    return "method" not in message and ("result" in message or "error" in message)


def is_response_to(message: dict[str, Any], identifier: str | int | None) -> bool:
    """Return whether a message is the response to this request.

    It has the request's id, no method, and a shape that clients accept. Clients silently drop any other message and
    keep waiting.
    """
    found = message.get("id")
    same = found is identifier or (type(found) is type(identifier) and found == identifier)
    if not (same or _means(found, identifier)) or "method" in message:
        return False
    if "error" in message:
        return "result" not in message and is_error(message["error"])
    return isinstance(message.get("result"), dict)


def _means(found: Any, identifier: str | int | None) -> bool:
    """Return whether an id is another spelling of this one: "1" or 1.0 for 1, or 1 for "1".

    Some servers keep ids as text, or numbers as floats.

    It cannot be the response to another request. Each arrives on the connection of its own request and is compared with
    the id of that request only; and no two ids in flight in a session are spellings of one id (:mod:`.request_ids`).
    """
    if type(found) is float and type(identifier) is int:
        return found == identifier
    return {type(found), type(identifier)} == {int, str} and str(found) == str(identifier)


def needs_own_id(message: dict[str, Any], own: str | int | None) -> bool:
    """Return whether a response has another id than the caller sent, or another spelling of it."""
    found = message.get("id")
    return own is not None and (type(found) is not type(own) or found != own)


def is_error(error: Any) -> bool:
    """Return whether a value is a JSON-RPC error object that clients accept."""
    return isinstance(error, dict) and type(error.get("code")) is int and isinstance(error.get("message"), str)


def id_of(message: dict[str, Any]) -> str | int | None:
    """Return the id of a message.

    It is None where it has none, or one that cannot be written in a response.
    """
    found = message.get("id")
    if type(found) not in (str, int):
        return None
    try:
        strict_json.dumps(found)
    except StrictJSONError:
        return None
    return cast("str | int", found)


def outcome(message: dict[str, Any], *, dropped: int = 0, empty: str = "") -> ResponseSummary:
    """Return the summary of a response."""
    if dropped or empty:
        return ResponseSummary(dropped=dropped, empty=empty)  # a list, which is not an error
    error = message.get("error")
    if error is not None:
        code = error.get("code") if isinstance(error, dict) else None
        return ResponseSummary(code if type(code) is int else 0, _text(error), reason=_reason(error))
    result = message.get("result")
    return _TOOL_ERROR if isinstance(result, dict) and result.get("isError") is True else GOOD


def _reason(error: Any) -> str:
    data = error.get("data") if isinstance(error, dict) else None
    reason = data.get("reason") if isinstance(data, dict) else None
    return reason if isinstance(reason, str) and len(reason) <= _REASON_LIMIT else ""


def _text(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else None
    # Text that was read leniently may hold half a surrogate pair, which no exporter accepts.
    return text[:_MESSAGE_LIMIT].encode("utf-8", "replace").decode() if isinstance(text, str) else ""
