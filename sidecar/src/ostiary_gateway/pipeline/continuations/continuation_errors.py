"""What a caller gets whose answer cannot be used."""

from typing import Final

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal

LOST: Final = "ContinuationLost"


def continuation_lost() -> Refusal:
    """Return the refusal of an answer that nothing waits for any more.

    What waited was used, has expired, or its replica is gone.
    """
    words = "What this call was waiting for is gone: start the call again"
    return Refusal(200, LOST, words, code=codes.UPSTREAM_UNAVAILABLE)


def invalid_state() -> Refusal:
    """Return the refusal of a ``requestState`` that is not this caller's for this request.

    It is the same for one that was altered, that is another caller's, that has expired, or whose request differs.
    """
    words = "This requestState is not one for this request: it was changed, has expired, or belongs to another call"
    return Refusal(200, "InvalidRequestState", words, code=codes.INVALID_PARAMS)
