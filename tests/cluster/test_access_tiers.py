"""The example `access-tiers` on a real API server: applied as YAML, with the tests in its policies."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from api_keys import bearer
from documented_commands import Folder, commands
from fake_kubelet import FakeKubelet
from fenced_blocks import ROOT
from mcp import MCPError
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import connect, eventually

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

EXAMPLE = ROOT / "examples" / "access-tiers"
SUPPORT, ADMIN = "support-agent-example-key", "admin-example-key"
BOTH = ["read_ticket", "delete_ticket"]
DELETE = modern("tools/call", {"name": "delete_ticket", "arguments": {"ticket_id": 99}})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster"), values={"secretNamespaces": ["default"]}) as running:
        running.apply(EXAMPLE)
        running.wait_until_ready("tickets")
        yield running


@pytest.fixture
def endpoints(cluster: LocalCluster) -> list[str]:
    """The endpoint at each replica."""
    return [cluster.endpoint(replica, path="/tickets") for replica in cluster.replicas]


def condition(cluster: LocalCluster, policy: str, kind: str) -> Mapping[str, Any]:
    found = json.loads(cluster.kubectl("get", "mcppolicy", policy, "-o", "json"))
    conditions: list[dict[str, Any]] = found.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


async def test_each_key_sees_and_calls_what_its_group_may(endpoints: list[str]) -> None:
    for url in endpoints:
        async with connect(url, era="legacy", headers=bearer(SUPPORT)) as support:
            assert [tool.name for tool in (await support.list_tools()).tools] == ["read_ticket"]
            assert not (await support.call_tool("read_ticket", {"ticket_id": 1})).is_error
            with pytest.raises(MCPError, match="Unknown tool: delete_ticket"):
                await support.call_tool("delete_ticket", {"ticket_id": 1})
        async with connect(url, era="modern", headers=bearer(ADMIN)) as admin:
            assert [tool.name for tool in (await admin.list_tools()).tools] == BOTH
            assert "no ticket 99" in str((await admin.call_tool("delete_ticket", {"ticket_id": 99})).content)


async def test_a_caller_without_a_key_gets_401(endpoints: list[str]) -> None:
    for url in endpoints:
        async with mcp_caller(url) as caller:
            assert (await caller.post(DELETE)).status == 401


def test_the_status_reports_that_the_tests_in_the_policies_pass(cluster: LocalCluster) -> None:
    def passed(policy: str) -> bool:
        return condition(cluster, policy, "TestsPassed").get("status") == "True"

    for policy in ("tickets-support", "tickets-admin"):
        wait_until(partial(passed, policy), what=f"the tests of {policy} to pass")


async def test_a_rule_that_breaks_a_test_is_reported_and_not_put_in_force(
    cluster: LocalCluster, endpoints: list[str]
) -> None:
    widened = [{"op": "replace", "path": "/spec/access/rules/0/tools/names", "value": ["*_ticket"]}]
    cluster.kubectl("patch", "mcppolicy", "tickets-support", "--type", "json", "-p", json.dumps(widened))
    wait_until(
        lambda: condition(cluster, "tickets-support", "TestsPassed").get("reason") == "TestsFailed",
        what="the failed test in the status",
    )
    message = condition(cluster, "tickets-support", "TestsPassed")["message"]
    assert "support cannot delete" in message
    assert "expected Deny, but the decision is Allow: rule " in message
    async with mcp_caller(endpoints[0]) as caller:
        assert "Unknown tool" in str((await caller.post(DELETE, bearer(SUPPORT))).error)
    cluster.apply(EXAMPLE)


async def test_the_key_of_a_deleted_secret_is_refused(cluster: LocalCluster, endpoints: list[str]) -> None:
    cluster.kubectl("delete", "secret", "admin")
    await refuses(endpoints, ADMIN)
    cluster.apply(EXAMPLE)


async def test_the_commands_of_its_page_work_and_replace_the_keys(
    cluster: LocalCluster, endpoints: list[str], tmp_path: Path
) -> None:
    place = Folder(tmp_path, cluster.control_plane)
    place.prepare()
    with FakeKubelet(cluster.control_plane):
        for each in commands("examples/access-tiers/README.md"):
            if not each.startswith("ostiary run "):  # tests/protocol/test_access_tiers.py does it
                await asyncio.to_thread(place.run, each)
    await refuses(endpoints, SUPPORT)
    await refuses(endpoints, ADMIN)


async def refuses(endpoints: list[str], key: str) -> None:
    """Wait until every replica refuses a key."""
    for url in endpoints:
        async with mcp_caller(url) as caller:

            async def is_refused(caller: McpCaller = caller) -> bool:
                return (await caller.post(DELETE, bearer(key))).status == 401

            await eventually(is_refused)
