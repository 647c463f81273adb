"""`ostiary logs` and `ostiary limits` against a real API server and real replicas, with and without the rights."""

import asyncio
import json
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from command_line import CommandResult, ostiary_command
from mcp_clients import connect

from ostiary_tools.cluster.main import LocalCluster, admin_ports
from ostiary_tools.cluster.stack import EXAMPLE_PROXY
from ostiary_tools.common.processes import wait_until

Ask = Callable[..., CommandResult]

AMOUNT = 3
POLICY = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPPolicy",
    "metadata": {"name": "few-echoes", "namespace": "default"},
    "spec": {
        "targetRefs": [{"kind": "MCPProxy", "name": EXAMPLE_PROXY}],
        "limits": [
            {
                "name": "echoes",
                "tools": {"verbs": ["Call"], "names": ["echo"]},
                "per": ["Tool"],
                "requests": AMOUNT,
                "window": "24h",
            }
        ],
    },
}


@pytest.fixture
def ask(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Calls `ostiary` as the administrator. Without nodes no address is in an EndpointSlice, so replicas are named."""
    call = ostiary_command(capsys)
    options = ["-n", "default", "--kubeconfig", str(cluster.control_plane.kubeconfig)]
    return lambda *arguments: call(*arguments, *options, *admin_ports(cluster).split())


@pytest.fixture
def limited(cluster: LocalCluster) -> Iterator[None]:
    cluster.kubectl("apply", "-f", "-", input=json.dumps(POLICY))
    wait_until(lambda: any(each["name"] == "few-echoes" for each in policies(cluster)), what="the limit in force")
    cluster.wait_until_ready()
    yield
    cluster.kubectl("delete", "mcppolicy", "few-echoes", "-n", "default")


def policies(cluster: LocalCluster) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.proxy()["status"].get("policies", [])
    return found


def uncaptured(cluster: LocalCluster) -> dict[str, Any] | None:
    """The condition that says until when exchanges are captured."""
    conditions = cluster.proxy()["status"]["conditions"]
    return next((each for each in conditions if each["type"] == "Uncaptured"), None)


async def echoes(cluster: LocalCluster, replica: int, number: int, **arguments: str) -> list[bool]:
    """Call the tool at a replica; return which calls were refused."""
    async with connect(cluster.endpoint(replica), era="modern") as client:
        answers = [await client.call_tool("echo", {"message": "hello", **arguments}) for _ in range(number)]
    return [bool(each.is_error) for each in answers]


@pytest.mark.usefixtures("limited")
async def test_what_replicas_counted_each_by_itself_is_added_up_and_said_to_be_a_sum(
    cluster: LocalCluster, ask: Ask
) -> None:
    assert await echoes(cluster, 0, AMOUNT + 1) == [False] * AMOUNT + [True]
    assert await echoes(cluster, 1, 1) == [False], "another replica has its own counter"

    found = json.loads((await asyncio.to_thread(ask, "limits", "-o", "json")).out)
    (key,) = [each for each in found["keys"] if each["policy"] == "default/few-echoes"]
    assert (found["shared"], found["problems"]) == (False, [])
    assert (key["limit"], key["dimensions"]) == ("echoes", {"Tool": "echo"})
    assert (key["used"], key["amount"], key["remaining"]) == (AMOUNT + 1, AMOUNT, 0)

    shown = await asyncio.to_thread(ask, "limits", EXAMPLE_PROXY)
    assert (shown.code, "Tool echo" in shown.out) == (0, True)
    assert "used is the sum of 2 replicas that count each by itself" in shown.err


async def test_the_printed_command_begins_a_capture_that_both_replicas_show_until_it_is_removed(
    cluster: LocalCluster, ask: Ask
) -> None:
    before = await asyncio.to_thread(ask, "logs", EXAMPLE_PROXY)
    assert (before.code, before.out) == (1, "")
    (command,) = [line.split() for line in before.err.splitlines() if line.startswith(" kubectl patch")]
    cluster.kubectl(*shlex.split(" ".join(command))[1:])
    await asyncio.to_thread(wait_until, lambda: uncaptured(cluster) is not None, what="the capture in the status")
    condition = uncaptured(cluster)
    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("False", "Capturing")
    try:
        for replica in cluster.replicas:
            await echoes(cluster, replica, 1, api_key="key-canary")
        done = await asyncio.to_thread(ask, "logs", EXAMPLE_PROXY, "-o", "json")
        calls = [each for each in map(json.loads, done.out.splitlines()) if each.get("method") == "tools/call"]
        assert sorted(each["replica"] for each in calls) == sorted(cluster.gateway_admin_urls)
        assert "key-canary" not in done.out
    finally:
        patch = json.dumps({"spec": {"debugCapture": None}})
        cluster.kubectl("patch", "mcpproxy", EXAMPLE_PROXY, "-n", "default", "--type=merge", "-p", patch)
    await asyncio.to_thread(wait_until, lambda: uncaptured(cluster) is None, what="the capture to be over")
    after = await asyncio.to_thread(ask, "logs", EXAMPLE_PROXY)
    assert (after.code, "has no debug capture" in after.err) == (1, True)


def test_a_caller_without_the_right_to_the_token_is_told_which_right_it_is(
    cluster: LocalCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.kubectl("create", "serviceaccount", "reader", "-n", "default")
    for role, name in (("ostiary-viewer", "reads-proxies"), ("view", "reads-services")):
        bind = ("create", "clusterrolebinding", name, f"--clusterrole={role}", "--serviceaccount=default:reader")
        cluster.kubectl(*bind)
    kubeconfig = str(cluster.control_plane.kubeconfig_for_service_account("default", "reader"))
    call = ostiary_command(capsys)
    wait_until(lambda: call("get", "proxies", "-n", "default", "--kubeconfig", kubeconfig).code == 0, what="its role")

    for command in (("logs", EXAMPLE_PROXY), ("limits",)):
        refused = call(*command, "-n", "default", "--kubeconfig", kubeconfig)
        assert (refused.code, refused.out) == (2, "")
        named = "ostiary-default.evidence or ostiary-default of namespace ostiary-system"
        assert f"you may not read the Secret {named}" in refused.err


def test_an_mcpproxy_that_does_not_exist_is_named(ask: Ask) -> None:
    done = ask("logs", "nothing-of-this-name")
    assert (done.code, 'mcpproxies.ostiary.dev "nothing-of-this-name" not found' in done.err) == (2, True)
