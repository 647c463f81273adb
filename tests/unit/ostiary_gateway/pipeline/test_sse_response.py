"""No client can read anything in a stream that the gateway did not judge.

A test puts a list with a hidden name into a stream, mangles and cuts the stream, and reads it as different clients do:
by the specification, by splitting at blank lines, by taking the first of two keys. None may see the hidden name.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest
from byte_pieces import split_at
from gateways import BOUNDS
from hypothesis import given
from hypothesis import strategies as st
from visibilities import visibility_by_rules
from waiting import for_ever

from ostiary_core.mcp.methods import METHODS
from ostiary_core.mcp.protocol_revisions import Era
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.open_stream import OpenStream
from ostiary_gateway.pipeline.sse_response import EventRelay
from ostiary_gateway.sse_splitter import BlockSplitter
from ostiary_gateway.upstream.known_names import KnownNames

USERS = visibility_by_rules({"name": "users", "effect": "Allow", "tools": {"names": ["get_*"]}})
SECRET = "hidden_tool"
LISTED = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": SECRET}, {"name": "get_users"}]}}
NOTICE = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}


class Stub:
    """What of a request, a snapshot, a proxy and an answer the shaping of events reads."""

    def __init__(self) -> None:
        self.method = "POST"
        self.settings = self
        self.bounds = BOUNDS
        self.visibility = USERS
        self.policies: dict[str, Any] = {}
        self.identity = "default/stub"
        self.authenticator = None
        self.status = 200
        self.held_back = False
        self.server = self
        self.known = KnownNames()
        self.list_cache = None
        self.names = None
        self.routing = None
        self.retry = None

    def header(self, _: str) -> str | None:
        return None

    def hold_back(self) -> None:
        self.held_back = True


def relayed(chunks: list[bytes], *, as_get: bool) -> bytes:
    """What a caller gets of these chunks, up to the fault that ends them."""
    stub = cast("Any", Stub())
    message = None if as_get else Message(dict(LISTED), Era.LEGACY, "2025-11-25", METHODS["tools/list"], 1)
    exchange = Exchange(stub, stub, proxy=stub, message=message, request_id=None if as_get else 1)
    stream = OpenStream(cast("Any", stub), exchange, cast("Any", stub)) if as_get else None
    relay = EventRelay(
        exchange, Leg(stub, message, None), stub, stream=stream, seal=lambda *_: pytest.fail("no session")
    )
    splitter = BlockSplitter(limit=1 << 20)
    sent = b""
    for chunk in chunks:
        shaped, fault = relay._events._filtered(splitter.feed(chunk))
        sent += b"".join(shaped)
        if fault is not None:
            break
    return sent


def by_the_specification(stream: bytes) -> list[str]:
    """The data of the messages that an EventSource dispatches (HTML specification, Interpreting an event stream)."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found: list[str] = []
    data: list[str] = []
    kind = ""
    for line in text.split("\n")[:-1]:
        if not line:
            if data and kind in ("", "message"):
                found.append("\n".join(data))
            data, kind = [], ""
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            kind = value
    return found


def by_blank_lines(stream: bytes) -> list[str]:
    """As careless clients do: the data of events of any type, and any line that is no field as if it were a message."""
    text = stream.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    found = []
    for block in text.split("\n\n"):
        lines = block.split("\n")
        found.append("\n".join(line.strip()[5:] for line in lines if line.strip().startswith("data:")))
        found += [line for line in lines if not line.startswith(("data", "event", "id", "retry", ":"))]
    return found


def last_wins(text: str) -> Any:
    return json.loads(text)


def first_wins(text: str) -> Any:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(reversed(found))

    return json.loads(text, object_pairs_hook=pairs)


def names(text: str, parse: Callable[[str], Any]) -> list[Any]:
    """The names of the tools that a client would list from a message."""
    try:
        message = parse(text)
    except (ValueError, RecursionError):
        return []
    result = message.get("result") if isinstance(message, dict) else None
    tools = result.get("tools") if isinstance(result, dict) else None
    return [tool.get("name") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []


def assert_hidden(sent: bytes) -> None:
    for read in (by_the_specification, by_blank_lines):
        for text in read(sent):
            for parse in (last_wins, first_wins):
                assert SECRET not in names(text, parse), sent


ends = st.sampled_from(["\n", "\r\n", "\r"])
spellings: list[Callable[[Any], str]] = [
    json.dumps,
    lambda m: json.dumps(m, indent=1),
    lambda m: json.dumps(m)[:-1] + ', "result": {}}',
    lambda m: json.dumps(m).replace('"result"', '"result": {}, "result"'),
    lambda m: json.dumps(m).replace('"id": 1', '"id": 2, "id": 1'),
    lambda m: json.dumps(m).replace('"id": 1', '"id": 1, "id": 2'),
    lambda m: json.dumps(m).replace('"tools"', '"too\\u006cs"'),
    lambda m: json.dumps(m).replace('"name"', '"name": "get_x", "name"'),
    lambda m: json.dumps(m).replace("hidden", "\\u0068idden"),
    lambda m: json.dumps({**m, "method": "x"}),
    lambda m: json.dumps({**m, "error": {"code": 1, "message": ""}}),
    lambda m: json.dumps([m]),
    lambda m: json.dumps(m) * 2,
]
dumps = st.sampled_from(spellings)
prefixes = st.sampled_from(
    [
        "",
        "id: 1",
        "event: message",
        "event: ping",
        "event",
        ": note",
        "retry: 5",
        "data:",
        "data",
        "\ufeff",
        "x: y",
        "{",
    ]
)


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    end = draw(ends)
    text = draw(dumps)(draw(st.sampled_from([LISTED, LISTED, NOTICE])))
    label = draw(st.sampled_from(["data: ", "data:", "\ufeffdata: ", "", " data: ", "Data: "]))
    lines = [*draw(st.lists(prefixes, max_size=3)), *(label + line for line in text.split("\n"))]
    return (end.join(lines) + end + draw(ends)).encode()


@st.composite
def mangled(draw: st.DrawFn) -> list[bytes]:
    """A stream of such blocks, with bytes put in or taken out here and there, cut into chunks."""
    stream = bytearray(b"".join(draw(st.lists(blocks(), min_size=1, max_size=4))))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(stream)))
        stream[place : place + draw(st.integers(0, 3))] = draw(
            st.sampled_from(
                [b"", b"\n", b"\r", b"\r\n", b":", b" ", b"data: ", b"\x00", b"\xff", b'"', b"{", b"\xef\xbb\xbf"]
            )
        )
    return split_at(bytes(stream), draw(st.lists(st.integers(0, len(stream)), max_size=5)))


@given(mangled(), st.booleans())
def test_no_client_sees_a_hidden_name_however_the_stream_is_mangled(chunks: list[bytes], as_get: bool) -> None:
    assert_hidden(relayed(chunks, as_get=as_get))


@given(st.lists(st.binary(max_size=60), max_size=6), st.booleans())
def test_no_bytes_at_all_make_the_relay_fail_otherwise_than_with_a_fault(chunks: list[bytes], as_get: bool) -> None:
    with suppress(UpstreamFault):
        relayed(chunks, as_get=as_get)


@pytest.mark.parametrize("as_get", [True, False])
def test_the_clients_of_this_test_would_see_what_is_shown(as_get: bool) -> None:
    sent = relayed([b"data: " + json.dumps(LISTED).encode() + b"\n\n"], as_get=as_get)

    assert [names(text, last_wins) for text in by_the_specification(sent)] == [["get_users"]]
    assert ["get_users"] in [names(text, first_wins) for text in by_blank_lines(sent)]
    assert SECRET in names(json.dumps(LISTED), last_wins)


class Chunks(Stub):
    """A request for a stream, its connection, and an answer that is there whole: tiny events, then the end."""

    minor_version, response_headers, lost, stream = 1, None, False, None

    def __init__(self, chunks: int, *, stalled: bool = False) -> None:
        super().__init__()
        self.connection = self
        self.stalled_since = 1.0 if stalled else None
        self.chunks = [b"", *[b":\n\n" * 10_000] * chunks]
        self.written = b""

    def ready(self) -> bytes:
        return self.chunks.pop()

    def keeps_connection(self) -> bool:
        return True

    def write(self, data: bytes) -> None:
        self.written += data

    async def drained(self) -> None:
        await for_ever()


def relaying(stub: Chunks) -> "asyncio.Task[None]":
    """Relay the stub's answer to its request."""
    anything = cast("Any", stub)
    exchange = Exchange(anything, anything, proxy=anything)
    stream = OpenStream(anything, exchange, anything)
    relay = EventRelay(exchange, Leg(anything, None, None), anything, stream=stream, seal=lambda *_: "")
    return asyncio.create_task(relay.run(anything, anything, is_cut_off=lambda _: False, on_end=lambda *_: None))


async def test_a_chunk_of_many_tiny_events_lets_other_requests_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostiary_gateway.pipeline.leg_events.BLOCKS_AT_ONCE", 100)
    stub, turns = Chunks(1), 0
    task = relaying(stub)
    while not task.done():
        await asyncio.sleep(0)
        turns += 1

    assert stub.written.count(b":\n\n") == 10_000
    assert turns > 100


async def test_tiny_events_are_not_taken_on_while_the_caller_takes_none() -> None:
    stub = Chunks(50, stalled=True)
    task = relaying(stub)
    for _ in range(1000):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert len(stub.chunks) > 48
    assert stub.held_back, "what the caller does not read stays with its sender"
