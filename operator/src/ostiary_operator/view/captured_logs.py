"""Reads the captured exchanges of one MCPProxy from all replicas."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, TypeAlias

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_core.evidence.document import EvidencePath
from ostiary_operator.local.console import printable
from ostiary_operator.status.replicas import NoResponse
from ostiary_operator.view import admin_client
from ostiary_operator.view.admin_client import AdminPort, NotServed

#: Seconds before a replica that stopped answering is asked again.
_RETRY_SECONDS: Final = 1.0
#: Records that wait to be written; then replicas wait.
_QUEUED: Final = 256
_SHOWN: Final = frozenset({"Exchange", "ServerMessage"})

Captured: TypeAlias = tuple[AdminPort, dict[str, Any]]


class CaptureSources:
    """The replicas that may have captured exchanges of ``proxy`` (``namespace/name``).

    ``since`` is in epoch milliseconds, 0 for all. ``note`` gets what a person should know about the capture itself.

    Afterwards ``captured`` says whether any replica captures it, and ``problem`` why the last one did not answer.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        ports: Sequence[AdminPort],
        *,
        proxy: str,
        since: int,
        note: Callable[[str], None],
    ) -> None:
        self.captured = False
        self.problem = ""
        self._http = http
        self._ports = ports
        self._proxy = proxy
        self._since = since
        self._note = note

    async def read(self) -> AsyncIterator[Captured]:
        """Yield what is kept now, in the order of time."""
        found = await asyncio.gather(*(self._read_one(port) for port in self._ports))
        for each in sorted((each for part in found for each in part), key=lambda each: str(each[1].get("at"))):
            yield each

    async def follow(self) -> AsyncIterator[Captured]:
        """Yield what is kept, and then each record as it comes, until every capture has ended."""
        queue: asyncio.Queue[Captured | None] = asyncio.Queue(_QUEUED)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._follow_one(port, queue)) for port in self._ports]
            try:
                left = len(running)
                while left:
                    each = await queue.get()
                    if each is None:
                        left -= 1
                    else:
                        yield each
            finally:
                for task in running:
                    task.cancel()

    async def _read_one(self, port: AdminPort) -> list[Captured]:
        try:
            return [(port, record) async for record in self._lines(port, {}) if record.get("kind") in _SHOWN]
        except NotServed:
            return []
        except OstiaryError as error:
            self._silent(port, error)
            return []

    async def _follow_one(self, port: AdminPort, queue: "asyncio.Queue[Captured | None]") -> None:
        position, lost = 0, False
        while True:
            try:
                async for record in self._lines(port, {"follow": "true", "after": str(position)}):
                    lost = False
                    position = _position(record, position)
                    if record.get("kind") in _SHOWN:
                        await queue.put((port, record))
                break
            except NotServed:
                break
            except NoResponse as error:
                if not self.captured:
                    self._silent(port, error)
                    break
                if not lost:
                    self._note(f"{port.replica}: {error}; trying again")
                lost = True
                await asyncio.sleep(_RETRY_SECONDS)
        await queue.put(None)

    async def _lines(self, port: AdminPort, more: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        query = {"proxy": self._proxy, "since": str(self._since), **more}
        async for record in admin_client.lines(self._http, port, EvidencePath.CAPTURE, query):
            self._describe(port, record)
            yield record

    def _describe(self, port: AdminPort, record: dict[str, Any]) -> None:
        """Note what a line says about the capture itself."""
        kind = record.get("kind")
        if kind == "Capture" and not self.captured:
            self.captured = True
            ended = record.get("ended")
            words = "has ended" if ended else f"goes on until {printable(str(record.get('until')), limit=40)}"
            self._note(f"the capture of {self._proxy} {words}")
        if kind == "Capture" and isinstance(skipped := record.get("skipped"), int) and skipped:
            self._note(f"{port.replica}: {skipped} exchanges were not captured: there were too many in a second")
        elif kind == "Gap":
            self._note(f"{port.replica}: {record.get('missed')} records are no longer kept")
        elif kind == "Ended":
            self._note(f"{port.replica}: the capture has ended ({printable(str(record.get('reason')), limit=40)})")

    def _silent(self, port: AdminPort, error: OstiaryError) -> None:
        self.problem = f"{error}"
        if len(self._ports) > 1:
            self._note(f"replica {port.replica}: {error}")


def _position(record: dict[str, Any], before: int) -> int:
    found = record.get("sequence")
    return found if type(found) is int and found >= 0 else before
