"""Session notes in the store of limits, so that every replica has them.

A :class:`~.session_notes.SharedStore`.

A session is one hash, whose fields are the sessions of servers, the log level and the subscriptions. Its values are
sealed: who can read or write the store can neither use a session of a server nor put one in the place of another. The
hash expires with the session id that it belongs to. It needs no rights that the counters do not need
(``HGETALL``, ``HMGET``, ``HSET``, ``HDEL``, ``PEXPIRE`` on ``{ostiary:*``, and ``EVAL``).

Two replicas may find at the same moment that a session is lost, and both open another one. The first one that notes its
own wins: the other one is told so, and ends its own.

Where the store fails, a replica has what it noted itself, and initializes a server again where it must.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ostiary_core.errors import OstiaryError
from ostiary_gateway.pipeline.merged_sessions.session_notes import (
    MOST_SUBSCRIPTIONS,
    SessionKey,
    SessionNote,
)
from ostiary_gateway.pipeline.merged_sessions.session_vector import MOST_SERVERS
from ostiary_gateway.seal import Purpose, Sealer
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)

#: One value of a note: a server's session id, a URI, or a log level.
NOTE: Final = Purpose("n1.", "session note v1", 24 * 1024)
#: Where something of a session is open: the handle of what waits in a replica.
PLACE: Final = Purpose("p1.", "session place v1", 1024)
_SERVER: Final = "s"
_LEVEL: Final = "l"
_URI: Final = "u"
_ENDED: Final = "e"
#: Sets a field if it still is what the replica has read (empty for none), and the session has not ended. Returns
#: whether it did.
_REPLACE: Final = """
local held = redis.call('HMGET', KEYS[1], ARGV[1], ARGV[5])
if (held[1] or '') ~= ARGV[2] or held[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
#: How often a replica tries to replace a field that others change meanwhile.
_TRIALS: Final = 4
#: More fields than this were not written by a gateway.
_MOST_FIELDS: Final = 2 * (MOST_SERVERS + MOST_SUBSCRIPTIONS)


class NotesStore(Protocol):
    """The store: a Redis, or the supervisor of a pod's workers."""

    async def command(self, *words: str) -> Any:
        """Return the answer to a command.

        Raises:
            OstiaryError: there is none.
        """


class SharedNotes:
    """The notes of all replicas, or of all workers of a pod.

    ``link`` leads to the store, ``max_age`` returns how old a session may be, in ms.
    """

    def __init__(self, link: NotesStore, sealer: Sealer, *, max_age: Callable[[], int]) -> None:
        self.link = link
        self._sealer = sealer
        self._max_age = max_age
        self._warner = WarningLimiter(_log)

    async def read(self, key: SessionKey) -> SessionNote | None:
        """Return what is noted of a session; None where the store failed."""
        found = await self._command("HGETALL", _name(key))
        fields = _fields(found)
        if found is None or len(fields) > _MOST_FIELDS:
            return None
        note = SessionNote()
        for field, value in fields.items():
            self._take(note, key, field, value)
        return note

    async def note_server(self, key: SessionKey, mark: bytes, session: UpstreamSession) -> None:
        """Note the session of a server."""
        await self._set(key, f"{_SERVER}{mark.hex()}", _words(session))

    async def replace_server(
        self, key: SessionKey, mark: bytes, session: UpstreamSession, *, is_lost: Callable[[UpstreamSession], bool]
    ) -> UpstreamSession | None:
        """Note the session of a server where there is none yet, or only one that is lost.

        Return the one that is noted then: this one, or that which another replica has noted before. None where the
        client has ended its session meanwhile.
        """
        field = f"{_SERVER}{mark.hex()}"
        sealed = self._sealed(key, field, _words(session), NOTE)
        for _ in range(_TRIALS):
            fields = _fields(await self._command("HGETALL", _name(key)))
            noted = SessionNote()
            for each in fields.keys() & {field, _ENDED}:
                self._take(noted, key, each, fields[each])
            if noted.ended:
                return None
            found = noted.servers.get(mark)
            if found is not None and not is_lost(found):
                return found
            before, age = fields.get(field, ""), str(self._max_age())
            if await self._command("EVAL", _REPLACE, "1", _name(key), field, before, sealed, age, _ENDED) in (1, None):
                break
        return session

    async def note_log_level(self, key: SessionKey, level: str) -> None:
        """Note the log level."""
        await self._set(key, _LEVEL, level)

    async def note_subscription(self, key: SessionKey, mark: bytes, uri: str, *, subscribed: bool) -> bool:
        """Note that a client has subscribed to a URI of a server, or no longer has.

        Return False where the store failed.
        """
        field = f"{_URI}{mark.hex()}{hashlib.sha256(uri.encode()).hexdigest()[:32]}"
        if subscribed:
            return await self._set(key, field, uri)
        return await self._command("HDEL", _name(key), field) is not None

    async def note_end(self, key: SessionKey) -> None:
        """Forget what is noted of a session, and note that it has ended."""
        fields = _fields(await self._command("HGETALL", _name(key)))
        if fields:
            await self._command("HDEL", _name(key), *fields)
        await self._set(key, _ENDED, "ended")

    async def note_place(self, key: SessionKey, name: str, handle: str) -> None:
        """Note where something of a session is open."""
        await self._set(key, name, handle, PLACE)

    async def forget_place(self, key: SessionKey, name: str) -> None:
        """Note that it no longer is."""
        await self._command("HDEL", _name(key, PLACE), name)

    async def places(self, key: SessionKey) -> Mapping[str, str]:
        """Return the handles of what is open of a session, by name.

        There are none where the store failed.
        """
        fields = _fields(await self._command("HGETALL", _name(key, PLACE)))
        opened = ((name, self._opened(key, name, sealed, PLACE)) for name, sealed in fields.items())
        return {name: handle for name, handle in opened if handle is not None}

    async def _set(self, key: SessionKey, field: str, value: str, purpose: Purpose = NOTE) -> bool:
        name = _name(key, purpose)
        if await self._command("HSET", name, field, self._sealed(key, field, value, purpose)) is None:
            return False
        await self._command("PEXPIRE", name, str(self._max_age()))
        return True

    def _sealed(self, key: SessionKey, field: str, value: str, purpose: Purpose) -> str:
        plain = f"{key.key}\n{field}\n{value}".encode()
        return self._sealer.seal(purpose, plain, proxy_uid=key.proxy_uid, principal=key.principal)

    def _opened(self, key: SessionKey, field: str, sealed: str, purpose: Purpose) -> str | None:
        """Return the value of a field, if it is what a gateway wrote there for this session."""
        plain = self._sealer.open(
            purpose, sealed, proxy_uid=key.proxy_uid, principal=key.principal, max_age=self._max_age() / 1000
        )
        begin = f"{key.key}\n{field}\n"
        text = plain.decode() if plain is not None else ""
        return text.removeprefix(begin) if text.startswith(begin) else None

    def _take(self, note: SessionNote, key: SessionKey, field: str, sealed: str) -> None:
        """Add one field to a note, if it is what a gateway wrote there for this session."""
        value = self._opened(key, field, sealed, NOTE)
        if value is None:
            return
        if field == _LEVEL:
            note.log_level = value
        elif field == _ENDED:
            note.ended = True
        elif field.startswith(_SERVER):
            revision, upstream_id, *rest = value.split("\n")
            endpoint = bytes.fromhex(rest[0]) if rest else b""
            note.servers[bytes.fromhex(field[1:])] = UpstreamSession(upstream_id, revision, endpoint=endpoint)
        else:
            note.subscriptions.setdefault(bytes.fromhex(field[1:17]), set()).add(value)

    async def _command(self, *words: str) -> Any:
        """Send a command; None where the store failed, and then the replica's own notes must do."""
        try:
            return await self.link.command(*words)
        except OstiaryError as error:
            self._warner.warn("the store of session notes cannot be used: %s; each replica keeps its own", error)
            return None


def _words(session: UpstreamSession) -> str:
    """Return a session of a server as the value of its field."""
    words = [session.revision, session.upstream_id, *([session.endpoint.hex()] if session.endpoint else [])]
    return "\n".join(words)


def _name(key: SessionKey, purpose: Purpose = NOTE) -> str:
    namespace, kind = key.proxy.partition("/")[0], "s" if purpose is NOTE else "p"
    return f"{{ostiary:{namespace}}}:{kind}:{hashlib.sha256(key.proxy_uid.encode()).hexdigest()[:16]}:{key.key}"


def _fields(found: Any) -> Mapping[str, str]:
    """Return the fields of a hash, as the library gives them.

    A mapping, or keys and values in turn.
    """
    if isinstance(found, list):
        found = dict(zip(found[::2], found[1::2], strict=False))
    if not isinstance(found, Mapping):
        return {}
    pairs = ((_text(field), _text(value)) for field, value in found.items())
    return {field: value for field, value in pairs if field and value}


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""
