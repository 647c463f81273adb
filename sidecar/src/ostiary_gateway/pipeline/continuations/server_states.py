"""The ``requestState`` in the rounds of one call.

Sealed on its way to the caller, opened on its way back. A modern server's own state passes through the caller as the
gateway seals it, so it comes back from the same caller to the same server, for the same request, or not at all.
"""

from functools import partial
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.json_spans import SpanReader
from ostiary_gateway.bridge.client_input import ASKING_METHODS
from ostiary_gateway.bridge.from_modern import INPUT_REQUIRED
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.continuations.callers import owner_of
from ostiary_gateway.pipeline.continuations.continuation_errors import invalid_state
from ostiary_gateway.pipeline.continuations.request_states import CallState, RequestStates, request_digest
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.upstream import faults

_STATE: Final = "requestState"
_IN_BYTES: Final = _STATE.encode()


def may_ask(exchange: Exchange) -> bool:
    """Return whether a server may answer a modern caller with ``input_required``."""
    message = exchange.message
    return message is not None and message.method is not None and message.method.name in ASKING_METHODS


def digest_of(exchange: Exchange) -> bytes:
    """Return what a state is bound to of the request of an exchange."""
    message, content = exchange.message, exchange.content
    if content is not None and content.digest:
        return content.digest
    if message is None or message.method is None:
        raise AssertionError("only calls have states")
    return request_digest(message.method.name, message.params)


def opened_state(exchange: Exchange, states: RequestStates) -> CallState | None:
    """Return the state that a request carries; None where it carries none.

    Raises:
        Refusal: it is not one of this caller's for this request.
    """
    message = exchange.message
    if message is None or _STATE not in message.params:
        return None
    return states.open(message.params[_STATE], digest=digest_of(exchange), owner=owner_of(exchange))


def leg_of_state(state: CallState, leg: Leg) -> Leg:
    """Return the leg to the server that a state belongs to, of those that are tried in turn.

    Raises:
        Refusal: the caller is no longer led to that server.
    """
    found: Leg | None = leg
    while found is not None and found.server.name != state.server:
        found = found.instead
    if found is None:
        raise invalid_state()
    found.instead = None  # only this server knows the state
    found.preferred = state.endpoint
    return found


def with_own_state(leg: Leg, state: CallState) -> None:
    """Give a server back its own state, as it sent it."""
    message = leg.message
    if message is not None and isinstance(message.body.get("params"), dict):
        message.body["params"][_STATE] = state.of_server


def with_sealed_state(exchange: Exchange, leg: Leg, text: bytes, message: dict[str, Any]) -> bytes:
    """Return a response with its state as the caller gets it.

    ``message``, the parsed ``text``, is changed too.

    Raises:
        UpstreamFault: the state is too long, or its place cannot be found.
    """
    result = message.get("result")
    if leg.states is None or not isinstance(result, dict) or result.get("resultType") != INPUT_REQUIRED:
        return text
    state = result.get(_STATE)
    if _IN_BYTES not in text or not isinstance(state, str):
        return text
    result[_STATE] = leg.states.seal_of_server(
        state,
        server=leg.server.name,
        digest=leg.digest or digest_of(exchange),
        owner=owner_of(exchange),
        seconds=exchange.snapshot.settings.bounds.session_max_age / 1000,
        endpoint=leg.preferred,
    )
    return _replaced(text, result[_STATE])


def _replaced(text: bytes, state: str) -> bytes:
    places: list[tuple[int, int]] = []
    try:
        reader = SpanReader(text)

        def note(start: int) -> int:
            end = reader.value(start)[1]
            places.append((start, end))
            return end

        reader.whole({"result": partial(_within, reader, note)})
        (place,) = places
    except (StrictJSONError, ValueError) as error:
        raise UpstreamFault(faults.INVALID, f"its requestState cannot be replaced: {error}") from None
    return reader.replaced(*place, strict_json.dumps(state).decode())


def _within(reader: SpanReader, note: Any, start: int) -> int:
    return reader.members(start, {_STATE: note})
