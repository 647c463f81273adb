"""Sessions through the gateway: sealed, bound, outliving restarts; GET and DELETE; and the newest revision without."""

import os
import time
from typing import Any

import pytest
from aiohttp import web
from gateways import BOUNDS, RunningGateway, running_gateway
from mcp_caller import LEGACY, MODERN, McpCaller, legacy, mcp_caller, modern
from mcp_clients import connect
from otlp_sink import http_sink
from session_scenes import SessionScene
from upstreams import Arrived, answer, document, events, initialize_answer, serving, with_handshake
from waiting import for_ever

from ostiary_core.contract.bounds import BoundsConfig
from ostiary_gateway.telemetry import Telemetry

RESULT: dict[str, Any] = {"content": []}
CALL = legacy("tools/call", {"name": "get_users", "arguments": {}})


async def echo(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """A server that answers everything, and takes DELETE."""
    if request.method == "DELETE":
        return web.Response(status=200)
    if request.method == "GET":
        async with events(request) as stream:
            pass
        return stream.response
    return document(answer(arrived, RESULT))


async def test_the_client_gets_an_id_of_ours_and_the_server_its_own(gateway: RunningGateway) -> None:
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.initialize()
        assert (await caller.post(CALL)).result == RESULT

    assert reply.result["serverInfo"]["name"] == "scripted"
    assert caller.session is not None
    assert "upstream-session" not in caller.session
    assert all(0x21 <= ord(character) <= 0x7E for character in caller.session)
    first, *later = upstream.arrived
    assert "Mcp-Session-Id" not in first.headers
    assert {each.headers["Mcp-Session-Id"] for each in later} == {"upstream-session"}
    assert {each.headers["MCP-Protocol-Version"] for each in later} == {LEGACY}


async def test_a_session_id_of_4_kib_is_sealed_and_opened(gateway: RunningGateway) -> None:
    header = "s" * 4096
    async with serving(with_handshake(echo, session=header)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        assert (await caller.post(CALL)).result == RESULT
        assert (await caller.request("DELETE")).status == 200
    assert {each.headers["Mcp-Session-Id"] for each in upstream.arrived[1:]} == {header}
    assert caller.session is not None
    assert len(caller.session) < 5632


async def test_a_longer_session_id_is_refused_and_the_span_names_the_limit() -> None:
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            serving(with_handshake(echo, session="s" * 4097)) as upstream,
            mcp_caller(gateway.url()) as caller,
        ):
            await gateway.apply(gateway.entry("mock", upstream.url))
            params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
            reply = await caller.post(legacy("initialize", params))
        (span,) = (each for each in sink.wait_for(lambda found: len(found) == 2) if each.kind == "CLIENT")
    assert reply.error["code"] == -31005
    assert span.description == "its session id is 4097 characters long, and at most 4096 can be sealed"


ENDPOINT = b"event: endpoint\ndata: /messages/?session_id=1\n\n"


async def test_an_event_that_names_another_endpoint_does_not_reach_callers(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.raw(ENDPOINT + b": here\n\n")
            if arrived.body:
                await stream.send(answer(arrived, RESULT))
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        called = await caller.post(CALL)
        listened = await caller.request("GET", {"Accept": "text/event-stream"})
    assert called.result == RESULT
    assert b"endpoint" not in called.body + listened.body
    assert b": here" in called.body
    assert b": here" in listened.body


async def test_a_stream_of_the_old_transport_ends_for_nothing_would_come_of_it(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.raw(ENDPOINT)
            await for_ever()
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.request("GET", {"Accept": "text/event-stream"})
    assert b"endpoint" not in reply.body


async def test_an_answer_to_initialize_as_an_event_opens_a_session_too(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method != "initialize":
            return document(answer(arrived, RESULT)) if "id" in arrived.message else web.Response(status=202)
        body = initialize_answer(arrived).body
        assert isinstance(body, bytes)
        async with events(request, {"Mcp-Session-Id": "from-a-stream"}) as stream:
            await stream.send({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "hi"}})
            await stream.raw(b"id: 5\ndata: " + body + b"\n\n")
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.initialize()
        assert [message.get("method") for message in reply.messages] == ["notifications/message", None]
        assert (await caller.post(CALL)).result == RESULT

    assert upstream.arrived[-1].headers["Mcp-Session-Id"] == "from-a-stream"


async def test_a_server_without_sessions_gets_none(gateway: RunningGateway) -> None:
    async with serving(with_handshake(echo, session=None)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.initialize()
        assert "Mcp-Session-Id" not in reply.headers
        assert (await caller.post(CALL, {"MCP-Protocol-Version": "2025-06-18"})).result == RESULT

    assert "Mcp-Session-Id" not in upstream.arrived[-1].headers
    assert upstream.arrived[-1].headers["MCP-Protocol-Version"] == "2025-06-18"


@pytest.mark.parametrize("asked", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_each_older_revision_can_be_negotiated(gateway: RunningGateway, asked: str) -> None:
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        params = {"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        reply = await caller.post(legacy("initialize", params))
        caller.session = reply.headers["Mcp-Session-Id"]
        assert reply.result["protocolVersion"] == asked
        # In the session no header is needed, and one that names another legacy revision replaces nothing.
        assert (await caller.post(CALL, {"MCP-Protocol-Version": None})).result == RESULT
        other = "2025-03-26" if asked == "2025-11-25" else "2025-11-25"
        assert (await caller.post(CALL, {"MCP-Protocol-Version": other})).result == RESULT
        assert (await caller.post(CALL, {"MCP-Protocol-Version": "1999-01-01"})).status == 400

    calls = [each for each in upstream.arrived if each.method == "tools/call"]
    assert [each.headers["MCP-Protocol-Version"] for each in calls] == [asked, asked]


async def test_a_legacy_client_that_asks_for_the_newest_revision_is_offered_the_newest_with_a_handshake(
    gateway: RunningGateway,
) -> None:
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.post(legacy("initialize", {"protocolVersion": MODERN, "capabilities": {}}))

    assert reply.result["protocolVersion"] == "2025-11-25"
    assert upstream.arrived[0].message["params"]["protocolVersion"] == "2025-11-25"


async def dead(caller: McpCaller, session: str) -> None:
    """All three HTTP methods say that this session is not here."""
    caller.session = session
    replies = [await caller.post(CALL), await caller.request("GET", {"Accept": "text/event-stream"})]
    replies.append(await caller.request("DELETE"))
    assert [reply.status for reply in replies] == [404, 404, 404]
    assert replies[0].json == {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {"code": -32001, "message": "Session not found; initialize again"},
    }


async def test_a_foreign_session_id_is_404_and_never_reaches_the_server(gateway: RunningGateway) -> None:
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        assert caller.session is not None
        arrived = len(upstream.arrived)
        altered = caller.session[:-1] + ("A" if caller.session[-1] != "A" else "B")
        for session in ("upstream-session", "1.AAAA", altered, caller.session + "A", "x" * 8000, "1."):
            await dead(caller, session)
        assert len(upstream.arrived) == arrived


async def test_a_session_of_one_proxy_is_404_at_another_even_of_the_same_server(gateway: RunningGateway) -> None:
    async with (
        serving(with_handshake(echo)) as upstream,
        mcp_caller(gateway.url("a")) as a,
        mcp_caller(gateway.url("b")) as b,
    ):
        await gateway.apply(gateway.entry("a", upstream.url), gateway.entry("b", upstream.url))
        await a.initialize()
        assert a.session is not None
        await dead(b, a.session)


async def test_a_session_ends_with_its_proxy_though_another_takes_the_name(gateway: RunningGateway) -> None:
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        assert caller.session is not None
        await gateway.apply(gateway.entry("mock", upstream.url, uid="created again"))
        await dead(caller, caller.session)


async def test_a_session_expires() -> None:
    bounds = BoundsConfig(
        request_bytes=1 << 20, message_bytes=1 << 20, requests_in_flight=9, streams=9, session_max_age=1
    )
    async with (
        running_gateway(bounds=bounds) as gateway,
        serving(with_handshake(echo)) as upstream,
        mcp_caller(gateway.url()) as caller,
    ):
        await gateway.apply(gateway.entry("mock", upstream.url))
        params = {"protocolVersion": LEGACY, "capabilities": {}}
        session = (await caller.post(legacy("initialize", params))).headers["Mcp-Session-Id"]
        gateway.app.pipeline.services.sealer._clock = lambda: time.time() + 5
        await dead(caller, session)


async def test_a_session_in_use_ends_with_its_age(gateway: RunningGateway) -> None:
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        assert (await caller.post(CALL)).result == RESULT
        assert caller.session is not None

        gateway.app.pipeline.services.sealer._clock = lambda: time.time() + 2 * BOUNDS.session_max_age / 1000

        await dead(caller, caller.session)


async def test_a_session_in_use_ends_when_its_key_is_taken_back(gateway: RunningGateway) -> None:
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        assert (await caller.post(CALL)).result == RESULT
        assert caller.session is not None

        gateway.session_key = os.urandom(32)
        await gateway.apply(gateway.entry("mock", upstream.url))

        await dead(caller, caller.session)


async def test_a_session_that_the_server_forgets_while_it_is_in_use_is_404(gateway: RunningGateway) -> None:
    scene = SessionScene("crm")
    async with serving(scene.script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        assert (await caller.post(CALL)).status == 200
        assert caller.session is not None

        scene.forget()

        await dead(caller, caller.session)


async def test_a_session_that_the_server_has_forgotten_is_404(gateway: RunningGateway) -> None:
    async def forgetful(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "who?"}}, status=404)

    async with serving(with_handshake(forgetful)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        assert caller.session is not None
        await dead(caller, caller.session)


async def test_a_session_survives_a_restart_of_the_gateway(mock: str) -> None:
    mac_key, session_key = os.urandom(32), os.urandom(32)
    sessions: list[Any] = []
    for _ in range(2):
        async with running_gateway() as gateway:
            gateway.mac_key, gateway.session_key = mac_key, session_key
            await gateway.apply(gateway.entry("mock", mock))
            async with mcp_caller(gateway.url()) as caller:
                if not sessions:
                    await caller.initialize()
                    sessions.append(caller.session)
                caller.session = sessions[0]
                assert len((await caller.post(legacy("tools/list", {}))).result["tools"]) == 15


async def test_a_session_opens_at_another_replica(mock: str) -> None:
    async with running_gateway() as one, running_gateway() as two:
        two.mac_key, two.session_key = one.mac_key, one.session_key
        for gateway in (one, two):
            await gateway.apply(gateway.entry("mock", mock))
        async with mcp_caller(one.url()) as here, mcp_caller(two.url()) as there:
            await here.initialize()
            there.session = here.session
            assert len((await there.post(legacy("tools/list", {}))).result["tools"]) == 15
            assert (await there.request("DELETE")).status == 200
            assert (await here.post(legacy("tools/list", {}))).status == 404


# -- GET and DELETE


async def test_delete_ends_the_session_at_the_server(mock: str, gateway: RunningGateway) -> None:
    await gateway.apply(gateway.entry("mock", mock))

    async with mcp_caller(gateway.url()) as caller:
        await caller.initialize()
        assert caller.session is not None
        assert (await caller.request("DELETE")).status == 200
        await dead(caller, caller.session)


@pytest.mark.parametrize(
    ("method", "status", "passed_on"),
    [
        ("GET", 405, 405),
        ("DELETE", 405, 405),
        ("GET", 501, 405),
        ("DELETE", 501, 405),
        ("GET", 400, 400),
        ("GET", 406, 406),
        ("GET", 409, 409),
        ("DELETE", 400, 400),
        ("DELETE", 204, 204),
        ("DELETE", 202, 202),
        ("GET", 401, 503),
        ("DELETE", 403, 503),
        ("GET", 500, 503),
        ("GET", 429, 503),
        ("GET", 302, 502),
        ("GET", 204, 405),
    ],
)
async def test_what_the_server_says_to_get_and_delete(
    gateway: RunningGateway, method: str, status: int, passed_on: int
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=status, text="secret words" if status != 204 else None, headers={"X-Secret": "1"})

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        reply = await caller.request(method, {"Accept": "text/event-stream"})

    assert reply.status == passed_on
    assert b"secret" not in reply.body
    assert "X-Secret" not in reply.headers
    if passed_on == 405:
        assert reply.headers["Allow"] == "POST"


async def test_a_get_that_is_answered_with_a_page_is_405_for_other_statuses_end_real_clients(
    gateway: RunningGateway,
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(text="<h1>Welcome</h1>", content_type="text/html")

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        assert (await caller.request("GET", {"Accept": "text/event-stream"})).status == 405


async def test_a_get_without_a_session_at_a_server_that_has_none_to_get_is_405(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=404)

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.request("GET", {"Accept": "text/event-stream"})).status == 405


async def test_get_and_delete_are_405_in_the_newest_revision(mock: str, gateway: RunningGateway) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    newest = {"MCP-Protocol-Version": MODERN, "Accept": "text/event-stream"}

    async with mcp_caller(gateway.url()) as caller:
        for method in ("GET", "DELETE"):
            reply = await caller.request(method, newest)
            assert (reply.status, reply.headers["Allow"]) == (405, "POST")


async def test_a_get_must_take_events(mock: str, gateway: RunningGateway) -> None:
    await gateway.apply(gateway.entry("mock", mock))

    async with mcp_caller(gateway.url()) as caller:
        await caller.initialize()
        assert (await caller.request("GET", {"Accept": "application/json"})).status == 406


# -- notifications and answers


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_a_notification_that_the_server_takes_is_202(gateway: RunningGateway, status: int) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=status, text="words" if status == 200 else None)

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.post(legacy("notifications/initialized", id=None))

    assert (reply.status, reply.body) == (202, b"")


@pytest.mark.parametrize(("status", "passed_on"), [(400, 400), (404, 404), (500, 503), (401, 503), (302, 502)])
async def test_a_notification_that_the_server_refuses_is_refused(
    gateway: RunningGateway, status: int, passed_on: int
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document({"jsonrpc": "2.0", "id": None, "error": {"code": -1, "message": "secret"}}, status=status)

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.post(legacy("notifications/initialized", id=None))

    assert reply.status == passed_on
    assert b"secret" not in reply.body


async def test_a_request_that_is_only_accepted_is_no_answer(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=202)

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(CALL)).error["code"] == -31005


async def test_an_answer_to_the_server_passes_within_its_session_only(gateway: RunningGateway) -> None:
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        response = {"jsonrpc": "2.0", "id": "s-1", "result": {"roots": []}}
        assert (await caller.post(response)).status == 400
        await caller.initialize()
        assert (await caller.post(response)).status == 202

    assert upstream.arrived[-1].message == response
    assert sum("result" in each.message for each in upstream.arrived) == 1


# -- the newest revision


async def test_the_newest_revision_has_no_sessions_and_ignores_their_headers(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"resultType": "complete"}), headers={"Mcp-Session-Id": "minted"})

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.post(modern("tools/list"), {"Mcp-Session-Id": "rubbish", "Last-Event-ID": "7"})

    assert reply.status == 200
    assert "Mcp-Session-Id" not in reply.headers
    assert not {"Mcp-Session-Id", "Last-Event-ID"} & {name.title() for name in upstream.arrived[0].headers}


async def test_discover_passes_with_the_response_of_the_server(mock: str, gateway: RunningGateway) -> None:
    await gateway.apply(gateway.entry("mock", mock))

    async with mcp_caller(gateway.url()) as caller:
        result = (await caller.post(modern("server/discover"))).result
    assert result["supportedVersions"] == [MODERN]
    async with connect(gateway.url(), era="modern") as client:
        assert client.protocol_version == MODERN


@pytest.mark.parametrize("status", [200, 400, 404, 500])
async def test_an_error_of_the_server_keeps_its_status_and_bytes(gateway: RunningGateway, status: int) -> None:
    error = b'{"jsonrpc":"2.0", "id":1,"error":{"code":-32021,"message":"m","data":{"requiredCapabilities":{}}}}'

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(error, status=status)

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.post(modern("tools/list"))

    assert (reply.status, reply.body) == (status, error)


@pytest.mark.parametrize(("status", "sent", "passed_on"), [(429, "7", "7"), (503, "0", "0"), (429, "soon", None)])
async def test_an_error_of_an_overloaded_server_keeps_the_time_to_wait(
    gateway: RunningGateway, status: int, sent: str, passed_on: str | None
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "slow down"}}
        return document(error, status=status, headers={"Retry-After": sent})

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.post(legacy("tools/list"))

    assert (reply.status, reply.headers.get("Retry-After")) == (status, passed_on)


async def test_headers_of_the_caller_outside_mcp_are_not_forwarded(gateway: RunningGateway) -> None:
    async with serving(echo) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        secrets = {
            "Authorization": "Bearer secret",
            "Cookie": "a=secret",
            "X-Forwarded-For": "1.2.3.4",
            "X-Api-Key": "secret",
            "baggage": "user=secret",
            "Proxy-Authorization": "secret",
            "Forwarded": "for=1.2.3.4",
        }
        body = modern("tools/call", {"name": "get_users", "arguments": {"region": "eu"}})
        assert (await caller.post(body, {**secrets, "Mcp-Param-Region": "eu", "mcp-param-x": "=?base64?w7w=?="})).result

    headers = upstream.arrived[0].headers
    assert not {name.lower() for name in secrets} & {name.lower() for name in headers}
    assert (headers["Mcp-Param-Region"], headers["mcp-param-x"]) == ("eu", "=?base64?w7w=?=")
    assert (headers["Mcp-Method"], headers["Mcp-Name"]) == ("tools/call", "get_users")
    assert headers["Accept"] == "application/json, text/event-stream"


async def test_the_routing_headers_that_the_server_gets_are_written_from_the_body(gateway: RunningGateway) -> None:
    async with serving(echo) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        body = modern("tools/call", {"name": "wetter_köln"})
        encoded = "=?base64?d2V0dGVyX2vDtmxu?="
        assert (await caller.post(body, {"Mcp-Name": encoded})).result == RESULT
        lying = legacy("tools/call", {"name": "get_users"})
        assert (await caller.post(lying, {"Mcp-Param-Region": "eu"})).result == RESULT

    assert upstream.arrived[0].headers["Mcp-Name"] == encoded
    assert "Mcp-Param-Region" not in upstream.arrived[1].headers
    assert "Mcp-Method" not in upstream.arrived[1].headers
