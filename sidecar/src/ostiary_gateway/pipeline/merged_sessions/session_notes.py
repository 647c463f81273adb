"""What a gateway learns of a client's session after its id was given: the session notes.

A session id cannot change, so what comes later lies here, by the key of the session: the sessions of servers that were
late or had to be initialized again, the log level, and what the client subscribed to, which a server that was
initialized again is told again.

Where notes lie is a setting of the gateway. ``Local``: in the memory of the replica, so another replica initializes the
server again, and does not know earlier subscriptions. ``Shared``: also in the store of limits, so that all replicas
have them (:mod:`.shared_notes`). ``None``: nowhere; then neither logging nor subscriptions are advertised.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from ostiary_gateway.session_ids import UpstreamSession

#: Sessions of one proxy that are remembered, and of all together; the ones that were used least recently go first.
_OF_ONE_PROXY: Final = 4096
_IN_ALL: Final = 32_768
#: The bytes that they may take.
_BYTES_OF_ONE_PROXY: Final = 16 << 20
_BYTES_IN_ALL: Final = 64 << 20
#: The approximate size of a note, and of each of its texts besides their characters.
_OVERHEAD: Final = 512
#: Subscriptions of one session.
MOST_SUBSCRIPTIONS: Final = 256
#: Bytes of all subscribed URIs of one session.
MOST_URI_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class SessionNote:
    """What is known of one session besides its id.

    ``servers`` are sessions that take the place of those in the vector, by the server's fingerprint. ``subscriptions``
    are the URIs as their server knows them, by the same. ``ended`` once the client has ended the session: its id still
    opens, and must not be good for anything.
    """

    servers: dict[bytes, UpstreamSession] = field(default_factory=dict)
    log_level: str | None = None
    subscriptions: dict[bytes, set[str]] = field(default_factory=dict)
    ended: bool = False
    #: Subscriptions that the store did not take, by the server's fingerprint and URI.
    unshared: set[tuple[bytes, str]] = field(default_factory=set)
    #: The size that is counted for it.
    counted: int = field(default=0, compare=False)

    @property
    def size(self) -> int:
        """The approximate number of bytes that it takes."""
        texts = [each.upstream_id for each in self.servers.values()]
        texts += [uri for uris in self.subscriptions.values() for uri in uris]
        return _OVERHEAD + sum(len(text) + _OVERHEAD // 4 for text in texts)

    def has_room_for(self, uri: str) -> bool:
        """Return whether one more subscription can be noted."""
        uris = [each for some in self.subscriptions.values() for each in some]
        return len(uris) < MOST_SUBSCRIPTIONS and sum(map(len, uris)) + len(uri) <= MOST_URI_BYTES

    def update(self, other: "SessionNote") -> None:
        """Take over what another replica has noted."""
        self.servers.update(other.servers)
        self.log_level = other.log_level or self.log_level
        self.ended = self.ended or other.ended
        # Another replica may have ended subscriptions that this one knows.
        self.subscriptions = {mark: set(uris) for mark, uris in other.subscriptions.items()}
        for mark, uri in self.unshared:
            self.subscriptions.setdefault(mark, set()).add(uri)


class SessionKey(NamedTuple):
    """One session of one caller at one proxy."""

    proxy: str
    proxy_uid: str
    principal: str
    key: str


class SharedStore(Protocol):
    """Notes that all replicas have.

    None of its methods raises: a store that fails holds nothing for now.
    """

    async def read(self, key: SessionKey) -> SessionNote | None:
        """Return what is noted of a session; None where the store failed."""

    async def note_server(self, key: SessionKey, mark: bytes, session: UpstreamSession) -> None:
        """Note the session of a server."""

    async def replace_server(
        self, key: SessionKey, mark: bytes, session: UpstreamSession, *, is_lost: Callable[[UpstreamSession], bool]
    ) -> UpstreamSession | None:
        """Note the session of a server where there is none yet, or only one that is lost.

        Return the one that is noted then: this one, or that which another replica has noted before. None where the
        client has ended its session meanwhile.
        """

    async def note_log_level(self, key: SessionKey, level: str) -> None:
        """Note the log level."""

    async def note_subscription(self, key: SessionKey, mark: bytes, uri: str, *, subscribed: bool) -> bool:
        """Note that a client has subscribed to a URI of a server, or no longer has.

        Return False where the store failed.
        """

    async def note_end(self, key: SessionKey) -> None:
        """Forget what is noted of a session, and note that it has ended."""

    async def note_place(self, key: SessionKey, name: str, handle: str) -> None:
        """Note where something of a session is open (:mod:`.session_places`)."""

    async def forget_place(self, key: SessionKey, name: str) -> None:
        """Note that it no longer is."""

    async def places(self, key: SessionKey) -> Mapping[str, str]:
        """Return the handles of what is open of a session, by name.

        There are none where the store failed.
        """


class SessionNotes:
    """The notes of one replica; with ``shared`` they are also in a store of all replicas."""

    def __init__(self) -> None:
        self.shared: SharedStore | None = None
        #: False where the settings say None.
        self.are_kept = True
        self._by_proxy: dict[str, OrderedDict[str, SessionNote]] = {}
        self._bytes: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        """The number of sessions that this replica remembers."""
        return self._count

    def known(self, key: SessionKey) -> SessionNote | None:
        """Return what this replica remembers of a session."""
        notes = self._by_proxy.get(key.proxy)
        found = notes.get(key.key) if notes is not None else None
        if notes is not None and found is not None:
            notes.move_to_end(key.key)
        return found

    async def looked_up(self, key: SessionKey) -> SessionNote:
        """Return what any replica has noted of a session, and remember it here."""
        note = self._own(key) if self.are_kept else SessionNote()
        found = await self.shared.read(key) if self.shared is not None else None
        if found is not None:
            note.update(found)
            self._weigh(key, note)
        return note

    async def note_server(self, key: SessionKey, mark: bytes, session: UpstreamSession) -> None:
        """Note that a server has another session than the one in the vector."""
        if not self.are_kept:
            return
        note = self._own(key)
        note.servers[mark] = session
        self._weigh(key, note)
        if self.shared is not None:
            await self.shared.note_server(key, mark, session)

    async def replace_server(
        self, key: SessionKey, mark: bytes, session: UpstreamSession, *, is_lost: Callable[[UpstreamSession], bool]
    ) -> UpstreamSession | None:
        """Note the session that takes the place of a lost one, unless another replica was faster.

        Return the session that all replicas know then; None where the client has ended its own meanwhile. Replicas
        that share no notes may each have another one (notes ``Local``).
        """
        noted: UpstreamSession | None = session
        if self.shared is not None:
            noted = await self.shared.replace_server(key, mark, session, is_lost=is_lost)
        note = self._own(key)
        if noted is None or note.ended:
            return None
        note.servers[mark] = noted
        self._weigh(key, note)
        return noted

    async def note_log_level(self, key: SessionKey, level: str) -> None:
        """Note the log level that the client has set."""
        if not self.are_kept:
            return
        self._own(key).log_level = level
        if self.shared is not None:
            await self.shared.note_log_level(key, level)

    async def note_subscription(self, key: SessionKey, mark: bytes, uri: str, *, subscribed: bool) -> None:
        """Note that the client has subscribed to a URI of a server, or no longer has."""
        if not self.are_kept:
            return
        note = self._own(key)
        uris = note.subscriptions.setdefault(mark, set())
        (uris.add if subscribed else uris.discard)(uri)
        note.unshared.discard((mark, uri))
        self._weigh(key, note)
        if self.shared is not None:
            is_shared = await self.shared.note_subscription(key, mark, uri, subscribed=subscribed)
            if subscribed and not is_shared:
                note.unshared.add((mark, uri))

    async def note_end(self, key: SessionKey) -> None:
        """Forget what is noted of a session, and note that its client has ended it."""
        if not self.are_kept:
            return
        note = self._own(key)
        note.servers, note.subscriptions, note.unshared, note.ended = {}, {}, set(), True
        self._weigh(key, note)
        if self.shared is not None:
            await self.shared.note_end(key)

    def forget_proxies(self, served: frozenset[str]) -> None:
        """Forget the sessions of proxies that are no longer served."""
        for proxy in [each for each in self._by_proxy if each not in served]:
            self._count -= len(self._by_proxy.pop(proxy))
            del self._bytes[proxy]

    def _own(self, key: SessionKey) -> SessionNote:
        """Return the note of a session, which is new where there was none.

        A proxy with many sessions takes the room of its own before it takes that of others.
        """
        notes = self._by_proxy.setdefault(key.proxy, OrderedDict())
        note = notes.get(key.key)
        if note is not None:
            notes.move_to_end(key.key)
            return note
        if len(notes) >= _OF_ONE_PROXY:
            self._forget_oldest(key.proxy)
        elif self._count >= _IN_ALL:
            self._forget_oldest(max(self._by_proxy, key=lambda each: len(self._by_proxy[each])))
        self._count += 1
        note = notes[key.key] = SessionNote()
        self._weigh(key, note)
        return note

    def _weigh(self, key: SessionKey, note: SessionNote) -> None:
        """Count the size of a note that has changed, and make room for it."""
        notes = self._by_proxy.get(key.proxy)
        if notes is None or notes.get(key.key) is not note:
            return  # it was forgotten meanwhile
        size = note.size
        self._bytes[key.proxy] += size - note.counted
        note.counted = size
        while self._bytes[key.proxy] > _BYTES_OF_ONE_PROXY and len(notes) > 1:
            self._forget_oldest(key.proxy)
        while self._bytes.total() > _BYTES_IN_ALL and self._count > 1:
            self._forget_oldest(max(self._bytes, key=lambda each: self._bytes[each]))

    def _forget_oldest(self, proxy: str) -> None:
        """Forget the session of a proxy that was used least recently."""
        _, note = self._by_proxy[proxy].popitem(last=False)
        self._bytes[proxy] -= note.counted
        self._count -= 1
