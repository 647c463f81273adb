"""The session of a client with several servers.

It is a vector of their sessions, kept in the client's session id.

A session id is given once, on the response to initialize, and never again. So the id holds what every replica needs
for each later request: what the client declared (a server that is initialized later gets the same declaration), and for
each server its own session, with the endpoint that has it. Servers are named by a fingerprint of name and URL: a server
that moved is initialized again.

Ids travel in a header, and proxies before the gateway accept lines of 8 KiB, so the sealed vector has at most 4,096
characters (:data:`ostiary_gateway.seal.SESSION_VECTOR`). Server ids that do not fit are left to the session notes
(:mod:`.session_notes`), the longest first: a server with absurd ids takes no room from the others.
"""

import hashlib
import os
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_gateway.seal import SESSION_VECTOR, Sealer
from ostiary_gateway.session_ids import ENDPOINT_BYTES, UpstreamSession

#: The most bytes of a vector: sealing adds version, key id, nonce, time, tag and base64.
MOST_BYTES: Final = 3000
#: The longest session id of one server; the specification has no limit.
LONGEST_ID: Final = 4096
#: The most servers of one proxy.
MOST_SERVERS: Final = 16
#: The most bytes of what a client declares: capabilities, and who it says it is.
_CAPABILITIES_BYTES: Final = 1024
_INFO_BYTES: Final = 640
#: The characters that are kept of each text of a client that says more than that about itself.
_INFO_TEXT: Final = 64
_INFO_TEXTS: Final = ("name", "version", "title")
#: Members of capabilities that a server can do without.
_OPTIONAL_CAPABILITIES: Final = ("experimental", "extensions")
#: Vectors contain indexes into this list: append only.
_REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
_KEY_BYTES: Final = 12
_FINGERPRINT_BYTES: Final = 8
_HEAD: Final = struct.Struct(f">B{_KEY_BYTES}sBHB")
_SERVER: Final = struct.Struct(f">{_FINGERPRINT_BYTES}sBH")
_FORMAT: Final = 1
#: The format of a vector with the terms of its one server's handshake.
_FORMAT_WITH_TERMS: Final = 2
#: The bytes of such terms (:mod:`..pinned_sessions.handshake_terms`).
TERMS_BYTES: Final = 8
#: Set in the revision's byte of a server whose id is in the session notes.
_NOTED: Final = 0x80
#: Set in the revision's byte of a session that one endpoint of several has: its key follows the id.
_AT_ENDPOINT: Final = 0x40
#: The characters of a session id (specification, Session Management).
_ID: Final = re.compile(r"[\x21-\x7e]+")


class CapabilitiesTooLarge(ValueError):
    """A client declared more capabilities than a session can hold.

    The message says how much it may be.
    """


@dataclass(frozen=True, slots=True)
class ClientDeclaration:
    """What a client declared in its initialize.

    It is declared to each server again, whenever that is initialized.
    """

    capabilities: Mapping[str, Any]
    info: Mapping[str, Any]

    @classmethod
    def read(cls, params: Mapping[str, Any]) -> "ClientDeclaration":
        """Return what the params of an initialize declare, as far as a session can hold it.

        Raises:
            CapabilitiesTooLarge: the capabilities are too large even without experimental ones and extensions.
        """
        capabilities, info = params.get("capabilities"), params.get("clientInfo")
        return cls(
            _bounded_capabilities(capabilities if isinstance(capabilities, dict) else {}),
            _bounded_info(info if isinstance(info, dict) else {}),
        )


@dataclass(frozen=True, slots=True)
class SessionVector(UpstreamSession):
    """The sessions of one client with the servers of a proxy.

    ``upstream_id`` is the key of the session: random, the same for its whole life, and only in sealed ids. ``revision``
    is the client's. ``servers`` has the session of each server that was initialized, by its fingerprint: the id is
    empty for a server that keeps no session, and the revision is a modern one for a server that knows no sessions.
    ``noted`` are servers that were initialized and whose ids are in the session notes only. ``terms`` stand for what a
    client of one server was told in its handshake; they are empty where the gateway answered the handshake itself.
    """

    client: ClientDeclaration
    servers: Mapping[bytes, UpstreamSession]
    noted: frozenset[bytes] = frozenset()
    terms: bytes = b""


def fingerprint(name: str, url: str) -> bytes:
    """Return what stands for a server in a vector."""
    return hashlib.sha256(f"{len(name)}\n{name}\n{url}".encode()).digest()[:_FINGERPRINT_BYTES]


def new_key() -> str:
    """Return the key of a new session, in hexadecimal."""
    return os.urandom(_KEY_BYTES).hex()


def is_session_id(text: str) -> bool:
    """Return whether a server may use a text as its session id, and we can keep it."""
    return len(text) <= LONGEST_ID and _ID.fullmatch(text) is not None


def seal_vector(sealer: Sealer, vector: SessionVector, *, proxy_uid: str, principal: str) -> str:
    """Return the id to give to the client, of a vector that fits (:func:`fitted`).

    Raises:
        Refusal: there is no key yet.
    """
    return sealer.seal(SESSION_VECTOR, encoded(vector), proxy_uid=proxy_uid, principal=principal)


def fitted(vector: SessionVector) -> SessionVector:
    """Return the vector without the ids for which it has no room.

    They are noted, the longest first.
    """
    servers, noted = dict(vector.servers), set(vector.noted)
    size = len(encoded(replace(vector, servers={}, noted=frozenset())))
    size += _SERVER.size * (len(servers) + len(noted))
    size += sum(len(each.upstream_id) + len(each.endpoint) for each in servers.values())
    for mark in sorted(servers, key=lambda mark: (-len(servers[mark].upstream_id), mark)):
        if size <= MOST_BYTES:
            break
        dropped = servers.pop(mark)
        size -= len(dropped.upstream_id) + len(dropped.endpoint)
        noted.add(mark)
    return replace(vector, servers=servers, noted=frozenset(noted))


def encoded(vector: SessionVector) -> bytes:
    """Return a vector as the bytes that are sealed."""
    client = strict_json.dumps([dict(vector.client.capabilities), dict(vector.client.info)])
    rows = [_row(mark, each) for mark, each in vector.servers.items()]
    rows += [_SERVER.pack(mark, _NOTED, 0) for mark in sorted(vector.noted)]
    version = _FORMAT_WITH_TERMS if vector.terms else _FORMAT
    key, revision = bytes.fromhex(vector.upstream_id), _REVISIONS.index(vector.revision)
    return b"".join([_HEAD.pack(version, key, revision, len(client), len(rows)), vector.terms, client, *rows])


def decoded(plain: bytes) -> SessionVector | None:
    """Return the vector in sealed bytes.

    It is None where a newer replica wrote something that this one does not know.
    """
    try:
        version, key, revision, length, count = _HEAD.unpack_from(plain)
        if version not in (_FORMAT, _FORMAT_WITH_TERMS):
            return None
        begin = _HEAD.size + (TERMS_BYTES if version == _FORMAT_WITH_TERMS else 0)
        start = begin + length
        client = ClientDeclaration(*strict_json.loads(plain[begin:start]))
        servers, noted = _servers(plain, start, count)
        return SessionVector(key.hex(), _REVISIONS[revision], client, servers, noted, plain[_HEAD.size : begin])
    except (struct.error, StrictJSONError, IndexError, ValueError, TypeError):
        return None


def _servers(plain: bytes, start: int, count: int) -> tuple[dict[bytes, UpstreamSession], frozenset[bytes]]:
    servers: dict[bytes, UpstreamSession] = {}
    noted: set[bytes] = set()
    for _ in range(count):
        mark, revision, length = _SERVER.unpack_from(plain, start)
        begin = start + _SERVER.size
        start = end = begin + length
        if revision & _NOTED:
            noted.add(mark)
            continue
        if revision & _AT_ENDPOINT:
            start += ENDPOINT_BYTES
        servers[mark] = UpstreamSession(
            plain[begin:end].decode(), _REVISIONS[revision & ~_AT_ENDPOINT], endpoint=plain[end:start]
        )
    if start != len(plain):
        raise ValueError("the vector has another length than it says")
    return servers, frozenset(noted)


def _row(mark: bytes, session: UpstreamSession) -> bytes:
    identifier = session.upstream_id.encode()
    revision = _REVISIONS.index(session.revision) | (_AT_ENDPOINT if session.endpoint else 0)
    return _SERVER.pack(mark, revision, len(identifier)) + identifier + session.endpoint


def _bounded_capabilities(capabilities: dict[str, Any]) -> dict[str, Any]:
    if _size(capabilities) <= _CAPABILITIES_BYTES:
        return capabilities
    kept = {name: each for name, each in capabilities.items() if name not in _OPTIONAL_CAPABILITIES}
    if _size(kept) > _CAPABILITIES_BYTES:
        words = "capabilities may have %d bytes without %s"
        raise CapabilitiesTooLarge(words % (_CAPABILITIES_BYTES, " and ".join(_OPTIONAL_CAPABILITIES)))
    return kept


def _bounded_info(info: dict[str, Any]) -> dict[str, Any]:
    if _size(info) <= _INFO_BYTES:
        return info
    return {name: _cut(info[name]) for name in _INFO_TEXTS if isinstance(info.get(name), str)}


def _cut(text: str) -> str:
    return text.encode()[:_INFO_TEXT].decode("utf-8", "ignore")


def _size(value: Iterable[Any]) -> int:
    return len(strict_json.dumps(value))
