"""How a request is refused at a limit of a policy.

A tool call gets a result with ``isError``, which a model reads and acts on; every other request a JSON-RPC error. Both
have the same data (``docs/reference/limit-errors.md``).
"""

from typing import Final

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.refusal_responses import tool_error
from ostiary_gateway.policy_limits.limit_words import META, limit_data, limit_words
from ostiary_gateway.policy_limits.store import Exhaustion, Unit

REACHED: Final = "LimitReached"
TOO_LARGE: Final = "TooLarge"
UNAVAILABLE: Final = "LimitUnavailable"
#: The most characters of a name that an answer repeats.
_SHOWN_NAME: Final = 256
_SIZES: Final = frozenset({Unit.REQUEST_BYTES, Unit.RESPONSE_BYTES})


class LimitError(Refusal):
    """A refusal at a limit.

    The record stage takes ``found``; the caller never sees the limit's name.
    """

    def __init__(self, found: Exhaustion, message: Message | None, now: float) -> None:
        self.found = found
        self.now = now
        method = message.method_name if message is not None else ""
        words = limit_words(found, _what(message, method), now)
        data = limit_data(found, now)
        code = codes.TOO_LARGE if found.unit in _SIZES else codes.LIMITED
        super().__init__(200, reason_of(found), words, code=code, data=data)
        self.limit = (found.charge.limit.policy, found.charge.limit.name)
        # A caller that asks for a task (2025-11-25, Tasks) expects a result of another shape.
        if method == "tools/call" and message is not None and "task" not in message.params:
            self.result = {**tool_error(words, message.era), "_meta": {META: data}}


def reason_of(found: Exhaustion) -> str:
    """Return the reason of a refusal, as data and spans name it."""
    if found.store_failed:
        return UNAVAILABLE
    return TOO_LARGE if found.unit in _SIZES else REACHED


def _what(message: Message | None, method: str) -> str:
    return (message.name[:_SHOWN_NAME] if message is not None and message.name else "") or method or "this"
