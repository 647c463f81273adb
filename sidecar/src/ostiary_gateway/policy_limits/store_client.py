"""Runs the script of counters in the shared store, and says why it cannot be used.

Nothing that the library or the store says is logged or reported: it may contain an address with a password. Of an
answer of the store only its first word decides, which is one of Redis' own codes.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    SlotNotCoveredError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ostiary_core.contract.limit_store import LimitStoreConfig
from ostiary_core.errors import OstiaryError
from ostiary_core.limit_store_states import StoreState
from ostiary_gateway.errors import CredentialMissing
from ostiary_gateway.policy_limits.counter_script import RESULTS, SCRIPT
from ostiary_gateway.policy_limits.store_connections import CONNECTIONS, Credential, connect

_DIGEST: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
#: Seconds that closing waits, first for the commands in flight and then for the connections.
_CLOSE_SECONDS: Final = 2.0
#: A counter that is written to find out whether the store takes writes of ours; one request in flight, of many.
_PROBE_KEY: Final = "{ostiary:}:probe"
_PROBE_FIELDS: Final = ("n", *["0"] * 11, "1000000", "1", "0", "0", "0")

#: The first that fits says what is wrong.
_STATES: Final[tuple[tuple[tuple[type[BaseException], ...], StoreState], ...]] = (
    ((CredentialMissing,), StoreState.CREDENTIAL_MISSING),
    ((NoPermissionError, AuthorizationError), StoreState.NOT_PERMITTED),
    ((AuthenticationError,), StoreState.CREDENTIALS_REFUSED),
    ((ReadOnlyError,), StoreState.READ_ONLY),
    ((OutOfMemoryError,), StoreState.FULL),
    ((MasterNotFoundError, ClusterDownError, SlotNotCoveredError), StoreState.NO_PRIMARY),
    ((ssl.SSLError, ssl.CertificateError, ValueError), StoreState.CERTIFICATE_REFUSED),
    ((RedisTimeoutError, TimeoutError), StoreState.TIMEOUT),
    ((BusyLoadingError, RedisConnectionError, RedisClusterException, OSError, EOFError), StoreState.UNREACHABLE),
)
#: Codes of Redis that the library has no class for.
_CODES: Final = {
    "NOAUTH": StoreState.CREDENTIALS_REFUSED,
    "WRONGPASS": StoreState.CREDENTIALS_REFUSED,
    "NOPERM": StoreState.NOT_PERMITTED,
    "OOM": StoreState.FULL,
    "READONLY": StoreState.READ_ONLY,
    "MISCONF": StoreState.READ_ONLY,
    "NOREPLICAS": StoreState.READ_ONLY,
    "MASTERDOWN": StoreState.NO_PRIMARY,
    "CLUSTERDOWN": StoreState.NO_PRIMARY,
}


class StoreUnusable(OstiaryError):
    """The store did not answer, or with an error. ``state`` says why."""

    def __init__(self, state: StoreState) -> None:
        super().__init__(state.value)
        self.state = state


class StoreClient:
    """One connected store. Its methods end within the timeout of the settings."""

    def __init__(self, config: LimitStoreConfig, credential: Credential) -> None:
        self.timeout = config.timeout / 1000
        try:
            self._client = connect(config.redis, credential, timeout=self.timeout)
        except (OSError, ValueError, OstiaryError) as error:
            raise StoreUnusable(state_of(error)) from None
        self._turn = asyncio.Semaphore(CONNECTIONS)

    async def probe(self, *, seconds: float) -> None:
        """Check within so many seconds that the script can be run, and load it.

        Raises:
            StoreUnusable: it cannot.
        """
        await self._guarded(self._run("take", "probe", [_PROBE_KEY], _PROBE_FIELDS), seconds)

    async def run(
        self, mode: str, replica: str, keys: Sequence[str], fields: Sequence[str], *, seconds: float | None = None
    ) -> list[int]:
        """Run the script once on the counters of ``keys``, which have one hash tag.

        Raises:
            StoreUnusable: it was not run, or whether it was is not known.
        """
        told = await self._guarded(self._run(mode, replica, keys, fields), self.timeout if seconds is None else seconds)
        if len(told) != 1 + (0 if mode == "settle" else len(RESULTS) * len(keys)):
            raise StoreUnusable(StoreState.FAILED)
        return told

    async def command(self, *words: str | bytes) -> Any:
        """Send one command and return its answer.

        It is one of those that the documented rights of the user contain.

        Raises:
            StoreUnusable: it was not run, or whether it was is not known.
        """
        return await self._timed(self._command(words), self.timeout)

    async def _command(self, words: Sequence[str | bytes]) -> Any:
        async with self._turn:
            return await self._client.execute_command(*words)

    async def _run(self, mode: str, replica: str, keys: Sequence[str], fields: Sequence[str]) -> Any:
        arguments = (len(keys), *keys, mode, replica, *fields)
        async with self._turn:
            try:
                return await self._client.execute_command("EVALSHA", _DIGEST, *arguments)
            except NoScriptError:
                return await self._client.execute_command("EVAL", SCRIPT, *arguments)

    async def _timed(self, running: Any, seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await running
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  the library raises many kinds, some of no common base
            raise StoreUnusable(state_of(error)) from None

    async def _guarded(self, running: Any, seconds: float) -> list[int]:
        told = await self._timed(running, seconds)
        if not isinstance(told, list) or not all(
            isinstance(value, bytes) and value.lstrip(b"-").isdigit() for value in told
        ):
            raise StoreUnusable(StoreState.FAILED)  # something else speaks the same protocol
        return list(map(int, told))

    async def close(self) -> None:
        """Close its connections once the commands in flight have ended; it sends none after."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                for _ in range(CONNECTIONS):
                    await self._turn.acquire()
        except TimeoutError:
            pass  # what still waits for the store loses its connection
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._client.aclose()
        except Exception:  # noqa: BLE001, S110  likewise; it is gone anyway
            pass


def state_of(error: BaseException) -> StoreState:
    """Return what an error of the library says about the store."""
    if isinstance(error, ResponseError):
        words = str(error).split(None, 1)
        code = next((state for code, state in _CODES.items() if words and words[0].rstrip(":") == code), None)
        if code is not None:
            return code
    causes = [error, error.__cause__, error.__context__]
    for kinds, state in _STATES:
        if any(isinstance(each, kinds) for each in causes):
            return state
    return StoreState.FAILED
