"""Framing gives a message one meaning: era, headers, ids, and the answer to each defect."""

from collections.abc import Mapping
from typing import Any

import pytest
from mcp_caller import LEGACY, MODERN, envelope, legacy, modern, modern_headers
from multidict import CIMultiDict

from ostiary_core.mcp.methods import METHODS
from ostiary_core.mcp.protocol_revisions import Era
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.decode import bodiless_revision, decode, parse, request_id
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.session_ids import UpstreamSession

SESSION = UpstreamSession("upstream", LEGACY)
VERSION, CAPABILITIES = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"
INITIALIZE = legacy("initialize", {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {}})
CALL = {"name": "get_users", "arguments": {}}
ALL_REVISIONS = [MODERN, "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]


def decoded(
    body: dict[str, Any], headers: Mapping[str, str] | None = None, session: UpstreamSession | None = None
) -> Message:
    return decode(body, CIMultiDict(headers or {}), lambda: session)


def decoded_modern(body: dict[str, Any], more: Mapping[str, str | None] | None = None) -> Message:
    headers: dict[str, str | None] = {**modern_headers(body), **(more or {})}
    return decoded(body, {name: value for name, value in headers.items() if value is not None})


def refused(
    body: dict[str, Any], headers: Mapping[str, str] | None = None, session: UpstreamSession | None = None
) -> tuple[int, int | None]:
    with pytest.raises(Refusal) as found:
        decoded(body, headers, session)
    return found.value.status, found.value.code


def refused_modern(body: dict[str, Any], more: Mapping[str, str | None] | None = None) -> tuple[int, int | None]:
    with pytest.raises(Refusal) as found:
        decoded_modern(body, more)
    return found.value.status, found.value.code


# -- eras


def test_an_envelope_with_a_version_is_modern() -> None:
    message = decoded_modern(modern("tools/call", CALL))

    assert (message.era, message.revision, message.name, message.id) == (Era.MODERN, MODERN, "get_users", 1)


def test_a_modern_message_asks_for_no_session() -> None:
    def never() -> UpstreamSession | None:
        raise AssertionError("2026-07-28 has no sessions")

    body = modern("tools/list")
    assert decode(body, CIMultiDict(modern_headers(body)), never).era is Era.MODERN


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_without_an_envelope_a_message_is_legacy_at_the_revision_of_its_header(revision: str) -> None:
    message = decoded(legacy("tools/list"), {"MCP-Protocol-Version": revision})

    assert (message.era, message.revision) == (Era.LEGACY, revision)


def test_in_a_session_the_revision_is_the_sealed_one_and_no_header_replaces_it() -> None:
    assert decoded(legacy("tools/list"), {}, SESSION).revision == LEGACY
    assert decoded(legacy("tools/list"), {"MCP-Protocol-Version": LEGACY}, SESSION).revision == LEGACY
    assert decoded(legacy("tools/list"), {"MCP-Protocol-Version": "2025-06-18"}, SESSION).revision == LEGACY
    assert refused(legacy("tools/list"), {"MCP-Protocol-Version": MODERN}, SESSION)[0] == 400
    assert refused(legacy("tools/list"), {"MCP-Protocol-Version": "1999-01-01"}, SESSION)[0] == 400


def test_a_legacy_message_without_a_revision_passes_without_one() -> None:
    assert decoded(legacy("tools/list")).revision == ""


def test_an_envelope_beats_a_legacy_header() -> None:
    assert refused_modern(modern("tools/list"), {"MCP-Protocol-Version": LEGACY}) == (400, -32020)
    assert refused_modern(modern("tools/list"), {"MCP-Protocol-Version": None}) == (400, -32020)


@pytest.mark.parametrize("header", [LEGACY, "2024-11-05", MODERN, "1999-01-01", "DRAFT", "", "\udcff"])
@pytest.mark.parametrize("session", [None, SESSION])
def test_initialize_without_an_envelope_is_legacy_and_its_header_counts_for_nothing(
    header: str, session: UpstreamSession | None
) -> None:
    message = decoded(INITIALIZE, {"MCP-Protocol-Version": header}, session)

    assert (message.era, message.revision) == (Era.LEGACY, "")
    assert message.body["params"]["protocolVersion"] == LEGACY


def test_initialize_with_an_envelope_is_a_method_that_was_removed() -> None:
    assert refused_modern(modern("initialize", {"protocolVersion": MODERN})) == (404, -32601)


@pytest.mark.parametrize("asked", [MODERN, "1999-01-01", "DRAFT"])
def test_an_initialize_that_asks_for_what_has_no_handshake_is_offered_the_newest_that_has(asked: str) -> None:
    message = decoded(legacy("initialize", {"protocolVersion": asked}))

    assert message.body["params"]["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize("asked", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_an_initialize_keeps_a_revision_that_has_a_handshake(asked: str) -> None:
    assert decoded(legacy("initialize", {"protocolVersion": asked})).body["params"]["protocolVersion"] == asked


@pytest.mark.parametrize("params", [None, {}, {"protocolVersion": 1}, {"protocolVersion": None}])
def test_an_initialize_must_ask_for_some_revision(params: dict[str, Any] | None) -> None:
    assert refused(legacy("initialize", params)) == (200, -32602)


# -- the envelope


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        {"_meta": None},
        {"_meta": {}},
        {"_meta": {CAPABILITIES: {}}},
        {"_meta": {VERSION: MODERN}},
        {"_meta": {VERSION: MODERN, CAPABILITIES: None}},
        {"_meta": {VERSION: MODERN, CAPABILITIES: []}},
        {"_meta": {VERSION: 20260728, CAPABILITIES: {}}},
        {"_meta": {VERSION: None, CAPABILITIES: {}}},
    ],
)
def test_a_modern_request_without_its_required_fields_has_bad_params(params: dict[str, Any] | None) -> None:
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"}

    assert refused(legacy("tools/list", params), headers) == (400, -32602)


def test_the_refusal_names_the_missing_field() -> None:
    with pytest.raises(Refusal, match=CAPABILITIES):
        decoded_modern(legacy("tools/list", {"_meta": {VERSION: MODERN}}))
    with pytest.raises(Refusal, match=VERSION):
        decoded_modern(legacy("tools/list", {"_meta": {CAPABILITIES: {}}}))


def test_client_info_need_not_be_there() -> None:
    meta = envelope()
    del meta["io.modelcontextprotocol/clientInfo"]

    assert decoded_modern(legacy("tools/list", {"_meta": meta})).era is Era.MODERN


@pytest.mark.parametrize("revision", ["v999.0.0", "2025-11-25", "", "2027-01-01"])
def test_an_unknown_revision_in_an_envelope_gets_all_supported_ones(revision: str) -> None:
    body = legacy("server/discover", {"_meta": envelope(revision)})

    with pytest.raises(Refusal) as found:
        decoded(body, modern_headers(body, revision))
    assert (found.value.status, found.value.code) == (400, -32022)
    assert found.value.data is not None
    assert (found.value.data["supported"], found.value.data["requested"]) == (ALL_REVISIONS, revision)


def test_an_unknown_revision_in_a_header_alone_gets_all_supported_ones() -> None:
    with pytest.raises(Refusal) as found:
        decoded(legacy("tools/list"), {"MCP-Protocol-Version": "1999-01-01\udcff"})
    assert (found.value.status, found.value.code) == (400, -32022)
    assert found.value.data is not None
    assert found.value.data["supported"] == ALL_REVISIONS
    assert found.value.data["requested"] == "1999-01-01?"


def test_a_header_that_contradicts_an_unknown_revision_is_a_mismatch_first() -> None:
    body = legacy("server/discover", {"_meta": envelope("v999.0.0")})

    assert refused(body, modern_headers(body)) == (400, -32020)


# -- mirrored headers


@pytest.mark.parametrize("value", [None, "tools/call", "TOOLS/LIST", "tools/list ", ""])
def test_the_method_header_must_equal_the_body(value: str | None) -> None:
    assert refused_modern(modern("tools/list"), {"Mcp-Method": value}) == (400, -32020)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "get_users"}),
        ("prompts/get", {"name": "get_started"}),
        ("resources/read", {"uri": "mock://users"}),
        ("tasks/get", {"taskId": "t-1"}),
    ],
)
@pytest.mark.parametrize("value", [None, "another", "=?base64?YW5vdGhlcg==?=", "=?base64?broken?="])
def test_the_name_header_must_equal_the_body(method: str, params: dict[str, str], value: str | None) -> None:
    assert decoded_modern(modern(method, params)).name == next(iter(params.values()))
    assert refused_modern(modern(method, params), {"Mcp-Name": value}) == (400, -32020)


def test_a_name_may_be_encoded_and_must_be_where_a_header_cannot_hold_it() -> None:
    body = modern("tools/call", {"name": "wetter_für_köln"})

    assert decoded_modern(body, {"Mcp-Name": "=?base64?d2V0dGVyX2bDvHJfa8O2bG4=?="}).name == "wetter_für_köln"
    assert refused_modern(body) == (400, -32020)


@pytest.mark.parametrize("value", ["tools/call", "tools/list", "get_users", "delete_users", "=?base64?broken?=", ""])
@pytest.mark.parametrize("session", [None, SESSION])
def test_of_a_legacy_request_the_body_alone_decides_and_left_over_mirrored_headers_mean_nothing(
    value: str, session: UpstreamSession | None
) -> None:
    message = decoded(legacy("tools/call", CALL), {"Mcp-Method": value, "Mcp-Name": value}, session)

    assert message.method is METHODS["tools/call"]
    assert (message.era, message.name) == (Era.LEGACY, "get_users")


# -- methods, ids, names


@pytest.mark.parametrize("method", ["ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "x/y"])
def test_a_method_that_is_unknown_or_removed_is_404_in_the_modern_era(method: str) -> None:
    assert refused_modern(modern(method, {"uri": "a", "level": "debug"})) == (404, -32601)


@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen", "x/y", "", "Tools/Call"])
def test_a_method_that_is_unknown_is_200_in_the_legacy_era(method: str) -> None:
    assert refused(legacy(method)) == (200, -32601)


@pytest.mark.parametrize("method", ["notifications/unknown", "notifications/", "notifications/tools/list_changed"])
def test_an_unknown_notification_is_taken_in_both_eras_under_a_name_that_is_not_its_own(method: str) -> None:
    for headers in ({}, {"MCP-Protocol-Version": LEGACY}, {"MCP-Protocol-Version": MODERN}):
        message = decoded(legacy(method, {"a": 1}, id=None), headers)
        assert message.is_dropped
        assert message.method is not None
        assert (message.method.name, message.name) == ("_OTHER", "")


def test_a_notification_of_the_other_era_is_as_unknown() -> None:
    known = legacy("notifications/initialized", id=None)

    assert not decoded(known).is_dropped
    assert decoded(known, {"MCP-Protocol-Version": MODERN}).is_dropped


def test_an_unknown_method_without_an_id_is_refused_in_both_eras_where_it_is_not_named_as_a_notification() -> None:
    assert refused(legacy("x/y", id=None)) == (400, -32601)
    assert refused(legacy("x/y", id=None), {"MCP-Protocol-Version": MODERN}) == (404, -32601)


def test_an_unknown_notification_with_an_id_is_refused() -> None:
    assert refused(legacy("notifications/unknown")) == (200, -32601)
    assert refused_modern(modern("notifications/unknown")) == (404, -32601)


def test_a_modern_notification_needs_neither_envelope_nor_mirrored_headers_but_may_not_lie() -> None:
    body = legacy("notifications/cancelled", {"requestId": 1}, id=None)

    assert decoded(body, {"MCP-Protocol-Version": MODERN}).era is Era.MODERN
    assert decoded(body, {"MCP-Protocol-Version": MODERN, "Mcp-Method": "notifications/cancelled"}).id is None
    lie = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call"}
    assert refused(body, lie) == (400, -32020)
    assert refused(modern("notifications/cancelled", id=None)) == (400, -32020)


@pytest.mark.parametrize("identifier", [1, 0, -5, 2**63, "a", "", "ü" * 1024])
def test_ids_are_integers_and_strings(identifier: Any) -> None:
    assert decoded(legacy("ping", id=identifier)).id == identifier


@pytest.mark.parametrize("identifier", [None, 1.5, 1.0, True, False, [], {}, "x" * 1025])
def test_anything_else_is_no_id(identifier: Any) -> None:
    assert refused({"jsonrpc": "2.0", "method": "ping", "id": identifier}) == (400, -32600)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_requests_have_an_id_and_notifications_have_none(name: str) -> None:
    body = legacy(name, {"name": "x", "uri": "x", "taskId": "x", "protocolVersion": LEGACY})
    if not METHODS[name].notification:
        del body["id"]
    if METHODS[name].legacy:
        assert refused(body) == (400, -32600)


@pytest.mark.parametrize("name", [None, 1, "", "x" * 4097, ["get_users"], {"a": 1}, True])
def test_a_name_is_a_string_of_bounded_length(name: Any) -> None:
    assert refused(legacy("tools/call", {"name": name})) == (200, -32602)
    assert refused_modern(modern("tools/call", {"name": name}), {"Mcp-Name": "x"}) == (400, -32602)
    assert refused(legacy("resources/read", {})) == (200, -32602)


# -- shapes


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'[{"jsonrpc":"2.0","method":"ping","id":1}]',
        b'[{"jsonrpc":"2.0","method":"ping","id":1},{"jsonrpc":"2.0","method":"ping","id":2}]',
        b"1",
        b'"text"',
        b"null",
        b"true",
    ],
)
def test_what_is_no_object_is_no_message_and_a_batch_least_of_all(body: bytes) -> None:
    with pytest.raises(Refusal) as found:
        parse(body)
    assert (found.value.status, found.value.code) == (400, -32600)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a":1,"a":2}',
        b'{"method":"ping","m\\u0065thod":"tools/call"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xc0\xaf"}',
        b"[" * 1000,
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":18446744073709551616}',
        b'{"a":' + b"9" * 10_000 + b"}",
        b'{"a":1} x',
        b"\xef\xbb\xbf{}",
        b"\x00",
    ],
)
def test_what_is_not_strict_json_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(Refusal) as found:
        parse(body)
    assert (found.value.status, found.value.code) == (400, -32700)


@pytest.mark.parametrize(
    "body",
    [
        {"method": "ping", "id": 1},
        {"jsonrpc": "1.0", "method": "ping", "id": 1},
        {"jsonrpc": 2.0, "method": "ping", "id": 1},
        {"jsonrpc": "2.0", "method": 1, "id": 1},
        {"jsonrpc": "2.0", "method": None, "id": 1},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "method": "ping", "id": 1, "extra": 1},
        {"jsonrpc": "2.0", "method": "ping", "id": 1, "result": {}},
    ],
)
def test_what_is_no_request_is_an_invalid_request(body: dict[str, Any]) -> None:
    assert refused(body, {}, SESSION) == (400, -32600)


@pytest.mark.parametrize("params", [[], 1, "x", True, {"_meta": 1}, {"_meta": []}, {"_meta": "x"}])
def test_params_and_meta_are_objects(params: Any) -> None:
    assert refused({"jsonrpc": "2.0", "method": "ping", "id": 1, "params": params}) == (400, -32602)


@pytest.mark.parametrize("member", ["Name", "NAME", "nAme", "_META", "ARGUMENTS", "ta\u017fkId", "URI"])
def test_a_member_that_some_readers_take_for_a_judged_one_is_refused(member: str) -> None:
    body = modern("tools/call", {**CALL, member: "delete_users"})

    assert refused(body, modern_headers(body)) == (400, -32602)
    assert refused(legacy("tools/call", {**CALL, member: "delete_users"})) == (400, -32602)
    assert decoded(legacy("tools/call", {"name": "x", "arguments": {member: 1}, "other": 1})).name == "x"


@pytest.mark.parametrize(
    "body",
    [
        {"jsonrpc": "2.0", "id": 7, "result": {}},
        {"jsonrpc": "2.0", "id": "s-1", "error": {"code": -1, "message": "no"}},
    ],
)
def test_an_answer_to_the_server_passes_in_its_session_and_nowhere_else(body: dict[str, Any]) -> None:
    message = decoded(body, {"MCP-Protocol-Version": LEGACY}, SESSION)

    assert (message.method, message.id, message.is_request) == (None, body["id"], False)
    assert refused(body) == (400, -32600)
    assert refused(body, {"MCP-Protocol-Version": MODERN}, None) == (400, -32600)
    assert refused(body, {"MCP-Protocol-Version": MODERN}, SESSION) == (400, -32020)


@pytest.mark.parametrize(
    "body",
    [
        {"jsonrpc": "2.0", "result": {}},
        {"jsonrpc": "2.0", "id": None, "result": {}},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {}},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "params": {}},
        {"jsonrpc": "2.0", "id": 1, "result": []},
        {"jsonrpc": "2.0", "id": 1, "result": None},
        {"jsonrpc": "2.0", "id": 1, "error": "no"},
    ],
)
def test_what_only_resembles_an_answer_is_refused(body: dict[str, Any]) -> None:
    assert refused(body, {}, SESSION) == (400, -32600)


# -- ids of refusals


@pytest.mark.parametrize(
    ("body", "identifier"),
    [
        ({"jsonrpc": "2.0", "method": "x", "id": 5}, 5),
        ({"jsonrpc": "1.0", "method": "x", "id": "a"}, "a"),
        ({"method": 1, "id": "a"}, "a"),
        ({"jsonrpc": "2.0", "method": "x"}, None),
        ({"jsonrpc": "2.0", "method": "x", "id": 1.5}, None),
        ({"jsonrpc": "2.0", "id": 5, "result": {}}, None),
    ],
)
def test_a_refusal_has_the_id_of_its_request_if_there_is_one(body: dict[str, Any], identifier: Any) -> None:
    assert request_id(body) == identifier


# -- GET and DELETE


def test_get_and_delete_are_gone_in_the_newest_revision() -> None:
    with pytest.raises(Refusal) as found:
        bodiless_revision(CIMultiDict({"mcp-protocol-version": MODERN}), SESSION)

    assert (found.value.status, found.value.headers) == (405, {"Allow": "POST"})


def test_get_and_delete_have_the_revision_of_their_session() -> None:
    assert bodiless_revision(CIMultiDict(), SESSION) == LEGACY
    assert bodiless_revision(CIMultiDict({"MCP-Protocol-Version": "2025-06-18"}), SESSION) == LEGACY
