"""The examples of masks, guards and locks on a real API server, called through each replica by the official SDK."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from command_line import ostiary_command
from doctor_stack import DoctorStack
from fenced_blocks import ROOT
from mcp_clients import ERAS, Era, connect, eventually

from ostiary_operator.demo.mock_server.scenarios.customers import CUSTOMERS
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

#: Folder of an example, port in its files, scenario of its server.
SERVERS = {"masks": (7879, "leaky"), "guards": (7880, "poisoned"), "lock": (7881, "rug-pull")}
CARD = "card 4111 1111 1111 1111"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with LocalCluster(folder) as running, ExitStack() as servers:
        for example in SERVERS:
            apply(running, folder, example, servers)
        for name in ("crm", "notes", "calc"):
            running.wait_until_ready(name)
        yield running


def apply(cluster: LocalCluster, folder: Path, example: str, servers: ExitStack) -> None:
    """Start the server of an example at a free port, and apply the files of the example."""
    written, scenario = SERVERS[example]
    port = reserve_port()
    command = [sys.executable, "-m", "ostiary_operator.demo.mock_server", f"--scenario={scenario}", f"--port={port}"]
    server = Process(scenario, command, log=folder / f"{scenario}.log")
    servers.callback(server.stop)
    wait_until(lambda: "listens" in server.log_tail(), what=f"{scenario} to listen", processes=[server])
    files = sorted((ROOT / "examples" / example).glob("*.yaml"))
    text = "\n---\n".join(file.read_text() for file in files).replace(f"localhost:{written}", f"localhost:{port}")
    cluster.kubectl("apply", "--server-side", "-f", "-", input=text)


@pytest.fixture
def stack(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> DoctorStack:
    return DoctorStack(cluster, ostiary_command(capsys))


def resource(cluster: LocalCluster, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.kubectl("get", kind, name, "-o", "json"))
    return found


def conditions(found: dict[str, Any]) -> dict[str, str]:
    return {each["type"]: each["status"] for each in found.get("status", {}).get("conditions", ())}


async def called(cluster: LocalCluster, path: str, tool: str, *, places: tuple[int, Era], **arguments: Any) -> str:
    """All of a result that a caller gets, as text; ``places`` is the replica, and the era of the client."""
    async with connect(cluster.endpoint(places[0], path=path), era=places[1]) as client:
        return (await client.call_tool(tool, arguments)).model_dump_json()


@pytest.mark.parametrize("era", ERAS)
async def test_no_replica_shows_a_card_an_account_or_a_key(cluster: LocalCluster, era: Era) -> None:
    for replica in cluster.replicas:
        found = await called(cluster, "/crm", "get_customer", places=(replica, era), id=7)
        assert "**** **** **** 1111" in found
        hidden = (CUSTOMERS[0].card, CUSTOMERS[0].iban, CUSTOMERS[0].email, CUSTOMERS[0].api_key)
        assert not [each for each in hidden if each in found]


async def test_a_token_of_one_replica_is_restored_by_the_other(cluster: LocalCluster) -> None:
    found = json.loads(await called(cluster, "/crm", "get_customer", places=(0, "modern"), id=7))
    token = found["structured_content"]["email"]
    same = json.loads(await called(cluster, "/crm", "get_customer", places=(1, "modern"), id=7))
    assert same["structured_content"]["email"] == token
    notes = await called(cluster, "/crm", "search_notes", places=(1, "modern"), query=token)
    assert json.loads(notes)["content"], notes
    assert "1111" in notes


@pytest.mark.parametrize("era", ERAS)
async def test_each_replica_hides_poisoned_tools_and_marks_poisoned_notes(cluster: LocalCluster, era: Era) -> None:
    for replica in cluster.replicas:
        async with connect(cluster.endpoint(replica, path="/notes"), era=era) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["read_note"]
        found = await called(cluster, "/notes", "read_note", places=(replica, era), id=3)
        assert "Note of the gateway" in found
        refused = await called(cluster, "/notes", "send_note", places=(replica, era), to="a@b.example", text=CARD)
        assert json.loads(refused)["is_error"]


async def test_what_changed_after_its_review_is_gone_at_each_replica_and_reported(cluster: LocalCluster) -> None:
    for replica in cluster.replicas:

        async def is_empty(number: int = replica) -> bool:
            async with connect(cluster.endpoint(number, path="/calc"), era="legacy") as client:
                return not (await client.list_tools()).tools

        await eventually(is_empty)
        refused = await called(cluster, "/calc", "add", places=(replica, "legacy"), a=1, b=2)
        assert json.loads(refused)["is_error"]

    def is_reported() -> bool:
        return conditions(resource(cluster, "mcpproxies", "calc")).get("DefinitionsMatch") == "False"

    await eventually(is_reported)
    status = resource(cluster, "mcpproxies", "calc")["status"]
    assert {row["name"] for row in status["drift"]} >= {"add"}
    assert conditions({"status": status})["Ready"] == "True"
    lock = resource(cluster, "mcplocks", "calc")
    assert conditions(lock)["Accepted"] == "True"
    assert "calc" in cluster.kubectl("get", "mlk")


def test_people_see_by_status_and_doctor_what_is_served(stack: DoctorStack) -> None:
    kubeconfig = str(stack.cluster.control_plane.kubeconfig)
    shown = stack.ostiary("status", "-n", "default", "-o", "wide", "--kubeconfig", kubeconfig)
    assert not [each for each in ("crm", "notes", "calc") if each not in shown.out], shown.out + shown.err
    for name in ("crm", "notes"):
        found = stack.diagnose(name)
        assert not found["broken"], found

    def names_the_lock() -> bool:  # once the server has changed: each diagnosis asks it for a list
        return "MCPLock" in str(stack.diagnose("calc")["links"][-1].get("remedy"))

    wait_until(names_the_lock, what="the doctor to see no tool")


async def test_a_mask_that_is_removed_is_refused_by_the_tests_and_then_a_warning_event(cluster: LocalCluster) -> None:
    policy = resource(cluster, "mcppolicies", "crm")
    kept = [mask for mask in policy["spec"]["masks"] if mask["name"] != "cards"]

    def patch(**spec: Any) -> None:
        cluster.kubectl("patch", "mcppolicy", "crm", "--type=merge", "-p", json.dumps({"spec": spec}))

    def notes() -> list[str]:
        found = json.loads(cluster.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
        return [each["note"] for each in found if each["reason"] == "MaskRemoved"]

    patch(masks=kept)
    await eventually(lambda: conditions(resource(cluster, "mcppolicies", "crm")).get("TestsPassed") == "False")
    assert not notes()
    assert "**** 1111" in await called(cluster, "/crm", "get_customer", places=(0, "modern"), id=7)
    patch(tests=None)
    await eventually(lambda: bool(notes()))
    assert "spec.masks" in notes()[0]
    assert "cards" in notes()[0]
