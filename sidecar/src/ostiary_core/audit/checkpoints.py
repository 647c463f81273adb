"""Signed checkpoints: who holds no key cannot rebuild the chain behind one.

A checkpoint is a record of the chain like others. Its signature is over the bytes of its line before the signature:

    {"apiVersion":…,"kind":"Checkpoint","stageTimestamp":…,
     "covers":{"id":…,"seq":6,"hash":…},"closing":false,"key":…,"nextKey":…,"signature":…,"chain":{…,"seq":7,…}}

``covers`` is the record before it, and so all of them. ``key`` is the public key that it is signed with. ``nextKey``
is present where the key changes: the following checkpoints are signed with that one, so trust in the old key extends
to it.
"""

import re
from typing import Any, Final, NamedTuple

import orjson

from ostiary_core import strict_json
from ostiary_core.audit.chain import ChainPosition
from ostiary_core.audit.record_layout import API_VERSION, CHECKPOINT
from ostiary_core.audit.signatures import AuditSigningKey, is_signed
from ostiary_core.errors import StrictJSONError

_SIGNATURE_MEMBER: Final = b',"signature":"'
#: What follows: the signature (64 bytes as base64url) and the place in the chain. A member between them, such as
#: another ``nextKey``, would be one that no signature covers.
_AFTER_IT: Final = re.compile(rb'([A-Za-z0-9_-]{86})"(?:,"chain":\{[^{}]*\})?\}')


class Checkpoint(NamedTuple):
    """A checkpoint as it was read; ``signed`` are the bytes that its signature is over."""

    covers: ChainPosition
    closing: bool
    key: str
    next_key: str | None
    signature: str
    signed: bytes

    def has_valid_signature(self) -> bool:
        """Return whether the key that it names signed it; whether that key is trusted is not asked."""
        return is_signed(self.signed, signature=self.signature, public=self.key)


def checkpoint_record(
    covers: ChainPosition, *, time: str, key: AuditSigningKey, closing: bool = False, next_key: str | None = None
) -> bytes:
    """Return a signed record over all of a chain so far, for :meth:`Chain.seal`.

    ``time`` is RFC 3339 in UTC. ``closing`` says that the process ends with it.
    """
    members: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": CHECKPOINT,
        "stageTimestamp": time,
        "covers": covers._asdict(),
        "closing": closing,
        "key": key.public,
    }
    if next_key is not None:
        members["nextKey"] = next_key
    signed = orjson.dumps(members)[:-1]
    return b'%b%b%b"}' % (signed, _SIGNATURE_MEMBER, key.sign(signed).encode("ascii"))


def checkpoint_of(line: bytes) -> Checkpoint | None:
    """Read the line of a checkpoint.

    Return None if a member is missing, of another type, or not covered by the signature.
    """
    signed, _, rest = line.partition(_SIGNATURE_MEMBER)
    end = _AFTER_IT.fullmatch(rest)
    if end is None:
        return None
    try:
        record = strict_json.loads(signed + b"}")
        covers = record["covers"]
        position = ChainPosition(covers["id"], covers["seq"], covers["hash"])
        signature = end[1].decode("ascii")
        found = Checkpoint(position, record["closing"], record["key"], record.get("nextKey"), signature, signed)
    except (StrictJSONError, KeyError, TypeError, AttributeError):
        return None
    return found if _is_well_typed(found) else None


def _is_well_typed(found: Checkpoint) -> bool:
    texts: tuple[Any, ...] = (found.covers.id, found.covers.hash, found.key, found.signature, found.next_key or "")
    others = (type(found.covers.seq), type(found.closing))
    return others == (int, bool) and all(type(each) is str for each in texts)
