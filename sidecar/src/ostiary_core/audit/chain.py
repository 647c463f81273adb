"""The hash chain of an audit trail: one for each process that writes one.

Each line ends with its place in the chain, and the last member of that is a hash over every byte of the line before it:

    {"apiVersion":…,"kind":…,…,"chain":{"id":"<replica>/<start>","seq":7,"prev":"<hash of line 6>","hash":"<SHA-256>"}}
    ╰─────────────────────────────── covered by the hash ──────────────────────────────╯

So the hash covers the record as it was written, the id, the number and the previous hash, and no canonical form is
needed to check it: ``sha256sum`` of the covered bytes is the hash. Numbers start at 1; the first line names
:data:`NO_HASH` as the previous one.
"""

import re
from hashlib import sha256
from typing import Final, NamedTuple

from ostiary_core.audit.record_layout import MAX_CHAIN_BYTES

#: The previous hash of the first line.
NO_HASH: Final = "0" * 64
#: What an id may hold: it needs no escaping in JSON, in a shell, or in a table.
CHAIN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}")
#: The end of a line, from the hash on.
_HASH_MEMBER: Final = b',"hash":"'
_SUFFIX_BYTES: Final = len(_HASH_MEMBER) + 64 + len('"}}')
_CHAIN: Final = re.compile(
    rb',"chain":\{"id":"([A-Za-z0-9][A-Za-z0-9._:/-]{0,199})","seq":([1-9][0-9]{0,15}),'
    rb'"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}\}\Z'
)


class ChainPosition(NamedTuple):
    """A record of a chain.

    ``seq`` counts from 1, and is 0 before the first; ``hash`` is hexadecimal.
    """

    id: str
    seq: int
    hash: str


class Link(NamedTuple):
    """The ``chain`` member of a line, as it is written there."""

    id: bytes
    seq: int
    prev: bytes
    hash: bytes

    @property
    def position(self) -> ChainPosition:
        """The record that this link belongs to."""
        return ChainPosition(self.id.decode("ascii"), self.seq, self.hash.decode("ascii"))


class Chain:
    """A chain that grows. One thread owns it.

    ``position`` is that of the last sealed record. It can be assigned: a writer that could not write what it sealed
    goes back to the last record that was written. Any thread may read it.
    """

    __slots__ = ("_before_seq", "_id", "_last")

    def __init__(self, chain_id: str) -> None:
        """Begin a chain.

        Raises:
            ValueError: the id is not of the form :data:`CHAIN_ID`.
        """
        if CHAIN_ID.fullmatch(chain_id) is None:
            raise ValueError(f"{chain_id[:64]!r} cannot be the id of a chain: use letters, digits and ._:/-")
        self._id = chain_id
        self._before_seq = _before_seq(chain_id.encode("ascii"))
        #: Number and hash of the last record; replaced as a whole, so that any thread may read it.
        self._last = 0, NO_HASH.encode("ascii")

    @property
    def seq(self) -> int:
        """The number of the last record."""
        return self._last[0]

    @property
    def position(self) -> ChainPosition:
        """The last record."""
        seq, digest = self._last
        return ChainPosition(self._id, seq, digest.decode("ascii"))

    @position.setter
    def position(self, position: ChainPosition) -> None:
        self._last = position.seq, position.hash.encode("ascii")

    def seal(self, record: bytes) -> bytes:
        """Return a record as the next line of the trail, with its line break.

        ``record`` is a JSON object of one line with at least one member and without ``chain``, as
        :mod:`ostiary_core.audit.record_layout` describes it.
        """
        seq, digest = self._last
        covered = b'%b%b%d,"prev":"%b"' % (record[:-1], self._before_seq, seq + 1, digest)
        digest = sha256(covered).hexdigest().encode("ascii")
        self._last = seq + 1, digest
        return b'%b,"hash":"%b"}}\n' % (covered, digest)


def successor_of(chain_id: bytes, seq: int, digest: bytes) -> bytes:
    """Return what the hash of the next line of a chain covers at its end: its place."""
    return b'%b%d,"prev":"%b"' % (_before_seq(chain_id), seq + 1, digest)


def _before_seq(chain_id: bytes) -> bytes:
    return b',"chain":{"id":"%b","seq":' % chain_id


def hash_of_successor(line: bytes, expected: bytes) -> bytes | None:
    """Return the hash of a line if it is intact and has the expected place, else None."""
    covered = line[:-_SUFFIX_BYTES]
    if not covered.endswith(expected):
        return None
    digest = sha256(covered).hexdigest().encode("ascii")
    return digest if line.endswith(b'%b%b"}}' % (_HASH_MEMBER, digest)) else None


def link_of(line: bytes) -> Link | None:
    """Return the link at the end of a line without its line break; None if there is none."""
    # The pattern is tried on the end alone, since a text of the caller may hold what looks like a chain.
    tail = line[-MAX_CHAIN_BYTES:]
    found = _CHAIN.search(tail, max(tail.rfind(b',"chain":{"id":"'), 0))
    return Link(found[1], int(found[2]), found[3], found[4]) if found is not None else None


def is_intact(line: bytes, link: Link) -> bool:
    """Return whether the hash of a link is that of its line (without its line break)."""
    return sha256(line[:-_SUFFIX_BYTES]).hexdigest().encode("ascii") == link.hash
