"""The instructions of a server, which must be approved as its definitions are.

Models read them first. With Block instructions that no lock approves are left out of what a server tells of itself.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.definitions.definition_digest import definition_digest
from ostiary_core.errors import StrictJSONError
from ostiary_gateway.config.pinned_state import INSTRUCTIONS, pinned_state
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.pinned_definitions.pinned_lists import drift_finding
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.server import UpstreamServer

_MEMBER: Final = "instructions"


def approved_description(exchange: Exchange, server: UpstreamServer, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a server tells of itself without instructions that are not approved.

    It is the same object where nothing is left out.
    """
    rules, place = exchange.visibility.definitions, exchange.proxy.servers.index(server)
    lock = rules.lock_of(place) if rules is not None else None
    if rules is None or lock is None or _MEMBER not in told:
        return told
    text, state = told[_MEMBER], pinned_state(rules)
    if isinstance(text, str) and lock.approves_instructions(text):
        state.note_well(lock.server, INSTRUCTIONS, INSTRUCTIONS)
        return told
    state.note_drift(lock.server, INSTRUCTIONS, INSTRUCTIONS, definition_digest(text), text)
    exchange.note_findings((drift_finding(exchange, rules, 1),))
    if not rules.blocks:
        return told
    return {name: value for name, value in told.items() if name != _MEMBER}


def with_approved_description(exchange: Exchange, text: bytes, message: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Return the response to a handshake without instructions that are not approved.

    ``message`` is the parsed ``text``.

    Raises:
        UpstreamFault: readers could disagree about what the server tells.
    """
    rules = exchange.visibility.definitions
    if rules is None or rules.pinning is None:
        return text, message
    if rules.blocks:
        message = _strictly(text)
    result = message.get("result")
    if not isinstance(result, dict):
        return text, message
    approved = approved_description(exchange, exchange.selected, result)
    if approved is result:
        return text, message
    message = {**message, "result": approved}
    return strict_json.dumps(message), message


def _strictly(text: bytes) -> dict[str, Any]:
    try:
        message = strict_json.loads(text)
    except StrictJSONError as error:
        raise UpstreamFault(faults.INVALID, f"the answer is not strict JSON: {error}") from None
    if not isinstance(message, dict):
        raise UpstreamFault(faults.INVALID, "the response is not a JSON object")
    return message
