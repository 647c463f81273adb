"""Sessions with legacy servers that the gateway opens for modern callers, which have none.

They are kept between calls by caller, server, credential and capabilities: never shared by two principals, and a caller
that declares other capabilities gets another one. An anonymous caller cannot be told from another, so each of its calls
has a session of its own. A session that is unused for a while is ended.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final
from weakref import WeakKeyDictionary

from ostiary_core import strict_json
from ostiary_gateway.bridge.to_legacy import legacy_client_capabilities
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.bridged.legacy_session import LegacySession, open_legacy_session
from ostiary_gateway.pipeline.bridged.server_link import ServerLink
from ostiary_gateway.pipeline.continuations.callers import credential_mark
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import is_gone
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer

_log = logging.getLogger(__name__)

#: Seconds after which an unused session is ended, and between two searches for such.
IDLE_SECONDS: Final = 300.0
_SWEEP_SECONDS: Final = 60.0
#: The most sessions that are kept: of one caller at one server, and of all.
MOST_PER_CALLER: Final = 8
MOST_SESSIONS: Final = 4096
#: The most bytes that what client and server declared may take: of one session that is kept, and of all.
_LARGEST: Final = 64 << 10
_BYTES_IN_ALL: Final = 32 << 20
#: Seconds to end a session, and to end all when the gateway stops.
_END_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Opening:
    """Calls that open the same session, one after the other.

    ``calls`` have begun, and not ended.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    calls: int = 0


class _Caller:
    """The sessions of one caller at one server, by what it declares.

    The least recently used first.
    """

    def __init__(self) -> None:
        self.sessions: OrderedDict[bytes, LegacySession] = OrderedDict()
        self.opening: dict[bytes, _Opening] = {}

    @property
    def is_unused(self) -> bool:
        """Whether nothing of it is kept, and nothing is being opened."""
        return not self.sessions and not self.opening


class LegacySessions:
    """The sessions of one gateway process. Must be used within one event loop."""

    def __init__(self) -> None:
        self._servers: WeakKeyDictionary[UpstreamServer, dict[str, _Caller]] = WeakKeyDictionary()
        self._kept = 0
        self._bytes = 0
        self._background: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def kept(self) -> int:
        """The number of sessions that are kept for further calls."""
        return self._kept

    async def acquire(self, exchange: Exchange, server: UpstreamServer, span: ServerSpan) -> LegacySession:
        """Return a session for a call; :meth:`release` must be called for it.

        Raises:
            UpstreamFault: the server opens none.
            Refusal: its caller's credential cannot be sent.
        """
        meta = exchange.message.params.get("_meta") if exchange.message is not None else None
        meta = meta if isinstance(meta, dict) else {}
        session = await self._kept_session(exchange, server, span, meta)
        session.users += 1
        return session

    async def acquire_single(self, exchange: Exchange, server: UpstreamServer, span: ServerSpan) -> LegacySession:
        """Return a session that no other call uses, such as for a stream of changes.

        Raises:
            UpstreamFault, Refusal: as for :meth:`acquire`.
        """
        meta = exchange.message.params.get("_meta") if exchange.message is not None else None
        session = await open_legacy_session(
            exchange, server, span, meta if isinstance(meta, dict) else {}, is_single=True
        )
        session.users += 1
        return session

    async def _kept_session(
        self, exchange: Exchange, server: UpstreamServer, span: ServerSpan, meta: Mapping[str, Any]
    ) -> LegacySession:
        name = _caller_name(exchange)
        if name is None:
            return await open_legacy_session(exchange, server, span, meta, is_single=True)
        callers = self._servers.setdefault(server, {})
        caller = callers.setdefault(name, _Caller())
        declared = strict_json.dumps(legacy_client_capabilities(meta))
        found = self._found(caller, declared)
        if found is not None:
            return self._used(found, caller, declared, exchange)
        try:
            return await self._open_once(exchange, server, span, meta, caller, declared)
        finally:
            if caller.is_unused and callers.get(name) is caller:
                del callers[name]  # a caller that the server refuses leaves nothing

    async def _open_once(
        self,
        exchange: Exchange,
        server: UpstreamServer,
        span: ServerSpan,
        meta: Mapping[str, Any],
        caller: _Caller,
        declared: bytes,
    ) -> LegacySession:
        """Open a session, unless another call of the caller is just doing so."""
        turn = caller.opening.setdefault(declared, _Opening())
        turn.calls += 1
        try:
            async with turn.lock:
                found = self._found(caller, declared)
                if found is not None:
                    return self._used(found, caller, declared, exchange)
                is_single = not self._has_room(caller)
                session = await open_legacy_session(exchange, server, span, meta, is_single=is_single)
                session.size += len(declared)
                session.is_single = is_single or session.size > _LARGEST
                if not session.is_single:
                    self._keep(session, caller, declared)
                return session
        finally:
            turn.calls -= 1
            if not turn.calls:  # a lock that is free may still have calls that wait for it
                del caller.opening[declared]

    def _found(self, caller: _Caller, declared: bytes) -> LegacySession | None:
        """Return the session that is kept, unless the endpoint that has it is not there any more."""
        found = caller.sessions.get(declared)
        if found is None or not is_gone(found.link.server, found.at_server):
            return found
        self._dropped(caller, declared).session_id = None  # nothing is left to end
        return None

    def _used(self, session: LegacySession, caller: _Caller, declared: bytes, exchange: Exchange) -> LegacySession:
        caller.sessions.move_to_end(declared)
        session.link = ServerLink.of(exchange, session.link.server)
        return session

    def _has_room(self, caller: _Caller) -> bool:
        """Make room for one more session of a caller; return whether there is."""
        if self._is_full():
            self._sweep_idle(seconds=0.0)
        if len(caller.sessions) >= MOST_PER_CALLER:
            oldest = next((key for key, each in caller.sessions.items() if not each.users), None)
            if oldest is not None:
                self._end(self._dropped(caller, oldest))
        return not self._is_full() and len(caller.sessions) < MOST_PER_CALLER

    def _is_full(self) -> bool:
        return self._kept >= MOST_SESSIONS or self._bytes >= _BYTES_IN_ALL

    def _keep(self, session: LegacySession, caller: _Caller, declared: bytes) -> None:
        caller.sessions[declared] = session
        self._kept += 1
        self._bytes += session.size
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _dropped(self, caller: _Caller, declared: bytes) -> LegacySession:
        session = caller.sessions.pop(declared)
        self._kept -= 1
        self._bytes -= session.size
        return session

    def release(self, session: LegacySession) -> None:
        """Note that a call needs its session no more."""
        session.users -= 1
        session.idle_since = monotonic()
        if session.is_single and not session.users:
            self._end(session)

    def lose(self, session: LegacySession) -> None:
        """Forget a session that its server has forgotten. It must still be released."""
        for caller in self._servers.get(session.link.server, {}).values():
            for key in [key for key, each in caller.sessions.items() if each is session]:
                self._dropped(caller, key)
        session.session_id = None  # nothing is left to end

    def _sweep(self) -> None:
        self._sweeping = None
        self._sweep_idle(seconds=IDLE_SECONDS)
        if self._kept:
            self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep_idle(self, *, seconds: float) -> None:
        """End sessions that have been unused for so long."""
        before = monotonic() - seconds
        for callers in self._servers.values():
            for name, caller in list(callers.items()):
                for key in [k for k, each in caller.sessions.items() if not each.users and each.idle_since <= before]:
                    self._end(self._dropped(caller, key))
                if caller.is_unused:
                    del callers[name]

    def _end(self, session: LegacySession) -> None:
        """Tell the server that a session is over, without waiting for it."""
        if session.session_id is not None:
            self.run(session.link.end_session(session.at_server))

    def run(self, work: Coroutine[Any, Any, object]) -> None:
        """Do some last work for a call that is over, such as cancelling it.

        Its failure matters to no one.
        """
        task = asyncio.get_running_loop().create_task(_within(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """End all sessions, as far as their servers answer soon."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for callers in self._servers.values():
            for caller in callers.values():
                for key in tuple(caller.sessions):
                    self._end(self._dropped(caller, key))
            callers.clear()
        await asyncio.gather(*self._background, return_exceptions=True)


async def _within(work: Coroutine[Any, Any, object]) -> None:
    with suppress(UpstreamFault, Refusal, TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            await work


def _caller_name(exchange: Exchange) -> str | None:
    """Return what sessions of a caller are kept by.

    None for one that cannot be told from others.
    """
    mark = credential_mark(exchange)
    return exchange.principal.id + mark if exchange.principal.authenticated or mark else None
