"""Keeps a replica connected to the shared store, with a circuit for when it fails.

One failed message opens the circuit: from then on no call waits for the store, until a check in the background finds
that it answers again within the time that a call would wait. Changed settings take the place of the earlier ones only
when the store that they name answers, and until then the earlier store counts on.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from ostiary_core.contract.limit_store import LimitStoreConfig
from ostiary_core.limit_store_states import StoreState
from ostiary_gateway.errors import CredentialMissing
from ostiary_gateway.policy_limits.store_client import StoreClient, StoreUnusable
from ostiary_gateway.policy_limits.store_connections import Credential
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)

#: Seconds between two attempts to connect: the first, and the longest.
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
#: Seconds that connecting may take: TLS, Sentinels and the slots of a Cluster need several round trips.
_CONNECT_SECONDS: Final = 2.0
#: Connections that are opened at once, so that no call has to open one.
_OPENED: Final = 4
#: Seconds before an end that was not noticed is asked for again.
_CANCEL_SECONDS: Final = 0.1
#: Seconds between two checks of a store that no call uses.
_CHECK_SECONDS: Final = 5.0
#: What one command may be refused for although the counters can be used.
_OF_ONE_COMMAND: Final = frozenset({StoreState.NOT_PERMITTED, StoreState.FAILED})

OnConnect = Callable[[bool], None]
"""Called when the store answers at last or again, before the next message: whether it is the one of before."""


class StoreLink:
    """The connection to the store of the settings in force.

    ``failures`` counts failed messages by their state.
    """

    def __init__(self, credential: Credential, on_connect: OnConnect) -> None:
        self.state = StoreState.CONNECTING
        self.failures: dict[StoreState, int] = {}
        self.config: LimitStoreConfig | None = None
        self._credential = credential
        self._on_connect = on_connect
        self._client: StoreClient | None = None
        self._in_use: tuple[LimitStoreConfig, tuple[bytes, ...]] | None = None
        self._last_place: tuple[object, ...] | None = None
        self._connected = asyncio.Event()
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._warner = WarningLimiter(_log)

    @property
    def is_up(self) -> bool:
        """Whether messages are sent to the store."""
        return self._client is not None

    @property
    def is_cluster(self) -> bool:
        """Whether one message may only have counters of one hash slot."""
        return self._in_use is not None and self._in_use[0].redis.mode == "Cluster"

    @property
    def is_first_attempt(self) -> bool:
        """Whether the store was never reached and never failed since it was configured."""
        return self._client is None and self.state is StoreState.CONNECTING

    @property
    def timeout(self) -> float:
        """Seconds that a call may wait."""
        return self.config.timeout / 1000 if self.config is not None else 0.0

    def configure(self, config: LimitStoreConfig | None) -> None:
        """Use another store, or none. Credentials that changed count as another store too."""
        if config is None:
            self.config = None
            self._replace(None)
            self._stop()
            return
        if self._client is None and self.config is None:
            self.state = StoreState.CONNECTING
        self.config = config
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep_connected())
        if self._client is None or self._in_use != self._wanted():
            self._work.set()

    async def connected(self, seconds: float) -> bool:
        """Wait for the first connection; return whether there is one."""
        try:
            async with asyncio.timeout(seconds):
                await self._connected.wait()
        except TimeoutError:
            return self.is_up
        return self.is_up

    async def run(
        self, mode: str, replica: str, keys: Sequence[str], fields: Sequence[str], *, seconds: float | None = None
    ) -> list[int]:
        """Send one message.

        Raises:
            StoreUnusable: it failed, or the circuit is open.
        """
        client = self._client
        if client is None:
            raise StoreUnusable(self.state)
        try:
            return await client.run(mode, replica, keys, fields, seconds=seconds)
        except StoreUnusable as error:
            self._failed(client, error.state)
            raise

    async def command(self, *words: str | bytes) -> Any:
        """Send one command that is not about counters, and return its answer.

        Where the store only refuses it, the circuit stays closed: limits do not depend on it.

        Raises:
            StoreUnusable: it failed, or the circuit is open.
        """
        client = self._client
        if client is None:
            raise StoreUnusable(self.state)
        try:
            return await client.command(*words)
        except StoreUnusable as error:
            if error.state not in _OF_ONE_COMMAND:
                self._failed(client, error.state)
            raise

    def _failed(self, client: StoreClient, state: StoreState) -> None:
        self.failures[state] = self.failures.get(state, 0) + 1
        if client is self._client:  # else a message of before, and the store answers again
            self._warner.warn("the store of limits cannot be used: %s; limits do what their onStoreFailure says", state)
            self.state = state
            self._replace(None)
            self._work.set()

    def _replace(self, client: StoreClient | None) -> None:
        old, self._client = self._client, client
        if client is None:
            self._in_use = None
            self._connected.clear()
        if old is not None:
            task = asyncio.get_running_loop().create_task(old.close())
            _CLOSING.add(task)
            task.add_done_callback(_CLOSING.discard)

    def _stop(self) -> None:
        self._work.set()  # the task ends by itself, where no store is wanted any more

    async def close(self) -> None:
        """Close the connections."""
        task, self._task, self.config = self._task, None, None
        while task is not None and not task.done():  # the library may swallow a cancellation
            task.cancel()
            await asyncio.wait([task], timeout=_CANCEL_SECONDS)
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        await asyncio.gather(*_CLOSING, return_exceptions=True)

    async def _keep_connected(self) -> None:
        """Connect, check, and connect again, until no store is wanted."""
        while self.config is not None:
            if self._client is None or self._in_use != self._wanted():
                await self._connect()
            self._work.clear()
            try:
                async with asyncio.timeout(_CHECK_SECONDS):
                    await self._work.wait()
            except TimeoutError:
                await self._check()

    async def _check(self) -> None:
        client = self._client
        if client is not None:
            try:
                await client.probe(seconds=max(client.timeout, 1.0))
            except StoreUnusable as error:
                self._failed(client, error.state)

    async def _connect(self) -> None:
        """Connect to the store that is wanted now, however long it takes."""
        pause = _FIRST_PAUSE
        while self.config is not None:
            wanted = self._wanted()
            try:
                client = await self._opened(self.config)
            except StoreUnusable as error:
                self._note_unreachable(error.state)
            else:
                self._take(client, wanted)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _note_unreachable(self, state: StoreState) -> None:
        if self._client is None:
            if self.state is not state:
                self._warner.warn("the store of limits cannot be reached: %s", state)
            self.state = state
            self._connected.set()  # calls that waited for the first attempt go on without a store
        else:
            self._warner.warn(
                "the store of limits in the new settings cannot be used: %s; the earlier one stays", state
            )

    async def _opened(self, config: LimitStoreConfig) -> StoreClient:
        if config.problem is not None:
            raise StoreUnusable(StoreState.REFERENCES_MISSING)
        client = StoreClient(config, self._credential)
        try:
            await client.probe(seconds=_CONNECT_SECONDS)
            async with asyncio.TaskGroup() as group:
                for _ in range(_OPENED):
                    group.create_task(client.probe(seconds=_CONNECT_SECONDS))
            await client.probe(seconds=client.timeout)
        except BaseExceptionGroup as errors:
            await client.close()
            found = errors.subgroup(StoreUnusable)
            raise _first(found) if found is not None else errors from None
        except BaseException:
            await client.close()
            raise
        return client

    def _take(self, client: StoreClient, wanted: tuple[LimitStoreConfig, tuple[bytes, ...]] | None) -> None:
        place = _place(wanted)
        is_same, self._last_place = place == self._last_place, place
        self._replace(client)
        self._in_use = wanted
        self.state = StoreState.READY
        self._connected.set()
        self._on_connect(is_same)
        _log.info("the store of limits answers")

    def _wanted(self) -> tuple[LimitStoreConfig, tuple[bytes, ...]] | None:
        """Return the settings with the values of their credentials."""
        if self.config is None:
            return None
        try:
            return self.config, tuple(self._credential(name).reveal() for name in self.config.secrets)
        except CredentialMissing:
            return self.config, ()


def _place(wanted: tuple[LimitStoreConfig, tuple[bytes, ...]] | None) -> tuple[object, ...] | None:
    """Return what tells one store from another, which credentials and timeouts do not."""
    if wanted is None:
        return None
    redis = wanted[0].redis
    return redis.mode, tuple(sorted(redis.addresses)), redis.master_name, redis.database


def _first(errors: BaseExceptionGroup[StoreUnusable]) -> StoreUnusable:
    found = errors.exceptions[0]
    return found if isinstance(found, StoreUnusable) else _first(found)


_CLOSING: set[asyncio.Task[None]] = set()
