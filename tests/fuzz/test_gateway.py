"""The whole gateway on real sockets: whatever bytes a client sends, only allowed requests reach the upstream."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from byte_pieces import split_at
from hypothesis import event, example, given
from hypothesis import strategies as st
from json_texts import read_strictly
from messages import bodies, headers, spelt
from recording_upstream import Received, RecordingUpstream, recording_upstream

from ostiary_core.mcp.methods import METHODS, AuthorizationKind

ALLOW = {"name": "read", "effect": "Allow", "tools": {"names": ["get_*"]}, "prompts": {"names": ["get_*"]}}
FORBIDDEN = {"authorization", "cookie", "origin", "transfer-encoding", "baggage", "x-forwarded-for", "expect", "te"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[RecordingUpstream]:
    with recording_upstream(ALLOW) as running:
        yield running


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request with some message in it, its HTTP as it should be."""
    body = draw(bodies())
    text = draw(spelt(body))
    lines = [f"{name}: {value}".encode("utf-8", "surrogateescape") for name, value in draw(headers(body)).items()]
    lines += draw(st.lists(st.sampled_from(_MORE), max_size=1))
    chunked = not draw(st.integers(0, 3))
    lines.append(b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(text))
    head = [
        b"POST /mock/mcp HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Content-Type: application/json",
        *draw(st.permutations(lines)),
    ]
    sent = (b"%x\r\n%s\r\n" % (len(text), text) if text else b"") + b"0\r\n\r\n" if chunked else text
    return b"\r\n".join([*head, b"", sent])


_MORE = [
    b"Authorization: Bearer secret",
    b"Cookie: a=b",
    b"Mcp-Param-X: 1",
    b"Mcp-Param-Content-Length: 3",
    b"TE: trailers",
]
_MORE += [
    b"X-Forwarded-For: 1.2.3.4",
    b"baggage: a=b",
    b"Expect: 100-continue",
    b"Connection: close",
    b"Mcp-Session-Id: x",
]
HIDDEN = b'{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"delete_users"}}'
SMUGGLED = (
    b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
    + HIDDEN
)
DISGUISED = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_users","Name":"delete_users"}}'
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_users"}}'
HEAD = b"POST /mock/mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
_INSERTS = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\x00",
    b" ",
    b"\t",
    b"0",
    b"\r\n folded",
    b"Transfer-Encoding: chunked\r\n",
    b"chunked, ",
]
_INSERTS += [
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length : 3\r\n",
    b"+",
    b"0\r\n\r\n",
    SMUGGLED,
    b"\x0b",
]
_INSERTS += [
    b"Host: other\r\n",
    b"Mcp-Name: get_x\r\n",
    b"X: " + b"y" * 9000 + b"\r\n",
    b"X: y\r\n" * 150,
    b"\xff",
    b";a=\n",
]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Such a request with bytes put in or taken out at places that matter, and perhaps a second one behind it."""
    raw = bytearray(draw(requests()))
    seams = [0, len(raw)] + [found.start() for found in re.finditer(rb"\r\n|: | ", bytes(raw[:1000]))]
    for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
        place = draw(st.sampled_from(seams) | st.integers(0, len(raw)))
        raw[place : place + draw(st.sampled_from([0, 0, 0, 1, 2]))] = draw(st.sampled_from(_INSERTS))
    return bytes(raw) + draw(st.sampled_from([b"", b"", SMUGGLED]))


def readings(members: dict[str, Any], key: str) -> set[Any]:
    """What readers of any kind take for a member: to the letter, or whatever its case."""
    return {json.dumps(value) for name, value in members.items() if name.casefold() == key.casefold()}


def assert_allowed(received: Received) -> None:
    assert received.line == b"POST /mcp HTTP/1.1"
    names = [name.lower() for name, _ in received.headers]
    assert not FORBIDDEN & set(names)
    assert len(names) == len(set(names))
    message = read_strictly(received.body)
    assert isinstance(message, dict)
    assert received.all("mcp-session-id") == []
    method = METHODS[message["method"]]
    assert readings(message, "method") == {json.dumps(method.name)}
    assert received.all("mcp-method") in ([], [method.name])
    if method.authorization is AuthorizationKind.NAME:
        names_read = readings(message["params"], method.name_key)
        assert len(names_read) == 1
        assert json.loads(names_read.pop()).startswith("get_")
        assert method.name in ("tools/call", "prompts/get")


@given(st.one_of(requests(), mutants(), mutants(), st.binary(max_size=80)), st.lists(st.integers(0, 900), max_size=3))
@example(HEAD + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, [])
@example(HEAD + b"Content-Length: %d\r\n\r\n" % len(DISGUISED) + DISGUISED, [])
@example(HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, [])
@example(HEAD + b"Content-Length: %d\r\nContent-Length: 0\r\n\r\n" % len(CALL + SMUGGLED) + CALL + SMUGGLED, [])
@example(HEAD + b"Transfer-Encoding: chunked\t\r\nContent-Length: 0\r\n\r\n" + SMUGGLED, [])
@example(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x;\n\r\n" % len(CALL) + CALL + b"\r\n0\r\n\r\n" + SMUGGLED, [])
def test_nothing_reaches_the_upstream_but_what_the_policy_allows(
    gateway: RecordingUpstream, raw: bytes, places: list[int]
) -> None:
    said, received = gateway.send(split_at(raw, places))

    event(f"{len(received)} received")
    for each in received:
        assert_allowed(each)
    assert gateway.broken == []
    statuses = re.findall(rb"(?:\A|[}\n])HTTP/1\.[01] ([0-9]{3}) ", said)
    event(f"answered {statuses[0].decode() if statuses else 'nothing'}")
    assert b"500" not in statuses


def test_what_is_allowed_does_reach_it(gateway: RecordingUpstream) -> None:
    said, received = gateway.send([HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(CALL) + CALL])

    assert said.startswith(b"HTTP/1.1 200 OK")
    assert [read_strictly(each.body)["params"]["name"] for each in received] == ["get_users"]
