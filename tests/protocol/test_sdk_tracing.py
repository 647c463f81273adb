"""A gateway with components of OpenTelemetry's SDK: the context on the wire, and what the admin port says."""

from pathlib import Path

import aiohttp
import pytest
import sdk_packages
from aiohttp import web
from gateways import running_gateway
from mcp_caller import mcp_caller, modern
from otlp_sink import http_sink
from upstreams import Arrived, answer, document, serving

from ostiary_gateway.telemetry import Telemetry

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALL = {"name": "get_users", "arguments": {}}


async def test_other_propagators_carry_the_context_in_headers_and_meta_stays_w3c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk_packages.install(tmp_path, monkeypatch)
    seen: list[Arrived] = []

    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        seen.append(arrived)
        return document(answer(arrived, {"content": []}))

    with http_sink() as sink:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, "OTEL_PROPAGATORS": "one,baggage"}
        async with (
            running_gateway(telemetry=Telemetry.from_env(environ)) as gateway,
            serving(script) as upstream,
            mcp_caller(gateway.url()) as caller,
        ):
            await gateway.apply(gateway.entry("mock", upstream.url))
            await caller.post(modern("tools/call", CALL), {"X-One": f"{TRACE}/{SPAN}/1", "baggage": "user=a"})
            await caller.post(modern("tools/call", CALL), {"X-One": "hostile\u00ff"})
            token = {"Authorization": "Bearer admin-for-tests"}
            url = f"http://127.0.0.1:{gateway.app.admin_port}/config"
            async with aiohttp.ClientSession() as http, http.get(url, headers=token) as response:
                report = await response.json()
        server, client = sorted(sink.trace(TRACE), key=lambda span: span.kind, reverse=True)
    assert (server.parent_span_id, client.parent_span_id) == (SPAN, server.span_id)
    first, second = seen
    assert first.headers["X-One"] == f"{TRACE}/{client.span_id}/1"
    assert {"traceparent", "baggage"}.isdisjoint({name.lower() for name in first.headers})
    assert first.message["params"]["_meta"]["traceparent"] == f"00-{TRACE}-{client.span_id}-01"
    assert second.headers["X-One"].partition("/")[0] != TRACE
    assert report["tracing"] == {
        "exporter": "otlp (built in)",
        "sampler": "parentbased_always_on (built in)",
        "propagators": "one, baggage (SDK)",
    }
