"""Ask a server which eras it speaks, and what a modern one tells of itself.

Only ``server/discover`` is asked, with the credential of the request that needs to know. A call of a caller proves
nothing: it may fail for a hundred reasons, some of which a caller can choose.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.protocol_revisions import MODERN, NEWEST_LEGACY_REVISION
from ostiary_gateway.bridge.to_modern import REVISION
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_answer import ServerAnswer, fault_of
from ostiary_gateway.pipeline.server_request import GATEWAY_INFO, ask
from ostiary_gateway.pipeline.server_streams import end_session
from ostiary_gateway.server.response import Response
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer
from ostiary_gateway.upstream.server_eras import Eras, ProbeAnswer, refuses_era

#: Seconds for an answer. A server that is silent for longer keeps the era that it was last known to speak.
DISCOVER_SECONDS: Final = 5.0
_DISCOVER: Final = OwnRequest("server/discover", {}, REVISION)


@dataclass(frozen=True, slots=True)
class EraDiscovery:
    """What is known of a server now.

    ``result`` is that of ``server/discover``, where it was asked just now; None where the verdict is an earlier one.
    """

    eras: Eras
    result: Mapping[str, Any] | None


async def find_eras(exchange: Exchange, server: UpstreamServer, *, span: ServerSpan) -> EraDiscovery:
    """Return which eras a server speaks; ask it where that is not known, or too old.

    Requests that need to know at the same time share one question.
    """
    answers: list[ServerAnswer] = []

    async def probe() -> ProbeAnswer:
        answers.append(await _discovered(exchange, server, span))
        return ProbeAnswer(answers[-1].status, answers[-1].message)

    eras = await server.eras.find(probe)
    return EraDiscovery(eras, answers[-1].result if answers else None)


async def discover(exchange: Exchange, server: UpstreamServer, *, span: ServerSpan) -> Mapping[str, Any]:
    """Return what a modern server tells this caller of itself.

    Its answer may depend on who asks, so it is asked for each session.

    Raises:
        UpstreamFault: it gave no such answer.
    """
    answer = await _discovered(exchange, server, span)
    server.eras.learn(ProbeAnswer(answer.status, answer.message))
    fault = fault_of(server, answer)
    if fault is not None:
        raise fault
    return answer.result or {}


async def told_by_modern(exchange: Exchange, server: UpstreamServer, *, span: ServerSpan) -> Mapping[str, Any] | None:
    """Return what a server tells of itself that speaks only the modern era.

    It is None for any other server.

    Raises:
        UpstreamFault: it does not tell.
    """
    found = await find_eras(exchange, server, span=span)
    if found.eras.legacy is None and found.eras.modern:
        await settle_handshake(exchange, server, span=span)
    if server.eras.only is not MODERN:
        return None
    return found.result if found.result is not None else await discover(exchange, server, span=span)


async def settle_handshake(exchange: Exchange, server: UpstreamServer, *, span: ServerSpan) -> None:
    """Find out whether a server whose list names modern revisions only takes a handshake.

    A client's handshake proves nothing: it may be refused for what the client wrote, and all others would pay for it.
    """
    params = {"protocolVersion": NEWEST_LEGACY_REVISION, "capabilities": {}, "clientInfo": dict(GATEWAY_INFO)}
    try:
        answer = await ask(exchange, server, OwnRequest("initialize", params, ""), span=span, seconds=DISCOVER_SECONDS)
    except UpstreamFault:
        return
    if answer.result is not None:
        server.eras.accepted_handshake()
        await _end_session(exchange, server, answer, span)
    elif refuses_era("initialize", answer.status, answer.message or None):
        server.eras.refused_handshake()


async def _end_session(exchange: Exchange, server: UpstreamServer, answer: ServerAnswer, span: ServerSpan) -> None:
    """End the session that a handshake of the gateway's own has opened: it was only a question."""
    revision = (answer.result or {}).get("protocolVersion")
    if answer.session_id is None or not isinstance(revision, str):
        return
    session = UpstreamSession(answer.session_id, revision, endpoint=answer.endpoint)
    with suppress(UpstreamFault):
        await end_session(exchange, server, session, span=span, seconds=DISCOVER_SECONDS)


async def _discovered(exchange: Exchange, server: UpstreamServer, span: ServerSpan) -> ServerAnswer:
    """Send ``server/discover``.

    Raises:
        UpstreamFault: no answer, or none that is MCP.
    """
    return await ask(exchange, server, _DISCOVER, span=span, seconds=DISCOVER_SECONDS)


def error_in(response: Response) -> dict[str, Any] | None:
    """Return the message in a response if it is an error; None for any other."""
    if b'"error"' not in response.body:
        return None
    try:
        message = strict_json.loads(response.body)
    except StrictJSONError:
        return None
    return message if isinstance(message, dict) and isinstance(message.get("error"), dict) else None
