"""What the gateway itself asks a server: the request that it sends, and which answers it takes."""

import json
from typing import Any

import pytest
from gateways import BOUNDS
from own_requests import OwnRequests, events, http_response, own_requests, result, span_of
from timeouts import TIMEOUT_SECONDS

from ostiary_core.policy.principal import PASSTHROUGH
from ostiary_core.version import __version__
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_answer import ServerAnswer, fault_of
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.upstream import faults

LEGACY = OwnRequest("tools/list", {"cursor": "c"}, "2025-11-25", "session")
MODERN = OwnRequest("resources/read", {"uri": "ui://ä"}, "2026-07-28")
META = "io.modelcontextprotocol"


async def asked(found: OwnRequests, request: OwnRequest = LEGACY, *, seconds: float = TIMEOUT_SECONDS) -> ServerAnswer:
    with span_of() as span:
        return await ask(found.exchange, found.server, request, span=span, seconds=seconds)


async def test_a_request_of_a_session_names_session_and_revision() -> None:
    async with own_requests(lambda message: result(message, tools=[])) as found:
        answer = await asked(found)

    ((head, message),) = found.received
    assert answer.result == {"tools": []}
    assert (message["method"], message["params"]) == ("tools/list", {"cursor": "c"})
    assert message["id"].startswith("ostiary-own-")
    assert "mcp-session-id: session\r\n" in head
    assert "mcp-protocol-version: 2025-11-25\r\n" in head
    assert "mcp-method" not in head
    assert found.server.health.answered


async def test_a_stateless_request_carries_envelope_and_mirrored_headers() -> None:
    async with own_requests(lambda message: result(message, contents=[], resultType="complete")) as found:
        await asked(found, MODERN)

    ((head, message),) = found.received
    assert message["params"]["uri"] == "ui://ä"
    assert message["params"]["_meta"] == {
        f"{META}/protocolVersion": "2026-07-28",
        f"{META}/clientCapabilities": {},
        f"{META}/clientInfo": {"name": "ostiary", "title": "Ostiary", "version": __version__},
    }
    assert "mcp-method: resources/read\r\n" in head
    assert "mcp-name: =?base64?dwk6ly/dpa==?=\r\n" in head  # in lower case here
    assert "mcp-session-id" not in head


async def test_each_request_has_an_id_of_its_own() -> None:
    async with own_requests(result) as found:
        for _ in range(3):
            await asked(found)

    assert len({message["id"] for _, message in found.received}) == 3


async def test_a_notification_has_no_id_and_is_accepted() -> None:
    async with own_requests(http_response(b"", status=202)) as found:
        answer = await asked(found, OwnRequest("notifications/initialized", {}, "2025-11-25", "s"))

    assert answer == ServerAnswer(202, {}, words="the upstream answered HTTP 202")
    assert found.received[0].message == {"jsonrpc": "2.0", "method": "notifications/initialized"}


async def test_a_handshake_returns_the_session_that_it_opens() -> None:
    def answer(message: dict[str, Any]) -> bytes:
        body = {"jsonrpc": "2.0", "id": message["id"], "result": {"protocolVersion": "2025-11-25"}}
        return http_response(json.dumps(body).encode(), Mcp_Session_Id="new")

    async with own_requests(answer) as found:
        opened = await asked(found, OwnRequest("initialize", {"protocolVersion": "2025-11-25"}, ""))

    assert opened.session_id == "new"
    assert "mcp-protocol-version" not in found.received[0].head


async def test_the_response_is_found_among_the_events_of_a_stream() -> None:
    def answer(message: dict[str, Any]) -> bytes:
        if "method" not in message:
            return http_response(b"", status=202)
        own = {"jsonrpc": "2.0", "id": message["id"], "result": {"tools": [1]}}
        notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}
        return events(notice, {"jsonrpc": "2.0", "id": "other", "result": {}}, own, {**own, "result": {"late": True}})

    async with own_requests(answer) as found:
        answered = await asked(found)

    assert answered.result == {"tools": [1]}
    assert json.loads(answered.text) == answered.message


async def test_requests_of_the_server_are_answered_and_never_passed_on() -> None:
    def answer(message: dict[str, Any]) -> bytes:
        if "method" not in message:
            return http_response(b"", status=202)
        more = [
            {"jsonrpc": "2.0", "id": i, "method": name} for i, name in enumerate(["ping", "sampling/createMessage"])
        ]
        return events(*more, {"jsonrpc": "2.0", "id": message["id"], "result": {}})

    async with own_requests(answer) as found:
        await asked(found)

    answers = [message for _, message in found.received[1:]]
    assert answers[0] == {"jsonrpc": "2.0", "id": 0, "result": {}}
    assert (answers[1]["id"], answers[1]["error"]["code"]) == (1, -32601)
    assert all("mcp-session-id: session\r\n" in head for head, _ in found.received)


async def test_a_server_that_asks_without_end_is_answered_a_few_times_only() -> None:
    def answer(message: dict[str, Any]) -> bytes:
        if "method" not in message:
            return http_response(b"", status=202)
        storm = [{"jsonrpc": "2.0", "id": i, "method": "ping"} for i in range(1000)]
        return events(*storm, {"jsonrpc": "2.0", "id": message["id"], "result": {}})

    async with own_requests(answer) as found:
        assert (await asked(found)).result == {}

    assert len(found.received) < 12


@pytest.mark.parametrize(("status", "kind"), [(404, faults.INVALID), (503, faults.UNAVAILABLE), (405, faults.INVALID)])
async def test_an_http_status_alone_is_an_answer_whose_fault_can_be_asked_for(status: int, kind: str) -> None:
    async with own_requests(http_response(b"no", status=status, kind="text/plain")) as found:
        answer = await asked(found)
        fault = fault_of(found.server, answer)

    assert (answer.status, answer.message) == (status, {})
    assert fault is not None
    assert fault.kind == kind
    assert (found.server.health.fault is not None) == (status >= 500)


async def test_a_refused_credential_is_a_fault_of_its_own() -> None:
    async with own_requests(http_response(b"{}", status=401, WWW_Authenticate="Bearer x")) as found:
        fault = fault_of(found.server, await asked(found))

    assert fault is not None
    assert fault.kind == faults.UNAUTHORIZED
    assert "Bearer" not in fault.message


async def test_an_error_without_the_id_answers_the_request_on_whose_connection_it_came() -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no session"}}).encode()
    async with own_requests(http_response(body, status=400)) as found:
        answer = await asked(found)

    assert (answer.status, answer.error_code) == (400, -32600)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http_response(b"[]"), faults.INVALID),
        (http_response(b'{"jsonrpc":"2.0","id":"x","result":{}}'), faults.INVALID),
        (http_response(b"{"), faults.INVALID),
        (http_response(b"{}", Content_Encoding="gzip"), faults.INVALID),
        (events({"jsonrpc": "2.0", "id": "x", "result": {}}), faults.RESET),
        (None, faults.RESET),
    ],
)
async def test_what_is_no_response_to_the_request_is_a_fault(answer: bytes | None, kind: str) -> None:
    async with own_requests(answer) as found:
        with pytest.raises(UpstreamFault) as raised:
            await asked(found, OwnRequest("tools/call", {"name": "x"}, "2025-11-25"))

    assert raised.value.kind == kind
    assert found.server.health.counts == {kind: 1}


async def test_an_answer_is_bounded_also_when_it_is_a_stream_without_end() -> None:
    def answer(message: dict[str, Any]) -> bytes:
        return events(*[{"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * 900}}] * 100)

    async with own_requests(answer, bounds=BOUNDS.model_copy(update={"message_bytes": 10_000})) as found:
        with pytest.raises(UpstreamFault) as raised:
            await asked(found)

    assert raised.value.kind == faults.TOO_LARGE


async def test_an_answer_comes_in_time_or_not_at_all() -> None:
    async with own_requests(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") as found:
        with pytest.raises(UpstreamFault) as raised:
            await asked(found, seconds=0.2)  # on purpose: the server never sends the rest

    assert raised.value.kind == faults.TIMEOUT


@pytest.mark.parametrize("credential", [True, False])
async def test_the_callers_own_authorization_goes_only_to_a_server_that_checks_it(credential: bool) -> None:
    async with own_requests(result, headers={"authorization": "Bearer mine"}) as found:
        if credential:
            found.exchange.principal = PASSTHROUGH
        await asked(found)

    assert ("authorization: bearer mine\r\n" in found.received[0].head) == credential


async def test_requests_of_ours_carry_the_context_of_the_callers_trace() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with own_requests(result) as found:
        telemetry = Telemetry.disabled()
        with telemetry.server_span(http_method="POST", traceparent=trace, tracestate=None) as span:
            await ask(found.exchange, found.server, LEGACY, span=span, seconds=TIMEOUT_SECONDS)

    ((head, message),) = found.received
    assert f"traceparent: {trace}\r\n" in head
    assert message["params"]["_meta"] == {"traceparent": trace}
