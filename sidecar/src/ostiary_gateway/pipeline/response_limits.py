"""The part of limits that is known with the response: its size, and what the call cost.

A response that is too large is withheld although the call was carried out, and its units stay used. It is not read
further than a limit allows. Its server did nothing wrong: its health does not suffer.
"""

from typing import Any

from ostiary_core.limits.charge import Charge
from ostiary_gateway.pipeline.exchange import Exchange, LimitUse
from ostiary_gateway.pipeline.limit_refusal import LimitError
from ostiary_gateway.pipeline.limit_stage import note_refused
from ostiary_gateway.policy_limits.store import Exhaustion, Unit


def readable_bytes(use: LimitUse, most: int) -> int:
    """Return how many bytes of a response are read: at most ``most``, and what limits allow."""
    allowed = (limit.response_bytes for limit in use.sizes if not limit.shadow)
    return min([most, *(each for each in allowed if each is not None)])


def check_response_size(exchange: Exchange, size: int) -> None:
    """Refuse to relay a response that is larger than a limit allows.

    Raises:
        LimitError: it is larger.
    """
    use = exchange.limit_use
    for limit in use.sizes if use is not None else ():
        most = limit.response_bytes
        if use is None or most is None or size <= most:
            continue
        found = Exhaustion(Charge(limit, "", 0), Unit.RESPONSE_BYTES, most, most, None, None)
        note_refused(exchange, found)
        if not limit.shadow:
            raise LimitError(found, exchange.message, use.taken_at)
        use.shadow = found


def note_result(exchange: Exchange, message: dict[str, Any], size: int) -> None:
    """Check the size of a response, and keep its result.

    Its cost is charged at the end of the request.

    Raises:
        LimitError: it is larger than a limit allows.
    """
    check_response_size(exchange, size)
    use = exchange.limit_use
    result = message.get("result") if use is not None and use.awaited is not None else None
    if use is not None and isinstance(result, dict):
        use.result = result
