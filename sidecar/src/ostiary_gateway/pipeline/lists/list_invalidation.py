"""What a server sends that shows that a list of it has changed.

It says so (``list_changed``), or it does not know something that a list named, or it asks for other mirrored parameters
than a schema declared (specification, Custom Headers). The last two a caller can provoke, so they count only once in a
while: no caller keeps the lists of others from being kept.
"""

from collections.abc import Mapping
from time import monotonic
from typing import Any, Final
from weakref import WeakKeyDictionary

from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import LISTS, Primitive
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.lists.announced_changes import CHANGES
from ostiary_gateway.pipeline.lists.raw_list_cache import RAW_LISTS
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds between two changes of a server's lists that callers may have provoked.
PROVOKED_SECONDS: Final = 5.0
#: By primitive, its lists, and by the method of a notification, what changed.
_LISTS_OF: Final = {
    primitive: tuple(row.name for row in LISTS.values() if row.primitive is primitive) for primitive in Primitive
}
_CHANGED: Final = {f"notifications/{primitive}/list_changed": names for primitive, names in _LISTS_OF.items()}
_USES: Final = {
    "tools/call": Primitive.TOOLS,
    "prompts/get": Primitive.PROMPTS,
    "resources/read": Primitive.RESOURCES,
}
#: What servers say of a name that they do not know: in errors, and in results of tools that failed.
_UNKNOWN: Final = ("unknown", "not found", "no such")
#: The characters of a text in which these words are looked for.
_READ: Final = 512
_provoked: Final[WeakKeyDictionary[UpstreamServer, float]] = WeakKeyDictionary()


def note_message(leg: Leg, message: Mapping[str, Any]) -> None:
    """Take note of a message of the server of a leg, as it came."""
    sent = message.get("method")
    if sent is None:
        _note_outcome(leg, jsonrpc.outcome({**message}), _tool_text(message))
        return
    changed = _CHANGED.get(sent) if isinstance(sent, str) else None
    if changed is not None:
        CHANGES.note(leg.server, *changed)


def note_outcome(leg: Leg, outcome: ResponseSummary, body: bytes) -> None:
    """Take note of how the response to a leg ended."""
    if outcome.code is not None or outcome.tool_error:
        _note_outcome(leg, outcome, body[: 4 * _READ].decode("utf-8", "replace") if outcome.tool_error else "")


def _note_outcome(leg: Leg, outcome: ResponseSummary, text: str) -> None:
    method = leg.message.method if leg.message is not None else None
    primitive = _USES.get(method.name) if method is not None else None
    if primitive is not None and _is_unknown(outcome, text):
        _provoke(leg.server, primitive)


def _provoke(server: UpstreamServer, primitive: Primitive) -> None:
    now = monotonic()
    if now - _provoked.get(server, float("-inf")) >= PROVOKED_SECONDS:
        _provoked[server] = now
        RAW_LISTS.changed(server, *_LISTS_OF[primitive])


def _is_unknown(outcome: ResponseSummary, text: str) -> bool:
    """Return whether a response says that a list names something that is not there."""
    if outcome.code is None:
        return outcome.tool_error and _says_unknown(text)
    if outcome.code in (codes.HEADER_MISMATCH, codes.RESOURCE_NOT_FOUND):
        return True
    return outcome.code in (codes.INVALID_PARAMS, codes.METHOD_NOT_FOUND) and _says_unknown(outcome.message)


def _tool_text(message: Mapping[str, Any]) -> str:
    """Return the first text of a tool's result, empty without one."""
    result = message.get("result")
    content = result.get("content") if isinstance(result, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    text = first.get("text") if isinstance(first, dict) else None
    return text if isinstance(text, str) else ""


def _says_unknown(text: str) -> bool:
    return any(words in text[:_READ].casefold() for words in _UNKNOWN)
