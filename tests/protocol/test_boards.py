"""Every query of every board, run by a real Prometheus on what processes export, and compared with what happened."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from alert_scene import (
    FIRING,
    NOT_HERE,
    misconfigure,
    misuse,
    refusing_receiver,
    wear_out,
)
from board_scene import AFTER_THE_STORE, CALLS, DENIED, LIMITED, PROMPT, READ, REFUSED, call_everything, governed_run
from evidence_reader import traffic
from gateways import RunningGateway, policy, running_gateway
from local_run import Run
from mcp import MCPError
from mcp_caller import legacy, mcp_caller
from mcp_clients import connect
from operator_objects import GATEWAY, SYSTEM, StubReplica, listening_replica, populated, proxy, until
from prometheus import Prometheus, prometheus
from redis_servers import RedisServer, redis_server
from tls_secrets import MountedSecret

from ostiary_gateway.metrics import request_metrics
from ostiary_gateway.metrics.registry import forget_proxies
from ostiary_operator.boards import EVERYTHING, BoardSelection, PanelQuery, every_board, find_panel
from ostiary_operator.clock import SystemClock
from ostiary_operator.controller.app import assemble
from ostiary_operator.controller.leader_election import LeaderElector
from ostiary_operator.kube.options import OperatorOptions
from ostiary_tools.generate.boards.boards_file import read_boards_file
from ostiary_tools.generate.boards.main import rules_text
from ostiary_tools.generate.boards.rules import groups


def hurried_rules() -> str:
    """The rules of the chart; alerts wait for a second instead of for minutes.

    Increases are recorded every ten seconds instead of every minute. Not more often: an evaluation that takes longer
    than this on a busy machine leaves out the next one, and with it what was counted in its time.
    """
    found = groups(read_boards_file(), every="10s")
    for rule in (rule for group in found for rule in group["rules"] if "for" in rule):
        rule["for"] = "1s"
    return rules_text({"groups": found})


RULES = hurried_rules()
OF_OPERATORS = "operator"
OF_GATEWAYS = [board.name for board in every_board() if board.name != OF_OPERATORS]
SECONDS = 900
MESSAGES = find_panel("traffic", "messages").queries[0]
UNSERVED = find_panel("gateways", "unserved").queries[0]
_BUCKETS = 'mcp_server_operation_duration_seconds_bucket{ostiary_proxy!=""}'
P90_OF_COUNTERS = f"histogram_quantile(0.9, sum by (le) ({_BUCKETS}))"
#: Labels of a legend that have no value here: only circuits of tools name one.
_NOT_HERE = {("gateways", "circuits", "circuits"): {"gen_ai_tool_name"}}


TRUTH: dict[tuple[str, str, str], dict[str, float]] = {
    ("traffic", "denied", "denied"): {"": DENIED},
    ("traffic", "top-tools", "tools"): {**CALLS, AFTER_THE_STORE: 1, "get_customer": 1},
    ("traffic", "top-resources", "resources"): dict([READ]),
    ("traffic", "top-prompts", "prompts"): dict([PROMPT]),
    ("activity", "most-failing", "tools"): {"get_products default/shop": LIMITED, "delete_user default/shop": DENIED},
    ("governance", "denials", "rules"): {"default/shop no-deletions Denied": DENIED},
    ("governance", "shadow-denials", "proxies"): {"default/shop": CALLS["get_time"]},
    ("governance", "limits", "limits"): {"limited products default/shop": LIMITED},
    ("governance", "costs", "tools"): {
        f"{tool} spending default/shop": 3 * times
        for tool, times in {**CALLS, "get_products": 2, AFTER_THE_STORE: 1}.items()
        if tool != "delete_user"
    },
    ("governance", "loops", "policies"): {"Warn default/shop": CALLS["echo"] - 2},
    ("governance", "blocked", "reasons"): {"default/forbidden ProxyBlocked": REFUSED},
    ("gateways", "replicas", "replicas"): {"": 2},
    ("gateways", "circuits", "circuits"): {"default/away away server": 1},
    ("gateways", "servers-down", "servers"): {"default/away away": 1},
    ("gateways", "bounds", "bounds"): {"streams proxy": 1},
}


def asked(query: PanelQuery, selection: BoardSelection = EVERYTHING) -> str:
    return query.promql(selection, seconds=SECONDS, step_seconds=SECONDS)


async def test_everything_that_boards_ask_is_answered_and_every_alert_fires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = MountedSecret(tmp_path)
    secret.renew("localhost", days=3)
    async with refusing_receiver() as receiver:
        with redis_server(tmp_path) as store, governed_run(tmp_path, store, receiver=receiver) as run:
            await run.opens()
            await _judge(run, store, secret, monkeypatch)


async def _judge(run: Run, store: RedisServer, secret: MountedSecret, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        fresh_gateway(tls=secret.files) as with_tls,
        prometheus({"gateway": run.admin_port, "tls": with_tls.app.admin_port}, rules=RULES, every="2s") as server,
    ):
        await server.until('ostiary_build_info{job="gateway"} offset 10s')
        await call_everything(run, store)
        await settled(server, run.admin_port)
        await _boards_answer(server)
        # A thousand names of tools would take long.
        monkeypatch.setattr(request_metrics, "MOST_OF_PROXY", 0)
        await misuse(run)
        await misconfigure(with_tls, secret)
        fired = await _alerts(server, run)
    of_operators = {each.name for each in read_boards_file().alerts if "operator" in each.expr}
    assert fired.keys() == FIRING
    assert fired["OstiaryDefinitionsChanged"] == "calc of default/calc shows tools that no review approved."
    assert {each.name for each in read_boards_file().alerts} == FIRING | NOT_HERE | of_operators


@contextlib.asynccontextmanager
async def fresh_gateway(**options: Any) -> AsyncIterator[RunningGateway]:
    """A gateway without the counts that other tests left in this process: panels would show them as growth of 0."""
    async with running_gateway(**options) as gateway:
        earlier = re.findall(r'ostiary_proxy="([^"]+)"', await scrape(gateway.app.admin_port))
        forget_proxies(frozenset(earlier))
        yield gateway


async def _boards_answer(server: Prometheus) -> None:
    shown = {key: await server.query(asked(query)) for key, query in queries(*OF_GATEWAYS).items()}
    of_crm = await server.value(asked(MESSAGES, BoardSelection(("default/crm",))))
    slowest_tenth = await server.value(P90_OF_COUNTERS)
    assert unanswered(shown) == []
    counted = {key: totals(samples) for key, samples in shown.items()}
    assert {key: counted[key] for key in TRUTH} == TRUTH
    assert of_crm == sum(number for key, number in counted["activity", "statuses", "statuses"].items() if "crm" in key)
    assert slowest_tenth == pytest.approx(counted["traffic", "duration-quantiles", "p90"][""])
    agree(counted)


async def _alerts(server: Prometheus, run: Run) -> dict[str, str]:
    """What fires once as many fire as should, or the time is up; meanwhile gateways have little time and few files."""
    wearing = asyncio.create_task(wear_out(run))
    try:
        with contextlib.suppress(TimeoutError):
            await server.until(f'count(count by (alertname) (ALERTS{{alertstate="firing"}})) >= {len(FIRING)}')
        return await server.alerts()
    finally:
        wearing.cancel()


def agree(counted: dict[tuple[str, str, str], dict[str, float]]) -> None:
    """Panels that show the same agree with each other, and with the calls that were made."""
    calls = sum(CALLS.values()) + len((AFTER_THE_STORE, "get_customer")) + 2 * REFUSED
    assert counted["activity", "primitives", "primitives"]["tools/call"] == calls
    total, errors = (counted["traffic", name, name][""] for name in ("messages", "errors"))
    assert counted["traffic", "error-share", "share"][""] == errors / total
    assert counted["traffic", "error-types", "errors"] == counted["traffic", "errors-over-time", "errors"]
    assert counted["traffic", "methods", "methods"] == counted["traffic", "methods-over-time", "methods"]
    assert sum(counted["traffic", "error-types", "errors"].values()) == errors
    assert sum(counted["traffic", "methods", "methods"].values()) == total


def unanswered(shown: dict[tuple[str, str, str], list[dict[str, Any]]]) -> list[tuple[str, str, str]]:
    """The queries without a result, or with a label in their legend that no series has."""
    return [key for key, samples in shown.items() if not samples or not is_labelled(key, samples)]


def queries(*boards: str) -> dict[tuple[str, str, str], PanelQuery]:
    """The queries of some boards, by the names of board, panel and query."""
    return {
        (board.name, panel.name, query.name): query
        for board in every_board()
        if board.name in boards
        for panel in board.panels
        for query in panel.queries
    }


def totals(samples: list[dict[str, Any]]) -> dict[str, float]:
    """The values of samples, by what their labels are."""
    return {" ".join(value for _, value in sorted(each["metric"].items())): float(each["value"][1]) for each in samples}


def is_labelled(key: tuple[str, str, str], samples: list[dict[str, Any]]) -> bool:
    """Whether each label that a legend shows has a value in at least one sample."""
    labels = set(re.findall(r"\{\{(\w+)\}\}", queries(key[0])[key].legend)) - _NOT_HERE.get(key, set())
    return all(any(each["metric"].get(label) for each in samples) for label in labels)


async def settled(server: Prometheus, admin_port: int) -> None:
    """Wait until the recorded increases are all that the gateway has counted."""
    messages = asked(MESSAGES)
    counters = 'sum(mcp_server_operation_duration_seconds_count{ostiary_proxy!=""})'
    await server.until(f"({messages}) >= {await scraped(admin_port)} and ({messages}) >= {counters}")
    await server.until("sum(sum_over_time(ostiary:spans_lost:increase1m[15m])) > 0")


async def scraped(admin_port: int) -> float:
    """All messages to proxies that a gateway has counted."""
    of_proxies = r'^mcp_server_operation_duration_seconds_count\{.*ostiary_proxy="[^"].* (\S+)$'
    return sum(map(float, re.findall(of_proxies, await scrape(admin_port), re.MULTILINE)))


async def scrape(admin_port: int) -> str:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{admin_port}/metrics") as response:
        return await response.text()


async def test_boards_and_the_evidence_of_a_gateway_count_the_same(mock: str) -> None:
    deny = {"name": "no-users", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["get_users"]}}
    async with running_gateway() as gateway:
        await gateway.apply(gateway.entry("mock", mock, [policy("p", deny)]))
        async with prometheus({"gateway": gateway.app.admin_port}, rules=RULES, every="2s") as server:
            await server.until("ostiary_build_info offset 10s")
            async with connect(gateway.url(), era="modern") as client:
                await client.list_tools()
                for tool in ("echo", "get_users", "get_users", "no_such_tool"):
                    with contextlib.suppress(MCPError):
                        await client.call_tool(tool, {"message": "x"})
            async with mcp_caller(gateway.url("nowhere")) as caller:
                await caller.post(legacy("tools/list"))
            found = await traffic(gateway, {"sum": "true"})
            window = found.proxies[0].total(now=found.now, seconds=SECONDS)
            await server.until(f"({asked(MESSAGES)}) >= {window.calls}")
            await server.until(f"({asked(UNSERVED)}) >= 1")
            shown = {key[1:]: totals(await server.query(asked(query))) for key, query in queries("traffic").items()}
    assert shown["messages", "messages"] == {"": window.calls}
    assert shown["errors", "errors"] == {"": window.errors}
    assert shown["denied", "denied"] == {"": window.denied}
    assert shown["duration-average", "average"] == {"": pytest.approx(window.mean, abs=1e-6)}
    assert shown["gateway-and-upstream", "upstream"] == {"": pytest.approx(window.upstream_mean, abs=1e-6)}
    assert shown["methods", "methods"] == window.methods
    assert shown["error-types", "errors"] == window.error_types
    assert shown["statuses", "statuses"] == window.statuses
    for name, rank in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        assert shown["duration-quantiles", name] == {"": pytest.approx(window.quantile(rank))}
    assert window.slowest <= shown["duration-most", "most"][""]


async def test_everything_that_the_board_of_the_operator_asks_is_answered() -> None:
    cluster = populated(proxy("crm"))
    clock = SystemClock()
    async with listening_replica(StubReplica()) as replica:
        options = OperatorOptions(
            operator_namespace=SYSTEM, admin_host="127.0.0.1", admin_port=0, gateway_replicas={GATEWAY: (replica.url,)}
        )
        election = LeaderElector(cluster, clock, namespace=SYSTEM, name="ostiary-operator", identity="a")
        await election.win()
        parts = assemble(cluster, options, clock, election=election, claim=True)
        await parts.admin.start()
        running = (parts.queue.run(), parts.poller.run(), election.keep(lambda: None))
        working = [asyncio.create_task(each) for each in running]
        try:
            async with prometheus({"operator": parts.admin.port}, rules=RULES, every="2s") as server:
                await server.until("ostiary_operator_build_info offset 10s")
                parts.queue.enqueue("start")
                await until(parts.queue.first_success.is_set)
                await server.until("sum(sum_over_time(ostiary:operator_passes:increase1m[15m])) > 0")
                shown = {key: await server.query(asked(query)) for key, query in queries(OF_OPERATORS).items()}
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await parts.admin.stop()
    assert unanswered(shown) == []
    assert totals(shown["operator", "leaders", "leaders"]) == {"": 1}
