"""Ask a server which eras it speaks, and what a modern one tells of itself.

Only ``server/discover`` is asked, with the credential of the request that needs to know. A call of a caller proves
nothing: it may fail for a hundred reasons, some of which a caller can choose.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_gateway.bridge.to_modern import REVISION
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.server_answer import ServerAnswer, fault_of
from ostiary_gateway.pipeline.server_request import OwnRequest, ask
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer
from ostiary_gateway.upstream.server_eras import Eras, ProbeAnswer

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


async def _discovered(exchange: Exchange, server: UpstreamServer, span: ServerSpan) -> ServerAnswer:
    """Send ``server/discover``.

    Raises:
        UpstreamFault: no answer, or none that is MCP.
    """
    return await ask(exchange, server, _DISCOVER, span=span, seconds=DISCOVER_SECONDS)
