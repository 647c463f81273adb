"""Starts, replaces, watches and drains the workers of one gateway.

The supervisor ends where its workers cannot work: at the first start, when one of them says why it cannot start (a port
is taken, a certificate is unreadable), and later, when no worker has worked for a while in spite of several attempts. A
restart in the background would hide the reason from the system that started the gateway.
"""

import asyncio
import logging
import os
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final

from ostiary_gateway.errors import StartupError
from ostiary_gateway.options import GatewayOptions, WorkerOptions, replica_name
from ostiary_gateway.pod_state.notes_server import NotesServer
from ostiary_gateway.pod_state.shared_memory import create_shared_state, worker_ended
from ostiary_gateway.workers.admin_front import AdminFront
from ostiary_gateway.workers.shared_port import SharedPort
from ostiary_gateway.workers.socket_folder import SocketFolder
from ostiary_gateway.workers.worker_channel import WorkerStart
from ostiary_gateway.workers.worker_log import formatter_in_use
from ostiary_gateway.workers.worker_process import WorkerProcess
from ostiary_gateway.workers.worker_requests import WorkerRequests
from ostiary_gateway.workers.worker_slot import WorkerSlot

_log = logging.getLogger(__name__)

#: Seconds beyond the drain period for a worker to send its last spans and end.
_LAST_SECONDS: Final = 8.0
#: How often in a row every worker may end early before the supervisor gives up.
_MOST_FAILURES: Final = 5
#: Seconds between two checks of a worker's event loop, how long one may take, and how many may fail in a row.
_CHECK_SECONDS: Final = 5.0
_CHECK_TIMEOUT: Final = 5.0
_MOST_UNANSWERED: Final = 3


class Supervisor:
    """Serves with ``options.workers`` processes until it is stopped: :meth:`run`.

    ``port`` and ``admin_port`` are the ports in use, once :attr:`is_up`.
    """

    def __init__(self, options: GatewayOptions) -> None:
        self.options = options
        self.draining = False
        self.replica = replica_name(options.replica)
        self.port, self.admin_port = options.port, options.admin_port
        self._shared: Mapping[str, int] = {}
        self._failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.slots = [
            WorkerSlot(index, self._start_worker, on_end=self._worker_ended) for index in range(options.workers)
        ]
        #: Whether all workers have listened once.
        self.is_up = False
        self._tasks: list[asyncio.Task[None]] = []
        self._checks: list[asyncio.Task[None]] = []

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until ``stopping`` is set; drain and end all workers.

        Raises:
            StartupError: a port is taken, the folder for sockets cannot be made, a worker cannot start, or none of
                them stays alive.
        """
        options = self.options
        async with AsyncExitStack() as opened:
            opened.callback(self._release)
            self._open(opened)
            await self._keep_notes(opened)
            self._front = AdminFront(
                self._requests, self.slots, replica=self.replica, is_draining=lambda: self.draining
            )
            opened.push_async_callback(self._front.close)
            self.admin_port = await self._front.start(options.admin_host, options.admin_port)
            opened.push_async_callback(self._stop)
            self._tasks = [asyncio.create_task(self._keep(slot)) for slot in self.slots]
            await self._first(stopping, self._all_up())
            self._checks = [asyncio.create_task(self._check(slot)) for slot in self.slots]
            if not stopping.is_set():
                self._report()
            await self._first(stopping)
            seconds = options.drain_delay_seconds + options.drain_seconds
            _log.info("draining %d workers, at most %.0f s", options.workers, seconds)

    def _open(self, opened: AsyncExitStack) -> None:
        """Reserve the data port, and make the folder of the workers' sockets."""
        self._port = SharedPort(self.options.host, self.options.port)
        opened.callback(self._port.close)
        self.port = self._port.port
        self._shared = _shared_state(self.options.workers)
        folder = SocketFolder()
        opened.callback(folder.close)
        self._folder = folder.path
        worker = self._of(0)
        self._requests = WorkerRequests([worker.socket_of(slot.index) for slot in self.slots])
        opened.push_async_callback(self._requests.close)

    async def _keep_notes(self, opened: AsyncExitStack) -> None:
        notes = NotesServer(self._folder)
        try:
            await notes.start()
        except OSError as error:  # such as a path that is too long for a socket
            raise StartupError(
                f"--workers: cannot listen in {self._folder} ({error.strerror or error}). Set TMPDIR to "
                "a folder with a short path that this process may write to."
            ) from error
        opened.push_async_callback(notes.close)

    async def _first(self, stopping: asyncio.Event, *awaited: Coroutine[Any, Any, None]) -> None:
        """Wait until ``stopping`` is set, ``awaited`` is done, or the gateway cannot go on.

        Raises:
            StartupError: it cannot.
        """
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(each) for each in (stopping.wait(), *awaited)]
        await asyncio.wait([*tasks, self._failed], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._failed.done() and not stopping.is_set():
            raise StartupError(self._failed.result())

    async def _all_up(self) -> None:
        await asyncio.gather(*(slot.has_listened.wait() for slot in self.slots))
        self.is_up = True

    def _report(self) -> None:
        options = self.options
        _log.info(
            "data port %s:%d, admin port %s:%d, %d workers",
            options.host,
            self.port,
            options.admin_host,
            self.admin_port,
            options.workers,
        )

    def _of(self, index: int, *, generation: int = 0) -> WorkerOptions:
        return WorkerOptions(
            index=index,
            count=self.options.workers,
            folder=self._folder,
            generation=generation,
            shared=self._shared,
        )

    async def _start_worker(self, index: int, generation: int) -> WorkerProcess:
        # A replica's name is part of what each worker signs and leases: it must be its own.
        options = replace(
            self.options,
            port=self.port,
            admin_port=self.admin_port,
            replica=f"{self.replica}-w{index}",
            worker=self._of(index, generation=generation),
        )
        return await WorkerProcess.started(WorkerStart(options, formatter_in_use()))

    async def _keep(self, slot: WorkerSlot) -> None:
        try:
            await slot.run()
        except Exception as error:  # noqa: BLE001  any failure ends the gateway, since its worker is not replaced
            _log.critical("the care for worker %d failed: this is a bug", slot.index, exc_info=True)
            self._give_up(f"worker {slot.index} is not replaced any more: {error!r}")

    def _worker_ended(self, index: int) -> None:
        """Decide whether the gateway goes on without a worker until it is replaced."""
        self._front.worker_ended(index)
        worker_ended(self._shared, index=index, workers=self.options.workers)
        slot = self.slots[index]
        if slot.is_refusing and not self.is_up:
            self._give_up(slot.why)
        elif all(each.failures >= _MOST_FAILURES and not each.is_up for each in self.slots):
            self._give_up(f"no worker stays alive; worker {index}, the last one: {slot.why}")

    def _give_up(self, why: str) -> None:
        if not self._failed.done():
            self._failed.set_result(why)

    async def _check(self, slot: WorkerSlot) -> None:
        """End a worker whose event loop does not answer.

        It would keep its share of the connections.
        """
        unanswered, generation = 0, slot.generation
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            if not slot.is_up or slot.generation != generation:
                unanswered, generation = 0, slot.generation
                continue
            is_alive = await self._requests.one(slot.index, "/healthz", {}, seconds=_CHECK_TIMEOUT) is not None
            unanswered = 0 if is_alive else unanswered + 1
            if unanswered >= _MOST_UNANSWERED:
                _log.error("worker %d did not answer %d times and is ended", slot.index, unanswered)
                await slot.kill_hanging()

    async def _stop(self) -> None:
        """Drain all workers at the same time, and wait for their end."""
        self.draining = True
        for task in self._checks:
            task.cancel()
        for slot in self.slots:
            slot.drain()
        seconds = self.options.drain_delay_seconds + self.options.drain_seconds + _LAST_SECONDS
        _, left = await asyncio.wait(self._tasks, timeout=seconds)
        if left:
            _log.error("%d workers had not ended after %.0f s and were killed", len(left), seconds)
        for slot in self.slots:
            slot.kill()
        await asyncio.gather(*self._tasks, *self._checks, return_exceptions=True)

    def _release(self) -> None:
        for number in self._shared.values():
            os.close(number)


def _shared_state(workers: int) -> Mapping[str, int]:
    """Return the memory that the workers share.

    Raises:
        StartupError: the system cannot share any.
    """
    try:
        return create_shared_state(workers=workers)
    except OSError as error:
        raise StartupError(
            f"--workers: memory cannot be shared between processes ({error}); use --workers 1"
        ) from error
