"""Who may write ConfigMaps beside a gateway writes neither policy nor keys: trust goes by origin, not by name."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from callers import calling, legacy
from configs import Operator
from gateways import Door, policy, running

from ostiary_gateway.session import Sealer

FORGED = b"f" * 32
TOKEN = "forged-token"


@pytest.fixture
async def door(mock: str) -> AsyncIterator[Door]:
    async with running() as it:
        await it.apply(it.entry("mock", mock, [policy("nothing")]))
        yield it


def config_of(door: Door) -> dict[str, bytes]:
    """What lies among the ConfigMaps."""
    return {each.name: each.read_bytes() for each in (door.directory / "..data").iterdir()}


async def place(door: Door, files: dict[str, bytes]) -> None:
    door.place(files)
    await door.gateway.sources[0].poll()  # type: ignore[union-attr]  # it is a directory


async def status_of(door: Door, token: str) -> tuple[int, dict[str, Any]]:
    url = f"http://127.0.0.1:{door.gateway.admin_port}/config"
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        return response.status, await response.json() if response.status == 200 else {}


async def tools(door: Door) -> list[str]:
    async with calling(door.url()) as caller:
        await caller.initialize()
        return [tool["name"] for tool in (await caller.post(legacy("tools/list"))).result["tools"]]


async def test_a_config_that_is_signed_with_a_key_of_a_config_map_is_refused_and_named(door: Door, mock: str) -> None:
    forger = Operator(mac_key=FORGED, revision=100)
    open_to_all, _ = door.entry("mock", mock)
    for key in ("mac-1", "mac-9"):
        files = forger.files(open_to_all)
        files["manifest.json"] = files["manifest.json"].replace(b'"mac-1"', b'"%s"' % key.encode())
        await place(door, {**files, key: FORGED})
        assert await tools(door) == []
        status, report = await status_of(door, "admin-for-tests")
        assert status == 200
        assert "MAC" in report["rejected"]["message"]
        assert (report["misplacedKeys"], report["revision"]) == ([key], 1)


async def test_a_session_key_of_a_config_map_opens_no_session(door: Door) -> None:
    await place(door, {**config_of(door), "session-1": FORGED})
    async with calling(door.url()) as caller:
        await caller.initialize()
        bound = {"proxy_uid": "uid-mock", "principal": "anonymous"}
        mine = Sealer(lambda: {0: door.session_key}).open(caller.session or "", **bound, max_age=60.0)
        assert mine is not None
        assert (await caller.post(legacy("ping"))).status == 200
        caller.session = Sealer(lambda: {1: FORGED}).seal(mine, **bound)
        assert (await caller.post(legacy("ping"))).status == 404


async def test_an_admin_token_of_a_config_map_is_no_bearer(door: Door) -> None:
    await place(door, {**config_of(door), "admin-token": TOKEN.encode()})

    assert (await status_of(door, TOKEN))[0] == 401
    status, report = await status_of(door, "admin-for-tests")
    assert (status, report["misplacedKeys"]) == (200, ["admin-token"])


async def test_a_good_config_beside_forged_keys_stays_in_force(door: Door, mock: str) -> None:
    await place(door, {**config_of(door), "mac-9": FORGED, "session-9": FORGED, "admin-token": b"x"})
    door.write(door.entry("mock", mock))
    await place(door, {**config_of(door), "mac-9": FORGED})

    assert len(await tools(door)) == 15
    assert (await status_of(door, "admin-for-tests"))[1]["rejected"] is None


async def test_a_file_where_the_folder_of_the_keys_would_be_makes_no_key() -> None:
    async with running() as door:
        await place(door, {"keys": FORGED, "mac-1": FORGED})
        assert door.gateway.store.keyring.empty
