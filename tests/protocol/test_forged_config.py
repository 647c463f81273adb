"""A tenant that may write ConfigMaps next to a gateway controls neither policy nor keys: trust needs the signature."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from configs import ConfigWriter
from gateways import RunningGateway, policy, running_gateway
from mcp_caller import legacy, mcp_caller

from ostiary_gateway.pipeline.opened_sessions import OpenedSessions
from ostiary_gateway.seal import Sealer
from ostiary_gateway.session_ids import seal_session

FORGED = b"f" * 32
TOKEN = "forged-token"


@pytest.fixture
async def gateway(mock: str) -> AsyncIterator[RunningGateway]:
    async with running_gateway() as it:
        await it.apply(it.entry("mock", mock, [policy("nothing")]))
        yield it


def config_of(gateway: RunningGateway) -> dict[str, bytes]:
    """The files of the current config."""
    return {each.name: each.read_bytes() for each in (gateway.directory / "..data").iterdir()}


async def place(gateway: RunningGateway, files: dict[str, bytes]) -> None:
    gateway.place(files)
    await gateway.app.sources[0].poll()  # type: ignore[union-attr]  # it is a directory


async def status_of(gateway: RunningGateway, token: str) -> tuple[int, dict[str, Any]]:
    url = f"http://127.0.0.1:{gateway.app.admin_port}/config"
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        return response.status, await response.json() if response.status == 200 else {}


async def tools(gateway: RunningGateway) -> list[str]:
    async with mcp_caller(gateway.url()) as caller:
        await caller.initialize()
        return [tool["name"] for tool in (await caller.post(legacy("tools/list"))).result["tools"]]


async def test_a_config_that_is_signed_with_a_key_of_a_config_map_is_refused_and_named(
    gateway: RunningGateway, mock: str
) -> None:
    forger = ConfigWriter(mac_key=FORGED, revision=100)
    open_to_all, _ = gateway.entry("mock", mock)
    for key in ("mac-1", "mac-9"):
        files = forger.files(open_to_all)
        files["manifest.json"] = files["manifest.json"].replace(b'"mac-1"', b'"%s"' % key.encode())
        await place(gateway, {**files, key: FORGED})
        assert await tools(gateway) == []
        status, report = await status_of(gateway, "admin-for-tests")
        assert status == 200
        assert "MAC" in report["rejected"]["message"]
        assert (report["misplacedKeys"], report["revision"]) == ([key], 1)


async def test_a_session_key_of_a_config_map_opens_no_session(gateway: RunningGateway) -> None:
    await place(gateway, {**config_of(gateway), "session-1": FORGED})
    async with mcp_caller(gateway.url()) as caller:
        await caller.initialize()
        bound = {"proxy_uid": "uid-mock", "principal": "anonymous"}
        sessions = OpenedSessions(Sealer(lambda: {0: gateway.session_key}))
        mine = sessions.open(caller.session or "", **bound, max_age=60.0)
        assert mine is not None
        assert (await caller.post(legacy("ping"))).status == 200
        caller.session = seal_session(Sealer(lambda: {1: FORGED}), mine, **bound)
        assert (await caller.post(legacy("ping"))).status == 404


async def test_an_admin_token_of_a_config_map_is_no_bearer(gateway: RunningGateway) -> None:
    await place(gateway, {**config_of(gateway), "admin-token": TOKEN.encode()})

    assert (await status_of(gateway, TOKEN))[0] == 401
    status, report = await status_of(gateway, "admin-for-tests")
    assert (status, report["misplacedKeys"]) == (200, ["admin-token"])


async def test_a_good_config_with_forged_keys_next_to_it_stays_in_force(gateway: RunningGateway, mock: str) -> None:
    await place(gateway, {**config_of(gateway), "mac-9": FORGED, "session-9": FORGED, "admin-token": b"x"})
    gateway.write(gateway.entry("mock", mock))
    await place(gateway, {**config_of(gateway), "mac-9": FORGED})

    assert len(await tools(gateway)) == 15
    assert (await status_of(gateway, "admin-for-tests"))[1]["rejected"] is None


async def test_a_file_where_the_folder_of_the_keys_would_be_makes_no_key() -> None:
    async with running_gateway() as gateway:
        await place(gateway, {"keys": FORGED, "mac-1": FORGED})
        assert gateway.app.store.keyring.empty
