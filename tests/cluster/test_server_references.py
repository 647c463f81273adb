"""serverRef on a real API server, with exactly the chart's rights: kinds that come and go, statuses that flap."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from foreign_kinds import GRANT, TOOLS, foreign_kinds, grant, has_server, says
from operator_environment import OperatorEnvironment, eventually, running_operator
from operator_replicas import chart_rights, operator_process

from ostiary_operator.api.server_kinds import with_built_in
from ostiary_operator.kube.kinds import PROXY, SERVICE
from ostiary_tools.cluster.control_plane import ControlPlane

TOOLHIVE, LIFECYCLE, KMCP = "toolhive.stacklok.dev", "mcp.x-k8s.io", "kagent.dev"


@pytest.fixture
def others(control_plane: ControlPlane) -> Iterator[None]:
    with foreign_kinds(control_plane, TOOLHIVE, LIFECYCLE, GRANT.group):
        yield


def refers(world: OperatorEnvironment, group: str = TOOLHIVE, **reference: Any) -> None:
    """Create the MCPProxy of the team, which refers to a server of another operator."""
    server = {"name": "s", "serverRef": {"group": group, "kind": "MCPServer", "name": "crm", **reference}}
    world.has_proxy("crm", servers=[server])


def url(world: OperatorEnvironment) -> str | None:
    """The URL that the gateway gets for it; None where the proxy is not served."""
    bundle = world.delivered()
    entries = bundle.manifest.entries if bundle is not None else ()
    for each in entries:
        if bundle is not None and each.proxy == f"{world.team}/crm":
            return str(orjson.loads(bundle.take(each.digest))["servers"][0]["url"])
    return None


def has_service(world: OperatorEnvironment, name: str, *, port: int) -> None:
    """Create a Service that selects Pods of the team."""
    ports = [{"name": "http", "port": port}]
    world.create(
        SERVICE,
        {"metadata": {"name": name, "namespace": world.team}, "spec": {"ports": ports, "selector": {"app": name}}},
    )


def resolved(world: OperatorEnvironment) -> tuple[str, str]:
    return world.condition(PROXY, "crm", "ResolvedRefs")


def message(world: OperatorEnvironment) -> str:
    found = (world.get(PROXY, "crm") or {}).get("status", {}).get("conditions", [])
    return next((str(each["message"]) for each in found if each["type"] == "ResolvedRefs"), "")


@pytest.mark.usefixtures("others")
async def test_a_server_is_served_once_its_operator_publishes_its_url_and_keeps_it_while_its_phase_flaps(
    world: OperatorEnvironment,
) -> None:
    async with running_operator(world.options()):
        refers(world)
        await eventually(lambda: resolved(world) == ("False", "BackendNotFound"))
        has_server(world, TOOLHIVE, "crm")
        await eventually(lambda: resolved(world) == ("False", "BackendNotReady"))
        first = f"http://mcp-crm-proxy.{world.team}.svc.cluster.local:8080/mcp"
        world.has_policy("p", "crm")
        has_service(world, "mcp-crm-proxy", port=8080)
        says(world, TOOLHIVE, "crm", {"phase": "Ready", "url": first})
        await eventually(lambda: url(world) == first)
        await eventually(lambda: resolved(world) == ("True", "ResolvedRefs"))
        says(world, TOOLHIVE, "crm", {"phase": "Failed", "url": None})
        await eventually(lambda: "its last URL stays in use" in message(world))
        assert url(world) == first
        second = f"http://mcp-crm-proxy.{world.team}.svc:8080/other"
        says(world, TOOLHIVE, "crm", {"phase": "Ready", "url": second})
        await eventually(lambda: url(world) == second)


@pytest.mark.usefixtures("others")
async def test_the_last_url_outlives_a_restart_of_the_operator(world: OperatorEnvironment) -> None:
    there = "http://crm.example.com/mcp"
    has_server(world, TOOLHIVE, "crm", status={"phase": "Ready", "url": there})
    refers(world)
    async with running_operator(world.options()):
        await eventually(lambda: url(world) == there)
    says(world, TOOLHIVE, "crm", {"phase": "Pending", "url": None})
    async with running_operator(world.options()):
        await eventually(lambda: "its last URL stays in use" in message(world))
        assert url(world) == there


async def test_a_kind_that_is_installed_later_is_found_without_a_restart_and_one_that_goes_is_named(
    control_plane: ControlPlane, world: OperatorEnvironment
) -> None:
    async with running_operator(world.options()):
        refers(world, KMCP)
        await eventually(lambda: resolved(world) == ("False", "BackendNotFound"))
        assert "does not serve mcpservers.kagent.dev" in message(world)
        with foreign_kinds(control_plane, KMCP):
            has_service(world, "crm", port=3000)
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            has_server(world, KMCP, "crm", spec={"deployment": {"port": 3000}}, status=ready)
            there = f"http://crm.{world.team}.svc:3000/mcp"
            await eventually(lambda: url(world) == there, seconds=40.0)
        await eventually(lambda: resolved(world) == ("False", "BackendNotFound"), seconds=40.0)
        assert url(world) == there


@pytest.mark.usefixtures("others")
async def test_another_namespace_needs_a_reference_grant_and_withdrawing_it_ends_the_use(
    control_plane: ControlPlane, unrestricted: OperatorEnvironment, new_namespace: Callable[..., str]
) -> None:
    world, owner = unrestricted, new_namespace()
    world.wide = True
    with chart_rights(control_plane, world):
        there = "http://crm.example.com/mcp"
        has_server(world, LIFECYCLE, "crm", namespace=owner, status=_verified(there))
        async with running_operator(world.options()):
            refers(world, LIFECYCLE, namespace=owner)
            await eventually(lambda: resolved(world) == ("False", "RefNotPermitted"))
            assert url(world) is None
            world.create(GRANT, grant(namespace=owner, of=world.team, group=LIFECYCLE))
            await eventually(lambda: url(world) == there)
            world.api.request("DELETE", GRANT.path(namespace=owner, name="proxies"))
            await eventually(lambda: url(world) is None)
            await eventually(lambda: resolved(world) == ("False", "RefNotPermitted"))


@pytest.mark.usefixtures("others")
async def test_without_the_right_a_condition_names_it_and_the_rest_goes_on(
    control_plane: ControlPlane, unrestricted: OperatorEnvironment
) -> None:
    world = unrestricted
    with chart_rights(control_plane, world, "--set-json", "serverKinds.builtIn=[]"):
        has_server(world, TOOLHIVE, "crm", status={"phase": "Ready", "url": "http://crm.example.com/mcp"})
        async with running_operator(world.options()):
            refers(world)
            world.has_proxy("other")
            await eventually(lambda: resolved(world) == ("False", "NotPermitted"))
            assert "no right to list mcpservers.toolhive.stacklok.dev" in message(world)
            await eventually(lambda: world.served() == {"other"})


async def test_a_kind_of_the_charts_values_is_read_as_they_say(
    control_plane: ControlPlane, unrestricted: OperatorEnvironment
) -> None:
    world = unrestricted
    further = TOOLS.model_dump_json(by_alias=True, exclude_unset=True)
    with (
        foreign_kinds(control_plane, TOOLS.group),
        chart_rights(control_plane, world, "--set-json", f"serverKinds.more=[{further}]"),
    ):
        up = {"endpoint": "http://crm.example.com/mcp", "conditions": [{"type": "Up", "status": "True"}]}
        has_server(world, TOOLS.group, "crm", kind=TOOLS.kind, status=up)
        async with operator_process(world, "one", f"--server-kind={further}"):
            refers(world, TOOLS.group, kind=TOOLS.kind)
            await eventually(lambda: url(world) == "http://crm.example.com/mcp")
        assert with_built_in([TOOLS])[-1] == TOOLS


def ostiary(control_plane: ControlPlane, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with the rights of an administrator."""
    command = [sys.executable, "-m", "ostiary_operator.cli", *arguments, "--kubeconfig", str(control_plane.kubeconfig)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _verified(url: str) -> dict[str, Any]:
    conditions = [{"type": each, "status": "True", "reason": "Ok"} for each in ("Available", "Verified")]
    return {"address": {"url": url}, "conditions": conditions}


@pytest.mark.usefixtures("others")
async def test_discover_prints_what_can_be_applied_and_then_nothing_more(
    control_plane: ControlPlane, world: OperatorEnvironment
) -> None:
    has_server(world, TOOLHIVE, "crm", status={"phase": "Ready", "url": "http://crm.example.com/mcp"})
    has_server(world, TOOLHIVE, "old", status={"phase": "Ready", "url": "http://old.example.com/sse#old"})
    found = ostiary(control_plane, "discover", "-n", world.team)
    assert found.returncode == 0, found.stderr
    assert f"MCPServer.{TOOLHIVE} {world.team}/old is omitted: it speaks the transport HTTP+SSE" in found.stderr
    control_plane.kubectl("apply", "-f", "-", input=found.stdout)
    async with running_operator(world.options()):
        await eventually(lambda: url(world) == "http://crm.example.com/mcp")
    again = ostiary(control_plane, "discover", "-n", world.team)
    assert (again.returncode, again.stdout) == (0, "")
    assert "no MCP server is without an MCPProxy" in again.stderr
