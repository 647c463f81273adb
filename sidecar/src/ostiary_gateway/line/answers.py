"""What an answer says, read as far as the gateway must: whose it is and how it ended. Its bytes are not touched."""

from dataclasses import dataclass
from typing import Any

import jiter

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an answer ended: a JSON-RPC error code, a tool error, or neither."""

    code: int | None = None
    message: str = ""
    tool_error: bool = False


def read(text: bytes) -> dict[str, Any]:
    """Parse a message from the upstream, leniently: nothing is decided on its names here.

    Raises:
        UpstreamFault: it is no JSON object.
    """
    try:
        message = jiter.from_json(text)
    except ValueError as error:
        raise UpstreamFault(faults.INVALID, f"the answer is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise UpstreamFault(faults.INVALID, "the answer is no JSON object")
    return message


def answers(message: dict[str, Any], identifier: str | int | None) -> bool:
    """Say whether a message is the answer to a request: same id of the same type, and no method."""
    found = message.get("id")
    same = type(found) is type(identifier) and found == identifier
    return same and "method" not in message and ("result" in message) != ("error" in message)


def outcome(message: dict[str, Any]) -> Outcome:
    """Return how an answer ended."""
    error = message.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        return Outcome(code if isinstance(code, int) else 0, str(error.get("message", ""))[:256])
    result = message.get("result")
    return Outcome(tool_error=isinstance(result, dict) and result.get("isError") is True)
