"""The answer on its way back as a stream of events, each as it comes and as the caller may see it.

Nothing of a stream is held back but the event that is arriving. A caller who goes away cancels his request in the
modern era (the server detects that and cancels us); in the legacy era the upstream's work goes on and is read to its
end, because there a lost connection is not a cancellation.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from time import monotonic
from typing import Any, Final

from ostiary_core import json_weight, strict_json
from ostiary_core.mcp.methods import AuthorizationKind, Method
from ostiary_core.mcp.revisions import LEGACY
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway import sse
from ostiary_gateway.background import uncancel
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.line import answers, mirrored, spoken
from ostiary_gateway.line.answers import ResponseSummary
from ostiary_gateway.line.declared import with_list_changed
from ostiary_gateway.line.document import SealSession, opens_session, session_header, with_own_id
from ostiary_gateway.line.dropped import DROPPED
from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.line.large import (
    LARGE_MESSAGES,
    LIGHT_ANSWER_BYTES,
    LIGHT_BYTES,
    UNJUDGED,
    Steps,
    at_once,
    check_weight,
    in_slices,
    limit_of,
)
from ostiary_gateway.line.limit import reserve_response_bytes
from ostiary_gateway.line.list_memo import LISTS, ListResponse
from ostiary_gateway.line.list_notices import ACKNOWLEDGED
from ostiary_gateway.line.offered import OFFERED
from ostiary_gateway.line.own_ids import with_original_ids
from ostiary_gateway.line.reader import Reader
from ostiary_gateway.line.refusals import error_message
from ostiary_gateway.line.shape import Shaped, must_filter, reading_for, shaping, shaping_streamed, shows_everything
from ostiary_gateway.line.streams import OpenStream, listen_ended
from ostiary_gateway.media_types import EVENT_STREAM_HEADERS
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.answer import UpstreamResponse

#: A comment is sent into a stream that is silent for so long, in seconds.
KEEP_ALIVE_SECONDS: Final = 15.0
#: After the answer a server should end its stream, and has so long for it, in seconds.
AFTERMATH_SECONDS: Final = 1.0

#: So many events of one chunk are shaped before others have their turn.
BLOCKS_AT_ONCE: Final = 256
#: An event of more lines takes its turn among the large ones.
_FEW_LINES: Final = 256

_LIST: Final = AuthorizationKind.LIST
_LIFECYCLE: Final = AuthorizationKind.ALWAYS


class EventRelay:
    """Relays one event stream. ``stream`` is set where it stays open and is judged again (a GET, a listen). ``ending``
    says whether the gateway's time is over, if the relay is cancelled.

    Afterwards ``outcome`` says how the request was answered, None if it was not, and ``fault`` what the upstream did
    wrong after the stream had begun.
    """

    def __init__(
        self,
        exchange: Exchange,
        answer: UpstreamResponse,
        *,
        stream: OpenStream | None,
        seal: SealSession,
        ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self.outcome: ResponseSummary | None = None
        self.fault: UpstreamFault | None = None
        self._exchange = exchange
        self._upstream = answer
        self._stream = stream
        self._seal = seal
        self._ending = ending
        self._limit = exchange.snapshot.settings.bounds.message_bytes
        self._splitter = sse.BlockSplitter(limit=self._limit)
        self._caller = Reader(exchange.request, EVENT_STREAM_HEADERS, stalled=answer.hold_back)
        if stream is not None:
            stream.notices.ready = self._tell
        self._resumable = False
        self._foreign_answers = 0
        self._is_document: bool | None = None
        self._answered_at = 0.0
        self._weight = limit_of(exchange.snapshot.settings.bounds)
        #: An event that is to be shaped when its turn comes, before what follows it.
        self._large: bytes | None = None
        #: What waits for the session's header.
        self._back = b""
        self._held = 0

    async def run(self) -> None:
        """Relay until the upstream ends.

        Raises:
            UpstreamFault: the upstream failed before anything was sent to the caller.
        """
        try:
            await self._relay()
            self._say_ended()
        except UpstreamFault as fault:
            if not self._caller.begun:
                raise
            self.fault = fault
            self._say_broken(fault)
        except asyncio.CancelledError:
            if not self._caller.begun or not self._ending():
                raise
            uncancel()
            self._say_cut_off()
        if self._stream is not None:
            self._stream.notices.close()  # nothing may follow the end
        self._caller.end()
        await self._flush()

    async def _relay(self) -> None:
        if not opens_session(self._exchange):
            self._caller.begin()
        # Empty is the end, and known without waiting: then answer and end go out in one piece.
        while chunk := await self._next_chunk() if (ready := self._upstream.ready()) is None else ready:
            await self._pass_all(self._blocks(chunk))
            if self._answered and self._aftermath_is_over():
                break
        if self._is_document and not self._splitter.between_blocks:
            await self._pass_all(iter((sse.event(self._splitter.rest()),)))
        if not self._caller.begun:
            raise UpstreamFault(faults.RESET, "the stream ended without the answer")

    async def _pass_all(self, blocks: Iterator[bytes]) -> None:
        """Shape and send what a chunk has completed."""
        while self._pass_on(blocks) and not self._is_over:
            # A chunk of nothing but tiny events takes long, and others wait. Meanwhile more comes, so there must be
            # a flush: else nobody would ever wait for the caller.
            await self._flush()
            if self._large is None:
                await asyncio.sleep(0)
            else:
                await self._pass_on_large(self._large)

    async def _pass_on_large(self, block: bytes) -> None:
        """Shape an event in slices, when its turn comes."""
        self._large = None
        async with LARGE_MESSAGES.turn(self._exchange.proxy.uid):
            if self._stream is not None:
                self._stream.settle()  # the policy may have changed while it waited
            if self._is_over:
                return
            shaped = await in_slices(self._shaping(block))
        self._send_on(shaped)

    def _pass_on(self, blocks: Iterator[bytes]) -> bool:
        """Shape and send a number of blocks; return whether there may be more."""
        if self._stream is not None:
            self._stream.settle()
            if self._stream.ended:
                return False
        shaped, fault = self._shaped_all(islice(blocks, BLOCKS_AT_ONCE))
        self._send_on(b"".join(shaped))
        if fault is not None:
            raise fault
        if len(shaped) == BLOCKS_AT_ONCE or self._large is not None:
            return True
        self._account()
        self._tell()
        return False

    def _send_on(self, shaped: bytes) -> None:
        self._back += shaped
        # An answer to initialize is held until its revision is known: the session header stands before it.
        if self._caller.begun or self._answered:
            self._caller.write(self._back)
            self._back = b""
        elif len(self._back) > self._limit:
            raise UpstreamFault(
                faults.TOO_LARGE, f"more than {self._limit} bytes came before the answer (bounds.messageBytes)"
            )

    @property
    def _is_over(self) -> bool:
        """Whether the stream was ended by us."""
        return self._stream is not None and self._stream.ended

    def _account(self) -> None:
        """Count what is held: an event that is not whole, what waits for the session's header or for the caller."""
        size = self._splitter.pending + len(self._back) + self._caller.untaken
        if size != self._held:
            reserve_response_bytes(self._exchange.reservation, size - self._held)
            self._held = size

    def _blocks(self, chunk: bytes) -> Iterator[bytes]:
        """Return the blocks that a chunk completes. JSON that is only labelled as events becomes one."""
        if self._is_document is None and (start := chunk.lstrip()):
            self._is_document = start.startswith(b"{")
        if self._is_document:
            # The splitter must not see the blank lines of a document, so it gets none.
            chunk = chunk.replace(b"\r", b" ").replace(b"\n", b" ")
        return self._split(chunk)

    def _split(self, chunk: bytes) -> Iterator[bytes]:
        try:
            yield from self._splitter.feed(chunk)
        except sse.BlockTooLargeError as error:
            raise UpstreamFault(faults.TOO_LARGE, f"{error} (bounds.messageBytes)") from error

    async def _next_chunk(self) -> bytes:
        """Wait for what comes; empty at the end. Silence is filled with comments for as long as it may last."""
        since = self._answered_at or monotonic()
        while True:
            await self._flush()
            if self._caller.is_given_up:
                raise UpstreamFault(faults.TIMEOUT, "the server did not end although its caller has gone")
            left = self._patience(since=monotonic() - since)
            try:
                return await self._upstream.read_some(min(left, KEEP_ALIVE_SECONDS))
            except TimeoutError as error:
                if left > KEEP_ALIVE_SECONDS:
                    self._keep_alive()
                elif self._answered:
                    return b""
                else:
                    raise faults.idle_timeout() from error
            except UpstreamFault:
                if self._answered or self._is_over:
                    return b""
                raise

    def _patience(self, *, since: float) -> float:
        """Return how many seconds the upstream may still be silent."""
        if self._answered:
            return max(0.0, AFTERMATH_SECONDS - since)
        return float("inf") if self._stream is not None else max(0.0, self._exchange.selected.idle_seconds - since)

    @property
    def _answered(self) -> bool:
        return self.outcome is not None

    def _aftermath_is_over(self) -> bool:
        """Say whether a server that goes on after its answer has had its time."""
        now = monotonic()
        self._answered_at = self._answered_at or now
        return now - self._answered_at >= AFTERMATH_SECONDS

    def _tell(self) -> None:
        """Put our own notices between two events, as soon as the stream stands there."""
        stream = self._stream
        if stream is None or self._answered or not self._caller.begun:
            return
        stream.settle()
        if stream.ended:
            return
        if self._splitter.between_blocks and (notices := stream.notices.take()):
            self._caller.write(notices)
            self._caller.push()

    def _keep_alive(self) -> None:
        if self._caller.begun and self._splitter.between_blocks:
            self._caller.write(sse.KEEP_ALIVE)

    def _shaped_all(self, blocks: Iterator[bytes]) -> tuple[list[bytes], UpstreamFault | None]:
        """Shape blocks up to the first that cannot be, or not now: what came before it is still to be sent."""
        shaped: list[bytes] = []
        try:
            for block in blocks:
                if len(block) > LIGHT_BYTES and not _is_light(block):
                    self._large = block
                    break
                shaped.append(at_once(self._shaping(block)))
        except UpstreamFault as fault:
            return shaped, fault
        return shaped, None

    def _shaping(self, block: bytes) -> Steps[bytes]:
        """Return a block as the caller may see it; empty drops it."""
        if len(block) > LIGHT_BYTES:
            self._check_lines(block)
            yield
        event = sse.read(block)
        block, data = event.block, event.data
        self._note_resumability(event)
        if data is None:
            return block
        if not event.is_message and sse.is_endpoint(block):
            return self._without_endpoint()
        known = self._recalled(data)
        if known is not None and event.is_message:
            self.outcome = known.outcome
            return block if known.body is data else sse.with_data(block, known.body)
        try:
            message = answers.read(data) if len(data) <= LIGHT_BYTES else (yield from self._reading(data))
        except UpstreamFault:
            if event.is_message:
                raise
            # An event of another kind, a ping: nobody reads it, and what a careless client might does not pass.
            return sse.KEEP_ALIVE if b"{" in data else block
        shaped = yield from self._shaping_message(event, data, message)
        if shaped is None:
            return b""
        return block if shaped is data else sse.with_data(block, shaped)

    def _reading(self, data: bytes) -> Steps[dict[str, Any]]:
        yield from check_weight(data, self._weight if self._judges else self._weight * UNJUDGED)
        return (yield from answers.reading(data))

    @property
    def _judges(self) -> bool:
        """Whether the answer is one that a rule must see."""
        request = self._exchange.message
        return request is not None and must_filter(request.method, self._visibility)

    def _check_lines(self, block: bytes) -> None:
        most = self._weight // json_weight.UNIT
        if _line_ends(block) > most:
            raise UpstreamFault(faults.TOO_LARGE, f"an event has more than {most} lines (bounds.messageValues)")

    def _without_endpoint(self) -> bytes:
        """An address of the server is none of its callers', and what they post there would pass the gateway by.

        Raises:
            UpstreamFault: the server speaks that old transport alone: whoever opened the stream would wait in vain.
        """
        if self._exchange.message is None and self._exchange.session is None:
            raise UpstreamFault(faults.INVALID, "the server speaks HTTP+SSE (2024-11-05), which is not supported")
        return b""

    def _recalled(self, data: bytes) -> ListResponse | None:
        """Return what became of this answer, if it was judged before and is the first to our request."""
        request = self._exchange.message
        if self._answered or request is None:
            return None
        exchange = self._exchange
        return LISTS.recall(request.method, data, self._visibility, exchange.request_id, sent_id=exchange.sent_id)

    def _note_resumability(self, event: sse.Event) -> None:
        """A stream whose events have ids can be resumed elsewhere; the newest revision does not know that any more."""
        message = self._exchange.message
        if event.id and message is not None and message.era is LEGACY:
            self._resumable = self._resumable or b"\0" not in event.id  # with NUL it is none to clients

    def _shaping_message(self, event: sse.Event, data: bytes, message: dict[str, Any]) -> Steps[bytes | None]:
        # In an event of another kind clients see no answer; what a careless one might take for it is shaped too.
        if self._exchange.awaits_answer and answers.is_answer(message) and event.is_message:
            return (yield from self._shaping_answer(data, message))
        if self._stream is not None and message.get("method") == ACKNOWLEDGED:
            data = self._stream.notices.acknowledged(data, message, self._visibility)
        try:
            if self._exchange.session is not None:
                data = with_original_ids(data, message, answers_too=not self._exchange.awaits_answer)
            visibility = self._visibility
            if shows_everything(visibility):
                return data
            shaped = yield from shaping_streamed(data, message, visibility, limit=self._weight)
        except UpstreamFault as fault:
            if "method" in message and "id" not in message:
                return None  # a notice that cannot be judged is not passed on, and nobody waits for it
            if self._exchange.awaits_answer or not answers.is_answer(message):
                raise
            # Somebody waits for this one, and others for what comes behind it.
            return strict_json.dumps(error_message(faults.refusal(fault), answers.id_of(message)))
        if shaped is None:
            return None
        if shaped.dropped:
            DROPPED.note(self._exchange.proxy.identity, shaped.dropped)
        return shaped.body

    def _shaping_answer(self, data: bytes, message: dict[str, Any]) -> Steps[bytes | None]:
        """One request has one answer, whatever a server sends: its own, and the first."""
        request = self._exchange.message
        if not answers.answers(message, self._exchange.upstream_id):
            self._foreign_answers += 1
            return None
        if self._answered:
            return None
        if answers.needs_own_id(message, self._exchange.request_id):
            data = with_own_id(self._exchange, data, message)
        method = request.method if request is not None else None
        if method is None or method.authorization is not _LIST:
            return self._answer(method, data, message)
        return (yield from self._shaping_list(method, data, message))

    def _answer(self, method: Method | None, data: bytes, message: dict[str, Any]) -> bytes:
        """Return an answer that is no list: no rule takes anything away from it."""
        headers: Mapping[str, str] = {}
        if method is None or method.authorization is _LIFECYCLE or "error" in message:
            spoken.learn(self._exchange, message)
            headers = session_header(self._exchange, self._upstream, message, self._seal)
            data = with_list_changed(self._exchange, data, message, in_session=bool(headers))
        if self._exchange.captured is not None:
            self._exchange.captured.take(message)
        self.outcome = answers.outcome(message)
        if headers:
            self._caller.add_headers(headers)
        return data

    def _shaping_list(self, method: Method, data: bytes, message: dict[str, Any]) -> Steps[bytes]:
        """Return a list as the caller may see it."""
        visibility = self._visibility  # one for all steps: it may be another one after any of them
        reading = None
        if must_filter(method, visibility):
            reading = yield from reading_for(method, data, visibility, limit=self._weight)
        spoken.learn(self._exchange, message)
        teaches = mirrored.learn(self._exchange.server, method, data, message)
        OFFERED.learn(self._exchange, method, message)
        if len(data) > LIGHT_BYTES:
            yield
        shaped = (yield from shaping(method, data, reading, visibility)) if reading is not None else Shaped(data)
        if shaped.dropped:
            DROPPED.note(self._exchange.proxy.identity, shaped.dropped)
        shown = ListResponse(shaped.body, answers.outcome(message, dropped=len(shaped.dropped)))
        if len(data) > LIGHT_BYTES:
            yield
        if not teaches:
            LISTS.keep(method, data, shown, visibility, self._exchange.request_id)
        self.outcome = shown.outcome
        return shown.body

    @property
    def _visibility(self) -> Visibility:
        return (self._stream.proxy if self._stream is not None else self._exchange.proxy).visibility

    def _say_ended(self) -> None:
        """A stream that ended without the answer: ours to end (a listen), or broken off by the upstream."""
        if self._answered or not self._exchange.awaits_answer:
            return
        if self._is_over:
            self._caller.write(sse.event(strict_json.dumps(listen_ended(self._exchange.request_id))))
            self.outcome = ResponseSummary()
        elif self._foreign_answers:
            raise UpstreamFault(faults.INVALID, "the stream held answers to other requests only")
        elif not self._resumable:
            raise UpstreamFault(faults.RESET, "the stream ended without the answer")

    def _say_broken(self, fault: UpstreamFault) -> None:
        """Tell a caller who waits for an answer that there will be none, unless he can resume the stream."""
        if self._answered or not self._exchange.awaits_answer or (self._resumable and fault.kind == faults.RESET):
            return
        refusal = faults.refusal(fault)
        self.outcome = ResponseSummary(refusal.code, refusal.message)
        self._caller.write(sse.event(strict_json.dumps(error_message(refusal, self._exchange.request_id))))

    def _say_cut_off(self) -> None:
        """End a stream because the gateway does. A call that can be resumed is: the next replica is asked for it."""
        if self._exchange.awaits_answer and not self._answered and not self._resumable:
            self.fault = faults.drain_expired()
            self._say_broken(self.fault)

    async def _flush(self) -> None:
        """Send what was written. Once the caller is gone the upstream is only read to its end, see above."""
        untaken = self._caller.untaken
        await self._caller.flush()
        if untaken:
            self._account()


def _is_light(block: bytes) -> bool:
    """Say whether an event can be shaped at once: with so many bytes, and so many lines."""
    return len(block) <= LIGHT_ANSWER_BYTES and _line_ends(block) <= _FEW_LINES


def _line_ends(block: bytes) -> int:
    return block.count(b"\n") + block.count(b"\r")
