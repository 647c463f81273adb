"""Ask a legacy client what a modern server needs to know.

It is asked on the stream of its own request. The client answers by a request of its own, which any replica may get: the
id of each question is sealed, and says where its answer is awaited (:mod:`ostiary_gateway.pipeline.continuations`).
"""

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.upstream_faults import INVALID
from ostiary_gateway import sse
from ostiary_gateway.bridge.client_input import (
    ROUND_SECONDS,
    InputRefusedError,
    InputRequired,
    client_requests,
    input_response,
)
from ostiary_gateway.bridge.to_modern import LegacyClient
from ostiary_gateway.errors import CallerGone, UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM_HEADERS
from ostiary_gateway.pipeline import debug_recording
from ostiary_gateway.pipeline.bridged.bridged_session import answer_owner
from ostiary_gateway.pipeline.content.shape_content import rules_of_response, shape_own_message
from ostiary_gateway.pipeline.continuations.awaited_answer import AwaitedAnswer
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.pipeline.sse_transport import DownstreamWriter

#: After this many seconds of silence a comment is sent into the stream.
_KEEP_ALIVE_SECONDS: Final = 15.0


class ClientQuestions:
    """Asks the caller of one exchange.

    It is asked on the stream of the leg, which begins now if it has not.
    """

    def __init__(self, exchange: Exchange, leg: Leg, services: PipelineServices, client: LegacyClient) -> None:
        self._exchange = exchange
        self._leg = leg
        self._services = services
        self._client = client

    async def ask(self, asked: InputRequired) -> dict[str, Mapping[str, Any]]:
        """Ask the client everything at once, and return its answers by the server's keys.

        Raises:
            InputRefusedError: it cannot be asked this, refused, or did not answer in time.
            UpstreamFault: what the server asks cannot be written.
            CallerGone: the client has disconnected.
            Refusal: a question must not reach it.
        """
        session = self._exchange.session
        if session is None:
            raise InputRefusedError("a client without a session cannot be asked")
        requests = client_requests(
            asked, capabilities=self._client.capabilities, revision=session.revision, new_id=lambda: str(uuid.uuid4())
        )
        rules = rules_of_response(self._exchange, self._leg)
        for key, request in requests.items() if rules is not None else ():
            question = strict_json.loads(strict_json.dumps(request))
            requests[key] = await shape_own_message(self._exchange, rules, question)
        with ExitStack() as stack:
            owner = answer_owner(self._exchange)
            waiting = {
                key: stack.enter_context(self._services.continuations.wait(owner=owner, seconds=ROUND_SECONDS))
                for key in requests
            }
            for key, request in requests.items():
                self._send({"id": waiting[key].id, **request})
            # What a client that has gone would answer has no way back to it: there is no other stream of this call.
            self._exchange.request.bind_to_caller()
            try:
                return await self._answers(requests, waiting)
            finally:
                self._exchange.request.release_from_caller()

    async def _answers(
        self, requests: Mapping[str, Mapping[str, Any]], waiting: Mapping[str, AwaitedAnswer]
    ) -> dict[str, Mapping[str, Any]]:
        tasks = {key: asyncio.ensure_future(each.payload()) for key, each in waiting.items()}
        try:
            pending = set(tasks.values())
            while pending:
                await self._flush()
                done, pending = await asyncio.wait(
                    pending, timeout=_KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    self._stream.write(sse.KEEP_ALIVE)
                for key in [key for key, task in tasks.items() if task in done]:
                    _answer(requests[key]["method"], tasks[key])
        except (InputRefusedError, CallerGone, asyncio.CancelledError):
            self._withdraw([waiting[key].id for key, task in tasks.items() if not task.done()])
            raise
        finally:
            for task in tasks.values():
                task.cancel()
        return {key: _answer(requests[key]["method"], task) for key, task in tasks.items()}

    def _withdraw(self, identifiers: list[str]) -> None:
        """Tell the client that some questions need no answer any more."""
        for identifier in identifiers:
            self._send({"method": "notifications/cancelled", "params": {"requestId": identifier}})

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            text = strict_json.dumps({"jsonrpc": "2.0", **message})
        except StrictJSONError as error:
            raise UpstreamFault(INVALID, f"what the server asks cannot be sent on: {error}") from None
        if self._exchange.debug is not None:
            debug_recording.sent(self._exchange, self._exchange.debug, text)
        self._stream.write(sse.event(text))

    @property
    def _stream(self) -> DownstreamWriter:
        if self._leg.downstream is None:
            self._leg.downstream = DownstreamWriter(self._exchange.request, EVENT_STREAM_HEADERS)
        return self._leg.downstream

    async def _flush(self) -> None:
        await self._stream.flush()
        if self._stream.gone:
            raise CallerGone("the client disconnected while it was asked")


def _answer(method: str, task: "asyncio.Future[bytes]") -> Mapping[str, Any]:
    """Return the answer to one question.

    Raises:
        InputRefusedError: there is none.
    """
    try:
        payload = task.result()
    except TimeoutError:
        raise InputRefusedError(f"the client did not answer {method} in time") from None
    return input_response(method, strict_json.loads(payload))
