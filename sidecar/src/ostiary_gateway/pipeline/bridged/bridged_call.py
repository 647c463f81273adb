"""One request of a legacy client at a modern server, in as many rounds as the server needs.

Nearly every request has one round: one request to the server, whose response is translated. A server that needs input
gets the same request again with the answers of the client (:mod:`.client_questions`). One whose tool mirrors parameters
in headers, and has changed which, gets it again once after its list of tools was read.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp import codes
from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN
from ostiary_gateway import sse
from ostiary_gateway.bridge.client_input import (
    ASKING_METHODS,
    PAUSE_SECONDS,
    ROUNDS,
    InputRefusedError,
    input_required,
    repeated_params,
)
from ostiary_gateway.bridge.from_modern import FromModern, tool_error
from ostiary_gateway.bridge.to_modern import REVISION, LegacyClient, modern_request
from ostiary_gateway.errors import InputAsked, Refusal, UpstreamFault
from ostiary_gateway.pipeline import audit_stage, mirrored_parameters, record
from ostiary_gateway.pipeline.bridged.client_questions import ClientQuestions
from ostiary_gateway.pipeline.bridged.era_discovery import error_in, find_eras
from ostiary_gateway.pipeline.bridged.judged_round import judge_round
from ostiary_gateway.pipeline.bridged.tool_schemas import read_tool_schema
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.http_checks import session_not_found
from ostiary_gateway.pipeline.leg import Leg, Translation
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.refusal_responses import message_for
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.pipeline.upstream_ids import substitute
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults

_CALL: Final = "tools/call"
#: Statuses of a server that does not know the revision, and the errors with which a modern one has them, too.
_NOT_FOUND: Final = frozenset({400, 404, 405})
_OF_MODERN: Final = frozenset(
    {
        codes.METHOD_NOT_FOUND,
        codes.INVALID_PARAMS,
        codes.INTERNAL_ERROR,
        codes.HEADER_MISMATCH,
        codes.MISSING_CLIENT_CAPABILITY,
    }
)


class BridgedCall:
    """Sends the request of an exchange until its server has responded.

    ``leg`` holds the message in the form of the client's era, with the names of its server; ``client`` is what the
    client has told of itself.
    """

    def __init__(
        self, exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices, client: LegacyClient
    ) -> None:
        message = leg.message
        if message is None or message.method is None:
            raise ValueError("only requests are bridged so")
        self._exchange = exchange
        self._leg = leg
        self._span = span
        self._services = services
        self._client = client
        self._method = message.method
        self._name = message.name
        #: The request as it is repeated: its tree is freed once it has been sent.
        self._kept = strict_json.dumps(message.body) if self._method.name in ASKING_METHODS else b""
        #: The same under the names that the caller knows, where they differ.
        own = exchange.message
        self._own = strict_json.dumps(own.body) if self._kept and own is not None and own is not message else self._kept
        #: What the round brings besides: the client's answers, and the server's state.
        self._more: Mapping[str, Any] = {}
        self._from_modern = FromModern(self._method.name)
        leg.translation = self._from_modern if leg.translation is None else Chained(self._from_modern, leg.translation)
        self._write(message.body)

    def _write(self, body: Mapping[str, Any]) -> None:
        """Write the request of the next round into the leg."""
        request = modern_request(body, self._client)
        request["params"] |= self._more
        if self._exchange.sent_id is not None:
            request["id"] = self._exchange.sent_id
        leg = self._leg
        leg.message = Message(request, MODERN, REVISION, self._method, self._exchange.upstream_id, self._name)
        leg.parameters = {}
        if self._method.name == _CALL:
            arguments = request["params"].get("arguments")
            leg.parameters = mirrored_parameters.headers(leg.server, self._name, arguments)

    async def run(self) -> Response | None:
        """Return the response to the caller; None where it was sent as a stream.

        Raises:
            Refusal: the server failed before a response began.
            CallerGone: the caller disconnected.
        """
        try:
            for _ in range(ROUNDS + 1):
                try:
                    return await self._finished(await self._sent())
                except InputAsked as asked:
                    await self._next_round(asked.result)
            raise self._refusal(f"The server still asks for input after {ROUNDS} rounds")
        except Refusal as refusal:
            await self._refused(refusal)
            return None

    async def cancelled(self) -> None:
        """Answer a request that its caller has cancelled: it no longer waits for a response.

        Raises:
            Refusal: there is no stream to the caller.
        """
        await self._refused(Refusal(200, "Cancelled", "The client cancelled this request", code=codes.INTERNAL_ERROR))

    async def _sent(self) -> Response | None:
        response = await self._round()
        if response is not None and self._from_modern.headers_refused:
            self._from_modern.headers_refused = False
            if await read_tool_schema(self._exchange, self._leg.server, self._name, self._span):
                self._write(strict_json.loads(self._kept))
                response = await self._round()
        return response

    async def _round(self) -> Response | None:
        services = self._services
        return await send_and_shape(self._exchange, self._leg, self._span, services.shaper, services.request_ids)

    async def _next_round(self, result: Mapping[str, Any]) -> None:
        """Get what the server asks for, and write the request that brings it.

        Raises:
            Refusal: the client cannot be asked, did not answer, or the server asks for what no client has.
        """
        try:
            asked = input_required(result)
            questions = ClientQuestions(self._exchange, self._leg, self._services, self._client)
            answers = await questions.ask(asked) if asked.requests else {}
        except UpstreamFault as fault:
            self._leg.failed(fault)
            raise faults.refusal(fault) from fault
        except InputRefusedError as error:
            raise self._refusal(f"The server needs input that it did not get: {error}") from None
        if not answers:
            await asyncio.sleep(PAUSE_SECONDS)
        own = self._exchange.request_id
        if own is not None:
            self._exchange.sent_id = substitute(own)
        await judge_round(self._exchange, self._leg, self._services, strict_json.loads(self._own))
        audit_stage.next_round(self._exchange, self._span)
        self._more = repeated_params({}, answers, asked.state)
        self._write(strict_json.loads(self._kept))

    def _refusal(self, words: str) -> Refusal:
        refusal = Refusal(200, "InputRefused", words, code=codes.INTERNAL_ERROR)
        if self._method.name == _CALL:
            refusal.result = tool_error(words)  # for the model: clients give up on protocol errors
        return refusal

    async def _finished(self, response: Response | None) -> Response | None:
        """Return the last response, on the stream to the caller if there is one."""
        if response is None:
            return None
        if response.status >= 400 and self._refuses_era(response):
            await self._doubt()
        # A legacy client takes any other status for a broken connection, not for its response.
        response.status = 200
        if self._leg.downstream is None:
            return response
        await self._streamed(response.body)
        return None

    def _refuses_era(self, response: Response) -> bool:
        """Return whether a server that was modern answers as one that no longer is."""
        error = error_in(response)
        code = error["error"].get("code") if error is not None else None
        return response.status in _NOT_FOUND and code not in _OF_MODERN

    async def _doubt(self) -> None:
        """Ask the server again which era it speaks.

        Raises:
            Refusal: 404, it speaks only the client's own by now: the client initializes again.
        """
        server = self._leg.server
        server.eras.doubt()
        await find_eras(self._exchange, server, span=self._span)
        if server.eras.only is LEGACY and self._exchange.session is not None:
            raise session_not_found()

    async def _refused(self, refusal: Refusal) -> None:
        """Answer with a refusal, on the stream to the caller if there is one.

        Raises:
            Refusal: there is none.
        """
        if self._leg.downstream is None:
            raise refusal
        if refusal.code is None:  # such as a challenge, which has no place in a stream
            refusal = Refusal(200, refusal.reason, refusal.message, code=codes.DENIED)
        record.refused(self._span, self._exchange, refusal)
        await self._streamed(strict_json.dumps(message_for(refusal, self._exchange.request_id)))

    async def _streamed(self, text: bytes) -> None:
        downstream = self._leg.downstream
        if downstream is None:
            return
        self._exchange.is_answered = True
        downstream.write(sse.event(text))
        downstream.end()
        await downstream.flush()


class Chained:
    """Two translations, one after the other."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Translation, second: Translation) -> None:
        self._first = first
        self._second = second

    def response(self, text: bytes, message: dict[str, Any]) -> bytes:
        """Return the response after both translations."""
        return self._second.response(self._first.response(text, message), message)

    def streamed(self, text: bytes, message: dict[str, Any]) -> bytes | None:
        """Return a streamed message after both translations; None if either drops it."""
        found = self._first.streamed(text, message)
        return None if found is None else self._second.streamed(found, message)
