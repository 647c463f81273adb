"""What the edit of a config costs a real API server, by the replicas that watch it: processor time and bytes.

Each replica watches three ConfigMaps by name, as a gateway does, and an edit writes all three.
"""

import asyncio
import json
import secrets
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from ostiary_bench import meters
from ostiary_tools.cluster.control_plane import ControlPlane

REPLICAS: Final = (1, 10, 30, 100)
_EDITS: Final = 10
_PARTS: Final = 3
#: The bytes of one ConfigMap, as those that an edit writes at a gateway of 100 MCPProxies.
_PART_BYTES: Final = 32 * 1024
_MAPS: Final = "/api/v1/namespaces/default/configmaps"
_SECONDS: Final = 60
_IDLE_SECONDS: Final = 3.0
_MAX_LINE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class WatchedEdit:
    """An edit that so many ``replicas`` watch: milliseconds of the API server's processor, and bytes that it sends."""

    replicas: int
    milliseconds: float
    sent: float


def measure(numbers: Sequence[int] = REPLICAS) -> list[WatchedEdit]:
    """Edit a config that replicas watch, at an API server with etcd of its own."""
    with tempfile.TemporaryDirectory() as name, ControlPlane(Path(name)) as control_plane:
        return asyncio.run(_measured(control_plane, numbers))


async def _measured(control_plane: ControlPlane, numbers: Sequence[int]) -> list[WatchedEdit]:
    tls = ssl.create_default_context(cafile=str(control_plane.ca_file))
    headers = {"Authorization": f"Bearer {control_plane.admin_token}"}
    options: dict[str, Any] = {"headers": headers, "connector": aiohttp.TCPConnector(ssl=tls, limit=0)}
    async with aiohttp.ClientSession(control_plane.url, read_bufsize=_MAX_LINE, **options) as session:
        api = _WatchedConfig(session, control_plane.processes["api-server"].pid)
        await api.create()
        idle = await api.idle()
        return [await api.edited(number, idle=idle) for number in numbers]


class _WatchedConfig:
    """The ConfigMaps of one gateway, at an API server that is the process ``pid``."""

    def __init__(self, session: aiohttp.ClientSession, pid: int) -> None:
        self._session = session
        self._pid = pid
        self._bytes = 0

    async def create(self) -> None:
        for number in range(_PARTS):
            await self._write("POST", _MAPS, number)

    async def idle(self) -> float:
        """Return the microseconds of processor that the API server uses in a second without us."""
        before = meters.cpu_microseconds(self._pid)
        await asyncio.sleep(_IDLE_SECONDS)
        return (meters.cpu_microseconds(self._pid) - before) / _IDLE_SECONDS

    async def edited(self, replicas: int, *, idle: float) -> WatchedEdit:
        """Edit while so many replicas watch."""
        print(f"  {replicas} replicas watch", file=sys.stderr, flush=True)
        await self._edit("first")
        async with asyncio.timeout(_SECONDS):
            watches = [self._watch(part) for part in range(_PARTS) for _ in range(replicas)]
            for each in watches:
                await anext(each)  # the present state
            began, before, self._bytes = time.monotonic(), meters.cpu_microseconds(self._pid), 0
            reading = [asyncio.ensure_future(_ended(each)) for each in watches]
            for edit in range(1, _EDITS + 1):
                await self._edit("last" if edit == _EDITS else "next")
            await asyncio.gather(*reading)
        used = meters.cpu_microseconds(self._pid) - before - idle * (time.monotonic() - began)
        return WatchedEdit(replicas, used / _EDITS / 1000, self._bytes / _EDITS)

    async def _edit(self, step: str) -> None:
        for part in range(_PARTS):
            await self._write("PUT", f"{_MAPS}/{_name(part)}", part, step=step)

    async def _write(self, method: str, path: str, part: int, step: str = "first") -> None:
        metadata = {"name": _name(part), "annotations": {"step": step}}
        document = {"metadata": metadata, "data": {"part": secrets.token_hex(_PART_BYTES // 2)}}
        async with self._session.request(method, path, json=document) as answer:
            answer.raise_for_status()
            await answer.read()

    async def _watch(self, part: int) -> AsyncIterator[None]:
        """Read events, up to the last edit."""
        asked = {"watch": "1", "fieldSelector": f"metadata.name={_name(part)}"}
        async with self._session.get(_MAPS, params=asked, timeout=aiohttp.ClientTimeout()) as answer:
            async for line in answer.content:
                self._bytes += len(line)
                if json.loads(line)["object"]["metadata"]["annotations"]["step"] == "last":
                    return
                yield


async def _ended(watch: AsyncIterator[None]) -> None:
    async for _ in watch:
        pass


def _name(part: int) -> str:
    return f"ostiary-simulated-{part}"
