"""One call of a modern client in a session with a legacy server.

The server may ask in the midst of it, on the stream of its response. The call is then parked: its stream stays open in
this replica and is not read on, until the caller repeats the call with its answer, here or at another replica.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_gateway.bridge.from_legacy import FromLegacy, http_status
from ostiary_gateway.bridge.from_modern import written
from ostiary_gateway.bridge.server_input import (
    capability_error,
    input_request,
    input_required_result,
    lacking_capability,
    own_answer,
    server_response,
)
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.bridged.call_rounds import CallAnswer, CallRound
from ostiary_gateway.pipeline.bridged.legacy_messages import MessageLimits, messages_of
from ostiary_gateway.pipeline.bridged.legacy_session import LegacySession
from ostiary_gateway.pipeline.bridged.legacy_sessions import LegacySessions
from ostiary_gateway.pipeline.bridged.made_response import MadeMessage
from ostiary_gateway.pipeline.continuations.continuation_errors import continuation_lost
from ostiary_gateway.pipeline.refusal_responses import error_message
from ostiary_gateway.pipeline.upstream_ids import with_id
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: The most requests of a server in one call that its caller is not asked.
_MOST_REFUSED: Final = 64
_GONE: Final = 404


@dataclass(frozen=True, slots=True)
class SentCall:
    """What a call is, in all of its rounds.

    ``identifier`` is its id at the server, and ``token`` what stands there for the caller's progress token.
    ``capabilities`` are those that the caller declares. ``park`` keeps a call and returns the state for its caller.
    """

    method: str
    identifier: str
    token: str
    capabilities: Mapping[str, Any]
    limits: MessageLimits
    park: Callable[["LegacyCall"], str]


@dataclass(slots=True)
class _Question:
    """A request of the server that the caller is asked."""

    key: str
    identifier: str | int
    method: str


class LegacyCall:
    """A call whose request has been sent; ``response`` is what its server answers with.

    It must be read by :meth:`messages` or ended by :meth:`abandon`.
    """

    def __init__(
        self, sent: SentCall, *, session: LegacySession, sessions: LegacySessions, response: UpstreamResponse
    ) -> None:
        self._sent = sent
        self._link = session.link
        self._session = session
        self._sessions = sessions
        self._response = response
        self._received = messages_of(response, session.link.server, sent.limits)
        self._question: _Question | None = None
        self._questions = 0
        self._refused = 0
        #: What the caller would have had to declare for what the server has asked.
        self._lacking: list[str] = []
        self._is_answered = False

    async def messages(self, round_: CallRound) -> AsyncGenerator[MadeMessage]:
        """Yield what the caller gets, until its response: a result, an error, or a question.

        Raises:
            UpstreamFault: the server failed.
        """
        translation = self._translation(round_)
        try:
            while (received := await anext(self._received, None)) is not None:
                made = await self._made(*received, round_, translation)
                if made is not None:
                    yield made
                    if made.is_last:
                        return
            raise UpstreamFault(faults.RESET, "the server ended its response without an answer")
        finally:
            if self._question is None:
                await self._end()

    def _translation(self, round_: CallRound) -> FromLegacy:
        return FromLegacy(
            self._sent.method,
            info=self._session.info,
            capabilities=self._sent.capabilities,
            token=round_.token,
            sent_token=self._sent.token,
            level=round_.level,
        )

    async def _made(
        self, text: bytes, message: dict[str, Any], round_: CallRound, translation: FromLegacy
    ) -> MadeMessage | None:
        if "method" in message:
            if "id" in message:
                return await self._asked(message, round_)
            told = translation.streamed(text, message)
            if told is None:
                self._session.changes.tell(message)  # perhaps of a change, for those that listen
            return MadeMessage(told) if told is not None else None
        if not self._is_response(message):
            return None
        self._is_answered = True
        text = with_id(text, message["id"], round_.reply_id)
        message["id"] = round_.reply_id
        text = translation.response(text, message)
        if "error" in message and self._lacking:
            message["error"] = capability_error(self._lacking)
            text = written(message)
        return MadeMessage(text, is_last=True, status=http_status(message))

    def _is_response(self, message: dict[str, Any]) -> bool:
        """Return whether a message answers the call.

        An error with an HTTP error status does so although it may lack the id: servers refuse some requests before they
        read it.
        """
        if self._response.status >= 400 and jsonrpc.is_error(message.get("error")):
            self._link.server.eras.note_answer(self._sent.method, self._response.status, message)
            message["id"] = self._sent.identifier
            return True
        return jsonrpc.is_response_to(message, self._sent.identifier)

    async def _asked(self, message: dict[str, Any], round_: CallRound) -> MadeMessage | None:
        """Return the result that asks the caller what the server asks.

        None where the gateway itself answers.
        """
        identifier = jsonrpc.id_of(message)
        if identifier is None:
            return None
        request = input_request(message, method=self._sent.method, capabilities=self._sent.capabilities)
        if request is None:
            lacking = lacking_capability(message, method=self._sent.method, capabilities=self._sent.capabilities)
            self._lacking += [lacking] if lacking else []
            await self._refuse(message)
            return None
        self._questions += 1
        question = _Question(f"input-{self._questions}", identifier, str(message["method"]))
        try:
            state = self._sent.park(self)
        except Refusal as refusal:
            return MadeMessage(strict_json.dumps(error_message(refusal, round_.reply_id)), is_last=True)
        self._question = question
        result = input_required_result(question.key, request, state=state, info=self._session.info)
        return MadeMessage(written({"jsonrpc": "2.0", "id": round_.reply_id, "result": result}), is_last=True)

    async def _refuse(self, message: dict[str, Any]) -> None:
        self._refused += 1
        if self._refused > _MOST_REFUSED:
            raise UpstreamFault(
                faults.INVALID, "the server asks too often in one call for what its caller cannot answer"
            )
        await self._tell(own_answer(message))

    async def _tell(self, message: dict[str, Any]) -> int:
        return await self._link.tell(message, self._session.at_server)

    # A parked call (Continuation):

    async def resume(self, payload: bytes) -> AsyncGenerator[bytes]:
        """Go on with the answer of the caller, and yield messages for :meth:`MadeMessage.unpacked`.

        Raises:
            UpstreamFault: the server failed.
            Refusal: the server has forgotten the session.
        """
        question, self._question = self._question, None
        try:
            answer = CallAnswer.read(payload)
            await self._answer(question, answer)
        except BaseException:
            await self._end()
            raise
        messages = self.messages(answer.round_)
        try:
            async for message in messages:
                yield message.packed()
        finally:
            await messages.aclose()

    async def _answer(self, question: _Question | None, answer: CallAnswer) -> None:
        """Send the server the response to its request.

        Raises:
            UpstreamFault: it cannot be sent.
            Refusal: the server has forgotten the session, or is not one of the config any more.
        """
        if question is None:
            raise AssertionError("a call is parked with a question")
        if self._link.server.is_retired:
            raise continuation_lost()
        if answer.authorization:
            self._link = self._link.with_credential_of(answer.authorization)
        given = answer.inputs.get(question.key)
        if await self._tell(server_response(question.identifier, given, asked=question.method)) == _GONE:
            raise continuation_lost()

    def abandon(self) -> None:
        """Cancel the call: its time is over."""
        self._question = None
        self._sessions.run(self._end())

    async def _end(self) -> None:
        """Release everything. A call that was not answered is cancelled at its server."""
        if not self._is_answered:  # first, as a server that is retired is closed once its responses are
            params = {"requestId": self._sent.identifier, "reason": "The caller has gone"}
            self._sessions.run(self._tell({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
        await self._received.aclose()
        self._response.close()
        self._sessions.release(self._session)
