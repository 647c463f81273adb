"""How a request is refused for its contents.

A tool call gets a result with ``isError``, which a model reads and acts on; every other request a JSON-RPC error. No
value of the message is repeated, and no policy or rule is named: the records name them.
"""

import enum

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.refusal_responses import tool_error


class ContentReason(enum.StrEnum):
    """Why a message was refused for its contents, as data and spans name it."""

    ARGUMENTS_INVALID = "ArgumentsInvalid"
    RESULT_INVALID = "ResultInvalid"
    UNCHECKABLE = "Uncheckable"
    CONTENT_BLOCKED = "ContentBlocked"
    DEFINITION_CHANGED = "DefinitionChanged"
    SCORER_UNAVAILABLE = "ScorerUnavailable"
    TOO_LARGE = "TooLarge"
    TRANSFORM_FAILED = "TransformFailed"


def content_refused(message: Message | None, reason: ContentReason, words: str, *, code: int = codes.DENIED) -> Refusal:
    """Return the refusal of a request for its contents.

    ``words`` are sentences for a model, which say what to do. ``message`` is the request; None where it is not known.
    """
    refusal = Refusal(200, reason.value, words, code=code)
    is_call = message is not None and message.method_name == "tools/call"
    # A caller that asks for a task (2025-11-25, Tasks) expects a result of another shape.
    if message is not None and is_call and "task" not in message.params:
        refusal.result = tool_error(words, message.era)
    return refusal
