"""The terms of a handshake: what a client may rely on for as long as its session lasts.

A session that goes on at another endpoint of its server keeps the promises that the client was given: the revision, and
every capability that the server declared. An endpoint that offers more than that is fine (a rollout may add tools to a
server), one that offers less is not: then the client has to initialize again, and learns what is left.

The terms are kept in the client's session id, so they are small: a bit for each capability of the specification, and a
digest of the others (extensions, experimental ones), which must not change.
"""

import hashlib
import struct
from collections.abc import Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp.methods import Primitive

#: Capabilities and their members by their bit: append only, since bits are sealed into session ids.
_OFFERS: Final = (
    ("tools", ""),
    ("tools", "listChanged"),
    ("prompts", ""),
    ("prompts", "listChanged"),
    ("resources", ""),
    ("resources", "listChanged"),
    ("resources", "subscribe"),
    ("logging", ""),
    ("completions", ""),
)
_NAMED: Final = frozenset(name for name, _ in _OFFERS)
_LAYOUT: Final = struct.Struct(">H6s")
#: Capabilities of up to so many bytes are the same in whichever order they come; to sort more would take long.
_SORTED_BYTES: Final = 16 * 1024
#: The digest of no other capabilities.
_NONE: Final = bytes(6)


def terms_of(result: Mapping[str, Any]) -> bytes:
    """Return the terms in a server's result of ``initialize``: 8 bytes."""
    capabilities = result.get("capabilities")
    offered = capabilities if isinstance(capabilities, dict) else {}
    bits = sum(1 << bit for bit, (name, member) in enumerate(_OFFERS) if _offers(offered, name, member))
    return _LAYOUT.pack(bits, _digest({name: each for name, each in offered.items() if name not in _NAMED}))


def are_kept(promised: bytes, offered: bytes) -> bool:
    """Return whether a new handshake with the terms ``offered`` keeps what was ``promised``."""
    old, old_others = _LAYOUT.unpack(promised)
    new, new_others = _LAYOUT.unpack(offered)
    return not old & ~new and old_others in (_NONE, new_others)


def promised_lists(terms: bytes) -> frozenset[Primitive]:
    """Return the lists of whose changes a client was promised to hear."""
    bits, _ = _LAYOUT.unpack(terms)
    return frozenset(
        primitive for primitive in Primitive if bits & 1 << _OFFERS.index((primitive.value, "listChanged"))
    )


def _offers(capabilities: Mapping[str, Any], name: str, member: str) -> bool:
    found = capabilities.get(name)
    if not member or not isinstance(found, dict):
        return found is not None and not member
    return bool(found.get(member))


def _digest(others: Mapping[str, Any]) -> bytes:
    if not others:
        return _NONE
    text = strict_json.dumps(others)
    if len(text) <= _SORTED_BYTES:
        text = strict_json.dumps(_sorted(others))
    return hashlib.sha256(text).digest()[: len(_NONE)]


def _sorted(value: Any) -> Any:
    """Return a JSON value whose objects have their members in one order."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value
