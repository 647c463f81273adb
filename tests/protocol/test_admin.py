"""The admin port reports liveness, readiness, metrics and what runs, and never a secret."""

import base64
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateways import LONG_TIMEOUTS, LOOPBACK, RunningGateway, policy, running_gateway
from mcp_caller import Reply, legacy, mcp_caller, modern
from mcp_clients import connect
from prometheus_client.parser import text_string_to_metric_families
from upstreams import Arrived, answer, document, events, serving
from volumes import swap_in_config

from ostiary_core.canonical import digest
from ostiary_core.contract.documents import ServerConfig
from ostiary_gateway.errors import StartupError
from ostiary_operator.status.replica_reports import parse_report

BAD = {"name": "bad", "effect": "Deny", "tools": {"patterns": ["("]}}
TOKEN = "admin-for-tests"


async def admin(gateway: RunningGateway, path: str, *, token: str | None = None, method: str = "GET") -> Reply:
    headers = {"Authorization": token} if token is not None else {}
    url = f"http://127.0.0.1:{gateway.app.admin_port}{path}"
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=headers) as response:
        return Reply(response.status, response.headers, await response.read())


async def config(gateway: RunningGateway) -> dict[str, Any]:
    reply = await admin(gateway, "/config", token=f"Bearer {TOKEN}")
    assert reply.status == 200
    report: dict[str, Any] = reply.json
    if report["revision"] is not None:
        parse_report(reply.body, gateway="ostiary/default")  # the operator must be able to read what we say
    return report


async def metrics(gateway: RunningGateway) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    reply = await admin(gateway, "/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(reply.body.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def counted_messages(counted: dict[tuple[str, tuple[tuple[str, str], ...]], float], **wanted: str) -> float:
    """How many messages have these labels, "" for none, whatever others they have."""
    name = "mcp_server_operation_duration_seconds_count"
    return sum(
        value
        for (sample, labels), value in counted.items()
        if sample == name and all(dict(labels).get(key, "") == text for key, text in wanted.items())
    )


async def test_it_is_alive_at_once_and_ready_with_its_first_good_config(gateway: RunningGateway) -> None:
    assert (await admin(gateway, "/healthz")).status == 200
    reply = await admin(gateway, "/readyz")
    assert (reply.status, reply.body) == (503, b"no config yet\n")
    await gateway.apply()
    assert (await admin(gateway, "/readyz")).status == 200


async def test_a_bad_config_at_the_start_does_not_make_it_ready(gateway: RunningGateway) -> None:
    swap_in_config(gateway.directory, {"manifest.json": b"{"}, secret={"admin-token": TOKEN.encode()})
    await gateway.app.sources[0].poll()  # type: ignore[union-attr]  # it is a directory

    assert (await admin(gateway, "/readyz")).status == 503
    assert (await config(gateway))["rejected"]["reason"] == "InvalidDocument"


@pytest.mark.parametrize(
    "token",
    [
        *[None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer{TOKEN}"],
        *["Bearer \u00fc", f"Bearer {base64.b64encode(TOKEN.encode()).decode()}"],
    ],
)
async def test_the_config_wants_the_bearer(gateway: RunningGateway, token: str | None) -> None:
    await gateway.apply()
    reply = await admin(gateway, "/config", token=token)

    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert TOKEN.encode() not in reply.body


async def test_without_a_configured_token_no_request_is_authorized(gateway: RunningGateway) -> None:
    for token in (None, "Bearer ", "Bearer None"):
        assert (await admin(gateway, "/config", token=token)).status == 401


async def test_the_config_lists_what_runs_by_digest(gateway: RunningGateway, mock: str) -> None:
    one, two = gateway.entry("one", mock), gateway.entry("two", mock, [policy("p")])
    await gateway.apply(one, two)
    report = await config(gateway)

    assert report["gateway"] == "ostiary/default"
    assert report["revision"] == 1
    assert isinstance(report["replica"], str)
    assert report["replica"]
    assert report["entries"] == {
        entry.identity: {"active": digest(entry.canonical()), "rejected": None} for entry, _ in (one, two)
    }
    assert (report["rejected"], report["incomplete"]) == (None, None)


async def test_a_rejected_entry_is_reported_with_digest_reason_and_field(gateway: RunningGateway, mock: str) -> None:
    good, bad = gateway.entry("mock", mock), gateway.entry("mock", mock, [policy("p", BAD)])
    await gateway.apply(good)
    await gateway.apply(bad)
    entry = (await config(gateway))["entries"]["default/mock"]

    assert entry["active"] == digest(good[0].canonical())
    assert entry["rejected"]["digest"] == digest(bad[0].canonical())
    assert entry["rejected"]["reason"] == "InvalidPattern"
    assert "'('" in entry["rejected"]["message"]


async def test_a_rejected_config_is_reported_with_its_revision_where_that_is_verified(gateway: RunningGateway) -> None:
    await gateway.apply()
    secret, gateway.mac_key = gateway.secret, b"x" * 32
    gateway.write()
    gateway.place_secret(secret)
    await gateway.app.sources[0].poll()  # type: ignore[union-attr]  # it is a directory
    rejected = (await config(gateway))["rejected"]

    assert rejected["revision"] is None
    assert "MAC" in rejected["message"]


async def test_no_secret_is_on_any_page(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", BAD)]), gateway.entry("two", mock))
    secrets = [gateway.mac_key, gateway.session_key, TOKEN.encode()]
    spelt = [s for key in secrets for s in (key, key.hex().encode(), base64.b64encode(key), repr(key).encode())]
    pages = [await admin(gateway, path) for path in ("/healthz", "/readyz", "/metrics")]
    pages.append(await admin(gateway, "/config", token=f"Bearer {TOKEN}"))

    for page in pages:
        assert page.status == 200
        assert not [secret for secret in spelt if secret in page.body]


async def test_what_is_not_there_is_404_and_what_cannot_be_done_405(gateway: RunningGateway) -> None:
    for path in ("/", "/mock/mcp", "/config/..", "/debug", "/healthz/x"):
        assert (await admin(gateway, path)).status == 404
    assert (await admin(gateway, "/config", method="POST", token=f"Bearer {TOKEN}")).status == 405


async def test_the_data_port_knows_no_admin_pages(gateway: RunningGateway) -> None:
    await gateway.apply()
    for path in ("/healthz", "/readyz", "/metrics", "/config"):
        url = f"http://127.0.0.1:{gateway.app.port}{path}"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            assert response.status == 404


async def test_metrics_count_calls_by_method_proxy_and_outcome_and_nothing_a_caller_chooses(
    gateway: RunningGateway, mock: str
) -> None:
    await gateway.apply(
        gateway.entry("mock", mock, [policy("p", {"name": "u", "effect": "Allow", "tools": {"names": ["e*"]}})])
    )
    async with connect(gateway.url(), era="modern") as client:
        await client.call_tool("echo", {"message": "x"})
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(legacy("tools/call", {"name": "secret-name"}))
        await caller.post(legacy("method/of-the-caller"))
        await caller.request("GET", {"Accept": "text/html"})
        caller.url = f"{caller.url}/elsewhere"
        await caller.post(legacy("ping"))
    counted = await metrics(gateway)

    def calls(method: str, error: str, proxy: str = "default/mock") -> float:
        return counted_messages(counted, mcp_method_name=method, error_type=error, ostiary_proxy=proxy)

    assert calls("tools/call", "") == 2  # what is hidden is the caller's own error, as an unknown name is
    assert calls("", "") == 1  # an unknown method
    assert calls("GET", "406") == 1
    assert calls("", "404", "") == 1
    values = {value for _, labels in counted for _, value in labels}
    assert not {"secret-name", "method/of-the-caller"} & values
    assert counted["ostiary_config_revision", ()] == 1
    assert counted["ostiary_config_proxies", ()] == 1
    assert counted["ostiary_config_loads_total", ()] == 1
    assert counted["ostiary_requests_in_flight", ()] == 0


async def test_the_series_of_a_proxy_go_with_it(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("one", mock), gateway.entry("two", mock))
    for name in ("one", "two"):
        async with mcp_caller(gateway.url(name)) as caller:
            await caller.post(legacy("no/such"))
    await gateway.apply(gateway.entry("two", mock))
    proxies = {dict(labels).get("ostiary_proxy") for _, labels in await metrics(gateway)}

    assert "default/two" in proxies
    assert "default/one" not in proxies


async def test_metrics_count_faults_by_their_kind(gateway: RunningGateway) -> None:
    await gateway.apply(gateway.entry("mock", "http://127.0.0.1:1/mcp"))
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(legacy("tools/call", {"name": "x"}))
    counted = await metrics(gateway)

    labels = {"error_type": "-31003", "mcp_method_name": "tools/call", "ostiary_proxy": "default/mock"}
    assert counted_messages(counted, **labels) == 1


async def test_rejections_are_counted(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", BAD)]))
    counted = await metrics(gateway)

    assert counted["ostiary_config_rejected", ()] == 1
    assert counted["ostiary_config_rejections_total", ()] == 1


@pytest.mark.parametrize("option", ["port", "admin_port"])
async def test_a_port_in_use_is_reported_with_the_option_that_changes_it(option: str) -> None:
    async with running_gateway() as gateway:
        taken: dict[str, Any] = {option: gateway.app.port}
        with pytest.raises(StartupError, match=f"--{option.replace('_', '-')} "):
            async with running_gateway(**taken):
                pass


async def test_the_config_reports_the_health_of_a_server_and_no_text_of_callers(
    gateway: RunningGateway, mock: str
) -> None:
    await gateway.apply(gateway.entry("up", mock), gateway.entry("down", "http://127.0.0.1:1/mcp?key=secret"))
    assert all("servers" not in entry for entry in (await config(gateway))["entries"].values())
    for name in ("up", "down"):
        async with mcp_caller(gateway.url(name)) as caller:
            await caller.post(legacy("tools/list", {"cursor": "private"}))
    entries = (await config(gateway))["entries"]

    assert entries["default/up"]["servers"] == {"up": {"answered": True, "revision": "2026-07-28"}}
    health = entries["default/down"]["servers"]["up"]
    assert health["fault"].pop("at") > 0
    assert health == {
        "answered": False,
        "fault": {"kind": "UpstreamUnreachable", "message": "127.0.0.1 port 1: Connection refused"},
    }


async def test_the_config_reports_what_each_of_several_servers_lists_and_what_is_dropped(
    gateway: RunningGateway, mock: str
) -> None:
    settings: dict[str, Any] = {"url": mock, "timeouts": LONG_TIMEOUTS, "addresses": LOOPBACK}
    servers = [ServerConfig(name=name, prefix=prefix, **settings) for name, prefix in (("one", "one_"), ("all", ""))]
    await gateway.apply(gateway.entry("mock", mock, servers=servers, server_selection="Merge"))
    async with mcp_caller(gateway.url()) as caller:
        tools = (await caller.post(modern("tools/list"))).result["tools"]
    reported = (await config(gateway))["entries"]["default/mock"]["servers"]
    assert reported["one"]["revision"] == "2026-07-28"
    assert reported["one"]["listed"]["tools"] + reported["all"]["listed"]["tools"] == len(tools)
    assert "dropped" not in reported["one"]


async def test_the_log_states_why_and_where_a_call_to_a_server_failed_without_its_query(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    await gateway.apply(gateway.entry("down", "http://127.0.0.1:1/mcp?key=secret"))
    async with mcp_caller(gateway.url("down")) as caller:
        for _ in range(3):
            await caller.post(legacy("tools/call", {"name": "x"}))

    (health,) = [record.getMessage() for record in caplog.records if "down" in record.getMessage()]
    assert health == (
        "server up of MCPProxy default/down (http://127.0.0.1:1/mcp): UpstreamUnreachable: "
        "127.0.0.1 port 1: Connection refused"
    )


async def test_a_load_balancer_finds_out_on_the_data_port_whether_requests_are_welcome_and_no_more(
    gateway: RunningGateway,
) -> None:
    url = f"http://127.0.0.1:{gateway.app.port}/-/healthz"

    async def asked(method: str = "GET") -> tuple[int, bytes]:
        async with aiohttp.ClientSession() as http, http.request(method, url) as response:
            return response.status, await response.read()

    assert await asked() == (503, b"not ready\n")
    await gateway.apply()
    assert await asked() == (200, b"ok\n")
    assert (await asked("POST"))[0] == 405
    gateway.app.pipeline.draining = True
    assert await asked() == (503, b"not ready\n")


@pytest.mark.parametrize("streamed", [False, True], ids=["document", "events"])
async def test_a_name_of_a_rule_that_no_complete_list_contains_is_reported_with_the_nearest(
    gateway: RunningGateway, streamed: bool
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        # Two pages: only the second makes the list complete.
        first = "cursor" not in arrived.message.get("params", {})
        names = ["get_users"] if first else ["delete_user"]
        page = {"tools": [{"name": name, "inputSchema": {}} for name in names]}
        body = answer(arrived, page | ({"nextCursor": "2"} if first else {}))
        if not streamed:
            return document(body)
        async with events(request) as stream:
            await stream.send(body)
        return stream.response

    rule: dict[str, Any] = {
        "name": "no-delete",
        "effect": "Deny",
        "tools": {"verbs": ["Call"], "names": ["delete_usr", "get_users"]},
    }
    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", rule)]))
        async with mcp_caller(gateway.url()) as caller:
            await caller.post(legacy("tools/list"))
            assert "offers" not in (await config(gateway))["entries"]["default/mock"]
            await caller.post(legacy("tools/list", {"cursor": "2"}))
        found = (await config(gateway))["entries"]["default/mock"]["offers"]
    assert (found["known"], found["cut"]) == (["tools"], False)
    (slip,) = found["slips"]
    assert (slip["rule"], slip["primitive"], slip["name"], slip["nearest"]) == (
        *("no-delete", "tools", "delete_usr"),
        "delete_user",
    )


async def test_the_last_page_of_a_list_alone_is_no_complete_list(gateway: RunningGateway) -> None:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"tools": [{"name": "get_users", "inputSchema": {}}]}))

    rule: dict[str, Any] = {"name": "no-delete", "effect": "Deny", "tools": {"names": ["delete_user"]}}
    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", rule)]))
        async with mcp_caller(gateway.url()) as caller:
            await caller.post(legacy("tools/list", {"cursor": "2"}))
            assert "offers" not in (await config(gateway))["entries"]["default/mock"]
            await caller.post(legacy("tools/list", {"cursor": "3"}))
        assert "offers" not in (await config(gateway))["entries"]["default/mock"]
