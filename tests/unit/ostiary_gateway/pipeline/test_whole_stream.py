"""A stream that came whole is relayed at once, with the same bytes and the same record.

Each stream is relayed in both ways, by the relay that reads events as they come and by the one of whole streams.
"""

import asyncio
import json
from typing import Any, cast

import pytest
from gateways import BOUNDS
from hypothesis import example, given
from hypothesis import strategies as st
from visibilities import visibility_by_rules

from ostiary_core.mcp.methods import METHODS
from ostiary_core.mcp.protocol_revisions import Era
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.list_cache import LISTS
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.sse_response import EventRelay
from ostiary_gateway.pipeline.whole_stream import WholeStreamRelay, whole_events
from ostiary_gateway.server.request import Request
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.known_names import KnownNames

USERS = visibility_by_rules({"name": "users", "effect": "Allow", "tools": {"names": ["get_*"]}})
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
LISTED = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"hidden_tool"},{"name":"get_users"}]}}'
ERROR = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}'
NOTICE = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}'
FOREIGN = b'{"jsonrpc":"2.0","id":2,"result":{}}'
DATA = [RESULT, LISTED, ERROR, NOTICE, FOREIGN, b"{", b"[]", b'{"id":1}', b"", b"\xff", b'{"jsonrpc":"2.0","id":1}']

fields = st.sampled_from(
    [b"", b"event: message", b"event: ping", b"id: 7", b"id: a\0b", b"retry: 10", b": said", b"x: y"]
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def events(draw: st.DrawFn) -> bytes:
    end = draw(ends)
    lines = [each for each in draw(st.lists(fields, max_size=2)) if each]
    lines += [b"data: " + each for each in draw(st.lists(st.sampled_from(DATA), max_size=2))]
    return end.join([*lines, b"", b""])


streams = st.lists(events() | st.sampled_from([b"\n", b"data: cut", b"\xef\xbb\xbf"]), max_size=4).map(b"".join)


class Caller:
    """The connection of a caller, and what of a proxy and a server the shaping of events reads."""

    def __init__(self, *, is_gone: bool = False) -> None:
        self.lost = is_gone
        self.sent = b""
        self.stalled_since = None
        self.stream = None
        self.is_draining = False
        self.settings = self.server = self
        self.bounds = BOUNDS
        self.visibility = USERS
        self.policies: dict[str, Any] = {}
        self.identity = "default/stub"
        self.authenticator = self.list_cache = self.names = self.routing = self.retry = self.limits = None
        self.known = KnownNames()
        self.idle_seconds = 10.0

    def write(self, data: bytes) -> None:
        self.sent += data

    def as_seen(self, fault: Any) -> Any:
        return fault

    def close(self) -> None:
        pass

    pause = resume = close


def exchange_of(caller: Caller, method: str) -> tuple[Exchange, Leg]:
    body = {"jsonrpc": "2.0", "id": 1, "method": method}
    message = Message(body, Era.LEGACY, "2025-11-25", METHODS[method], 1)
    request = Request(
        cast("Any", caller),
        method="POST",
        target="/mcp",
        headers={},
        repeated=frozenset(),
        minor_version=1,
        keep_alive=True,
    )
    stub = cast("Any", caller)
    return Exchange(request, stub, proxy=stub, message=message, request_id=1), Leg(stub, message, None)


def response_with(text: bytes, caller: Caller) -> UpstreamResponse:
    response = UpstreamResponse(200, {b"content-type": b"text/event-stream"}, cast("Any", caller))
    response.feed(text)
    response.finish()
    return response


Relayed = tuple[bytes, ResponseSummary | None, tuple[str, str] | None]


def told(caller: Caller, relay: EventRelay | WholeStreamRelay) -> Relayed:
    """What the caller got, but for the time in its head, and how it ended."""
    head, found, body = caller.sent.partition(b"\r\n\r\n")
    head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"Date:"))
    fault = relay.fault
    return head + found + body, relay.outcome, None if fault is None else (fault.kind, fault.message)


def as_it_comes(text: bytes, method: str, caller: Caller) -> Relayed:
    LISTS._memos.clear()
    exchange, leg = exchange_of(caller, method)
    relay = EventRelay(exchange, leg, response_with(text, caller), stream=None, seal=lambda *_: pytest.fail("session"))
    span = cast("Any", None)
    asyncio.run(relay.run(span, span, is_cut_off=lambda _: False, on_end=lambda *_: None))
    return told(caller, relay)


def at_once(text: bytes, method: str, caller: Caller) -> Relayed | None:
    LISTS._memos.clear()
    exchange, leg = exchange_of(caller, method)
    response = response_with(text, caller)
    found = whole_events(exchange, leg, response)
    if found is None:
        assert response.ready() == text, "nothing was taken"
        return None
    relay = WholeStreamRelay(exchange, leg, response, events=found, seal=lambda *_: pytest.fail("session"))
    relay.run()
    return told(caller, relay)


@given(streams, st.sampled_from(["tools/call", "tools/list", "ping"]))
@example(b"event: message\ndata: " + RESULT + b"\n\n", "tools/call")
@example(b"event: message\ndata: " + LISTED + b"\n\n", "tools/list")
@example(b"data: " + NOTICE + b"\n\ndata: " + RESULT + b"\n\n", "tools/call")
@example(b"id: 7\ndata: \n\n", "tools/call")
@example(b"data: " + FOREIGN + b"\n\n", "tools/call")
@example(b"data: " + RESULT + b"\n\ndata: [\n\n", "tools/call")
@example(b"data: [\n\ndata: " + RESULT + b"\n\n", "tools/call")
@example(b"d", "tools/call")
def test_a_whole_stream_gives_the_same_bytes_and_the_same_record_as_one_that_is_read_as_it_comes(
    text: bytes, method: str
) -> None:
    found = at_once(text, method, Caller())

    assert found is None or found == as_it_comes(text, method, Caller())


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("before", [b"", b"id: 1%bdata: %b%b"])
def test_a_response_in_one_event_or_after_a_priming_event_is_relayed_at_once(end: bytes, before: bytes) -> None:
    priming = before % (end, end, end) if before else b""
    text = priming + b"event: message" + end + b"data: " + RESULT + end + end

    found = at_once(text, "tools/call", Caller())

    assert found is not None
    assert (found[1], found[2]) == (ResponseSummary(), None)
    assert RESULT in found[0]
    assert found[0].endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "text",
    [
        b"data: " + RESULT + b"\n",
        b"data: " + RESULT,
        RESULT,
        b"data: " + json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"text": "x" * 9000}}).encode() + b"\n\n",
        b"data: {}\n\n" * 17,
    ],
    ids=["cut before its end", "cut in its event", "JSON", "large", "many events"],
)
def test_another_stream_is_left_to_the_relay_that_reads_it_as_it_comes(text: bytes) -> None:
    assert at_once(text, "tools/call", Caller()) is None


def test_a_stream_that_has_not_ended_is_left_to_it_too() -> None:
    caller = Caller()
    exchange, leg = exchange_of(caller, "tools/call")
    response = UpstreamResponse(200, {b"content-type": b"text/event-stream"}, cast("Any", caller))
    response.feed(b"data: " + RESULT + b"\n\n")

    assert whole_events(exchange, leg, response) is None


def test_an_event_above_the_bound_of_messages_is_left_to_it_too() -> None:
    caller = Caller()
    caller.bounds = BOUNDS.model_copy(update={"message_bytes": 20})
    exchange, leg = exchange_of(caller, "tools/call")

    assert whole_events(exchange, leg, response_with(b"data: " + RESULT + b"\n\n", caller)) is None


def test_a_call_whose_caller_has_gone_is_recorded_as_answered() -> None:
    caller = Caller(is_gone=True)

    found = at_once(b"data: " + RESULT + b"\n\n", "tools/call", caller)

    assert found is not None
    assert (found[0], found[1]) == (b"", ResponseSummary())
