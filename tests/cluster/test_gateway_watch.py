"""A gateway watches its config on a real API server, with rights on its own objects only."""

import asyncio
import base64
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from configs import TIMEOUTS, ConfigWriter, entry
from gateways import LOOPBACK, policy
from mcp_caller import legacy, mcp_caller
from mcp_clients import eventually
from upstreams import Arrived, Upstream, answer, document, serving

from ostiary_core.contract.documents import ServerConfig
from ostiary_gateway.app import GatewayApp
from ostiary_gateway.options import GatewayOptions, KubernetesOptions
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.workers.supervisor import Supervisor
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.processes import wait_until

NAMESPACE, ACCOUNT = "ostiary", "gateway"
CONFIG, SECRET = "ostiary-default-0", "ostiary-default"
ADMIN = {"Authorization": "Bearer admin-for-tests"}
ONE = {"name": "one", "effect": "Allow", "tools": {"names": ["get_users"]}}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of our own, since its API server is killed."""
    with ControlPlane(tmp_path_factory.mktemp("gateway-watch")) as running:
        running.kubectl("create", "namespace", NAMESPACE)
        running.kubectl("create", "serviceaccount", ACCOUNT, "-n", NAMESPACE)
        subject = f"--serviceaccount={NAMESPACE}:{ACCOUNT}"
        for kind, name in (("configmaps", CONFIG), ("secrets", SECRET)):
            rights = ("--verb=get,list,watch", f"--resource={kind}", f"--resource-name={name}")
            running.kubectl("create", "role", kind, "-n", NAMESPACE, *rights)
            running.kubectl("create", "rolebinding", kind, "-n", NAMESPACE, f"--role={kind}", subject)
        yield running


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"tools": [{"name": "get_users"}, {"name": "delete_user"}]}))

    async with serving(script) as upstream:
        yield upstream


def write(plane: ControlPlane, kind: str, name: str, content: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/{kind}"
    if plane.api.answers(f"{path}/{name}"):
        plane.api.request("PATCH", f"{path}/{name}", content)
    else:
        plane.api.request("POST", path, {"metadata": {"name": name}, **content})


def deliver(plane: ControlPlane, files: dict[str, bytes]) -> None:
    write(plane, "configmaps", CONFIG, {"data": {name: content.decode() for name, content in files.items()}})


async def tools(gateway: GatewayApp) -> list[str] | None:
    async with mcp_caller(f"http://127.0.0.1:{gateway.port}/mock/mcp") as caller:
        reply = await caller.post(legacy("tools/list", {}))
    return None if reply.status != 200 else [tool["name"] for tool in reply.result["tools"]]


async def shows(gateway: GatewayApp, *names: str, seconds: float = 5.0) -> None:
    async def so() -> bool:
        return await tools(gateway) == list(names)

    await eventually(so, seconds=seconds)


def watching(plane: ControlPlane, token_file: Path) -> GatewayOptions:
    """The options of a gateway that watches its config."""
    return GatewayOptions(
        config=None,
        gateway=f"{NAMESPACE}/default",
        port=0,
        admin_port=0,
        drain_seconds=1.0,
        kubernetes=KubernetesOptions(plane.url, token_file, plane.ca_file),
    )


@asynccontextmanager
async def two_workers(options: GatewayOptions) -> AsyncIterator[Supervisor]:
    """A gateway of two workers that watches."""
    stopping = asyncio.Event()
    supervisor = Supervisor(replace(options, workers=2))
    running = asyncio.create_task(supervisor.run(stopping))

    async def is_up() -> bool:
        assert not running.done(), running.exception()
        return supervisor.is_up

    try:
        await eventually(is_up)
        yield supervisor
    finally:
        stopping.set()
        await running


async def report(supervisor: Supervisor) -> dict[str, Any]:
    """What the operator reads of the gateway."""
    url = f"http://127.0.0.1:{supervisor.admin_port}/config"
    async with aiohttp.ClientSession() as http, http.get(url, headers=ADMIN) as response:
        found: dict[str, Any] = await response.json() if response.status == 200 else {}
        return found


@pytest.mark.timeout(240)
async def test_each_worker_watches_and_the_report_waits_for_the_last_one(
    own: ControlPlane, upstream: Upstream, tmp_path: Path
) -> None:
    operator = ConfigWriter()
    server = ServerConfig(name="up", url=upstream.url, timeouts=TIMEOUTS, addresses=LOOPBACK)
    p = policy("p", ONE)
    write(own, "secrets", SECRET, {"data": encoded(operator)})
    deliver(own, operator.files(entry("mock", servers=[server])))
    token_file = tmp_path / "token"
    token_file.write_text(await asyncio.to_thread(own.service_account_token, NAMESPACE, ACCOUNT))
    async with two_workers(watching(own, token_file)) as gateway:

        async def revisions() -> list[int]:
            return [each["revision"] for each in (await report(gateway)).get("workers", ())]

        async def both_run(revision: int) -> bool:
            return await revisions() == [revision] * 2

        await eventually(lambda: both_run(1))
        before = (await report(gateway))["entries"]["default/mock"]["active"]
        stopped = gateway.slots[1].pid
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
        deliver(own, operator.files(entry("mock", [p], servers=[server]), policies=[p]))
        await eventually(lambda: has(revisions, 2))
        assert (await report(gateway))["entries"]["default/mock"]["active"] == before, "one worker still runs it"
        with suppress(ProcessLookupError):  # it was replaced meanwhile
            os.kill(stopped, signal.SIGCONT)
        await eventually(lambda: both_run(2))
        assert (await report(gateway))["entries"]["default/mock"]["active"] != before


async def has(numbers: Callable[[], Awaitable[list[int]]], wanted: int) -> bool:
    return wanted in await numbers()


def encoded(operator: ConfigWriter) -> dict[str, str]:
    """The entries of the gateway's Secret, as the API server has them."""
    return {name: base64.b64encode(value).decode() for name, value in operator.secret.items()}


@pytest.mark.timeout(120)
async def test_a_change_is_in_force_and_neither_a_lost_token_nor_a_lost_api_server_costs_the_config(
    own: ControlPlane, upstream: Upstream, tmp_path: Path
) -> None:
    operator = ConfigWriter()
    server = ServerConfig(name="up", url=upstream.url, timeouts=TIMEOUTS, addresses=LOOPBACK)
    open_proxy = entry("mock", servers=[server])
    p = policy("p", ONE)
    governed = entry("mock", [p], servers=[server])

    write(own, "secrets", SECRET, {"data": encoded(operator)})
    deliver(own, operator.files(open_proxy))
    token_file = tmp_path / "token"
    token_file.write_text("not a token")
    gateway = GatewayApp(watching(own, token_file), Telemetry.disabled())
    await gateway.start()
    try:
        assert gateway.not_ready() == "no config yet"
        token_file.write_text(await asyncio.to_thread(own.service_account_token, NAMESPACE, ACCOUNT))
        await shows(gateway, "get_users", "delete_user", seconds=20)

        deliver(own, operator.files(governed, policies=[p]))
        await shows(gateway, "get_users", seconds=1)

        # Once the watch has lasted for a while, its loss is answered at once.
        await asyncio.to_thread(own.kill_api_server)
        await asyncio.sleep(1)
        assert await tools(gateway) == ["get_users"]
        await asyncio.to_thread(own.start_api_server)
        await asyncio.to_thread(wait_until, lambda: own.api.answers("/readyz"), what="the API server")
        deliver(own, operator.files(open_proxy))
        await shows(gateway, "get_users", "delete_user", seconds=15)

        own.api.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}/configmaps/{CONFIG}")
        own.api.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}")
        await asyncio.sleep(0.5)
        assert await tools(gateway) == ["get_users", "delete_user"]
        assert gateway.store.rejections == 0
    finally:
        await gateway.stop()
