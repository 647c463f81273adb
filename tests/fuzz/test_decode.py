"""Decoding: the judged message is the one that is sent; what cannot be decoded is refused as specified."""

import base64
import json
import re
from typing import Any

from hypothesis import event, example, given
from hypothesis import strategies as st
from json_texts import identical, mangled, read_strictly
from mcp_caller import LEGACY, MODERN
from messages import VERSION_KEY, bodies, encoded, headers, names, spelt
from multidict import CIMultiDict

from ostiary_core.mcp.methods import METHODS, AuthorizationKind
from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS, NEWEST_LEGACY_REVISION, Era
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.decode import decode, parse, request_id
from ostiary_gateway.pipeline.forward import upstream_body
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.refusal_responses import response_for
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import Telemetry

SESSION = UpstreamSession("upstream", LEGACY)
#: HTTP status and JSON-RPC code of every defect that makes a message invalid (specification, Base Protocol).
SPECIFIED = {
    (400, -32700),
    (400, -32600),
    (400, -32602),
    (200, -32602),
    (400, -32601),
    (404, -32601),
    (200, -32601),
    (400, -32020),
    (400, -32022),
}
#: What we may write into ``_meta`` in place of the caller's.
TRACE = ("traceparent", "tracestate", "baggage")
PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
VALID_PARENT = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]")


def decode_result(body: bytes, given_headers: dict[str, str], session: UpstreamSession | None) -> Message | Refusal:
    try:
        return decode(parse(body), CIMultiDict(given_headers), lambda: session)
    except Refusal as refusal:
        return refusal


def sent(message: Message) -> Any:
    """What an upstream reads of what it is sent."""
    telemetry = Telemetry.disabled()
    server = telemetry.server_span(http_method="POST", traceparent=PARENT, tracestate="a=1")
    with server as span, span.client() as client:
        return read_strictly(upstream_body(message, client))


def without_trace(value: Any) -> Any:
    """A message without the members that the gateway writes; null means absent."""
    found = json.loads(json.dumps(value))
    params = found.get("params")
    if isinstance(params, dict):
        meta = params.get("_meta")
        if isinstance(meta, dict):
            params["_meta"] = {key: kept for key, kept in meta.items() if key not in TRACE}
        if not params.get("_meta"):
            params.pop("_meta", None)
    if not params:
        found.pop("params", None)
    return found


def as_go_reads(members: Any, key: str) -> Any:
    """A member as encoding/json of Go finds it: whatever its case, the last of several."""
    return [value for name, value in members.items() if name.casefold() == key.casefold()][-1]


def decoded(value: str) -> str | None:
    """A mirrored header as the specification reads it; None where it is broken."""
    value = value.strip(" \t")
    if not (value.startswith("=?base64?") and value.endswith("?=") and len(value) >= 11):
        return value if value == "" or (value.isascii() and value.isprintable()) else None
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except ValueError:
        return None


def assert_refused_as_specified(refusal: Refusal, body: bytes) -> None:
    assert (refusal.status, refusal.code) in SPECIFIED
    try:
        identifier = request_id(parse(body))
    except Refusal:
        identifier = None
    answer = response_for(refusal, identifier)
    assert isinstance(answer.body, bytes)
    read = read_strictly(answer.body)
    assert (read["jsonrpc"], read["id"], read["error"]["code"]) == ("2.0", identifier, refusal.code)


def assert_decided_on_what_is_sent(message: Message, body: bytes) -> None:
    original = read_strictly(body)
    if message.method is not None and message.method.name == "initialize":
        settled = original["params"]["protocolVersion"]
        original["params"]["protocolVersion"] = settled if settled in LEGACY_REVISIONS else NEWEST_LEGACY_REVISION
    upstream = sent(message)

    assert identical(without_trace(upstream), without_trace(original))
    assert set(upstream) <= {"jsonrpc", "id", "method", "params", "result", "error"}
    assert identical(upstream.get("id"), message.id)
    if message.method is None:
        assert "method" not in upstream
        return
    assert upstream["method"] == message.method.name
    assert as_go_reads(upstream, "method") == message.method.name
    if message.method.name_key:
        assert as_go_reads(upstream["params"], message.method.name_key) == message.name
    meta = upstream.get("params", {}).get("_meta", {})
    assert VALID_PARENT.fullmatch(meta.get("traceparent", PARENT))
    assert "baggage" not in meta
    assert (VERSION_KEY in meta) <= (message.era is Era.MODERN)


def assert_headers_agree(message: Message, given_headers: dict[str, str]) -> None:
    method = message.method
    if method is None:
        return
    if message.era is Era.MODERN:
        assert given_headers["MCP-Protocol-Version"] == message.revision == MODERN
        assert message.id is None or given_headers["Mcp-Method"] == method.name
        if not message.is_dropped:
            assert given_headers.get("Mcp-Method", method.name) == method.name
        if (
            method.name in ("tools/call", "prompts/get", "resources/read")
            or method.authorization is AuthorizationKind.TASK
        ):
            assert decoded(given_headers["Mcp-Name"]) == message.name


def judge(body: bytes, given_headers: dict[str, str], session: UpstreamSession | None) -> None:
    message = decode_result(body, given_headers, session)
    if isinstance(message, Refusal):
        event(f"refused {message.status} {message.code}")
        assert_refused_as_specified(message, body)
        return
    event(f"{message.era.value} {message.method.authorization.value if message.method is not None else 'answer'}")
    assert_headers_agree(message, given_headers)
    if message.is_dropped:
        assert message.id is None
        return
    assert_decided_on_what_is_sent(message, body)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, dict[str, str]]:
    body = draw(bodies())
    return draw(spelt(body)), draw(headers(body))


sessions = st.sampled_from([None, SESSION])


@given(requests(), sessions)
@example((b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","Name":"delete_x"}}', {}), None)
@example((b'{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","ta\xc5\xbfkId":"b"}}', {}), None)
def test_what_is_decided_on_is_what_is_sent(
    request: tuple[bytes, dict[str, str]], session: UpstreamSession | None
) -> None:
    judge(*request, session)


@given(mangled() | st.binary(max_size=60), sessions)
def test_any_bytes_are_a_message_or_a_refusal_that_the_specification_knows(
    body: bytes, session: UpstreamSession | None
) -> None:
    judge(body, {}, session)


_TRUE = sorted(
    name for name, row in METHODS.items() if row.modern and row.name_key and row.authorization is AuthorizationKind.NAME
)


@given(st.sampled_from(_TRUE), names, st.booleans(), st.data())
def test_a_message_that_keeps_the_specification_passes_in_every_encoding_of_its_name(
    method: str, name: str, space: bool, data: st.DataObject
) -> None:
    meta = {VERSION_KEY: MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {METHODS[method].name_key: name, "_meta": meta}}
    plain = name.isascii() and name.isprintable() and name == name.strip() and not name.startswith("=?base64?")
    mirrored = data.draw(st.sampled_from([name, encoded(name)])) if plain else encoded(name)
    given_headers = {
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": method,
        "Mcp-Name": f" \t{mirrored} " if space else mirrored,
    }
    text = json.dumps(body).encode()

    message = decode_result(text, given_headers, None)

    assert isinstance(message, Message)
    assert message.name == name
    assert_decided_on_what_is_sent(message, text)
