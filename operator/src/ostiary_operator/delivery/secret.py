"""The Secret of one gateway. Pure.

Its keys are created here, rotated daily (those of audit trails every 90 days), and kept as long as sessions live.
Credentials are copied from users' Secrets.

A key exists :data:`LEAD` seconds before its activation, so that every replica has it when the first one uses it.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from ostiary_core.contract.key_names import (
    ADMIN_TOKEN,
    ASSERTION_PREFIX,
    AUDIT_PREFIX,
    CONTENT_PREFIX,
    EVIDENCE_TOKEN,
    MAC_PREFIX,
    SESSION_PREFIX,
    is_credential,
)
from ostiary_core.secret_bytes import SecretBytes

#: Seconds between a key's creation and its activation.
LEAD: Final = 600
#: Seconds after which a key has a successor.
ROTATION: Final = 24 * 3600
#: The same for the key of audit trails, whose public part auditors keep.
AUDIT_ROTATION: Final = 90 * 24 * 3600
#: Seconds that a superseded key of assertions is published: longer than the longest assertion, and than caches of keys.
_ASSERTION_KEEP: Final = 3600
#: Seconds that a superseded key of audit trails is kept: a replica signs once more with it, to name the next one. It is
#: deleted soon, because trails that it signed can be forged for as long as it exists.
_AUDIT_KEEP: Final = 3600
#: Seconds that a superseded key is kept beyond its last use, since clocks differ.
_MARGIN: Final = 600
#: A key with an activation further in the future than this was not created by us.
_FURTHEST: Final = 2 * LEAD
_BYTES: Final = 32
_TOKENS: Final = (ADMIN_TOKEN, EVIDENCE_TOKEN)
_NAME: Final = re.compile(r"(mac|session|assertion|audit|content)-(0|[1-9][0-9]{0,11})")
RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys by the time of their activation, in epoch seconds."""

    mac: Mapping[int, SecretBytes] = field(default_factory=dict)
    session: Mapping[int, SecretBytes] = field(default_factory=dict)
    admin_token: SecretBytes | None = None
    credentials: Mapping[str, SecretBytes] = field(default_factory=dict)
    assertion: Mapping[int, SecretBytes] = field(default_factory=dict)
    audit: Mapping[int, SecretBytes] = field(default_factory=dict)
    content: Mapping[int, SecretBytes] = field(default_factory=dict)
    evidence_token: SecretBytes | None = None

    def mac_keys(self) -> dict[str, bytes]:
        """Return the MAC keys by name, for :func:`ostiary_core.contract.mac.verify`."""
        return {f"{MAC_PREFIX}{activation}": key.reveal() for activation, key in self.mac.items()}

    def signing(self, now: float) -> tuple[str, SecretBytes]:
        """Return name and value of the MAC key in use: the newest active one, or else the oldest."""
        active = [activation for activation in self.mac if activation <= now]
        activation = max(active) if active else min(self.mac)
        return f"{MAC_PREFIX}{activation}", self.mac[activation]

    def entries(self) -> dict[str, SecretBytes]:
        """Return all keys, the tokens and the credentials by their names in the Secret."""
        entries = {f"{MAC_PREFIX}{activation}": key for activation, key in self.mac.items()}
        entries |= {f"{SESSION_PREFIX}{activation}": key for activation, key in self.session.items()}
        entries |= {f"{ASSERTION_PREFIX}{activation}": key for activation, key in self.assertion.items()}
        entries |= {f"{AUDIT_PREFIX}{activation}": key for activation, key in self.audit.items()}
        entries |= {f"{CONTENT_PREFIX}{activation}": key for activation, key in self.content.items()}
        entries |= self.credentials
        tokens = {ADMIN_TOKEN: self.admin_token, EVIDENCE_TOKEN: self.evidence_token}
        return entries | {name: token for name, token in tokens.items() if token is not None}


def parse(entries: Mapping[str, bytes]) -> Keys:
    """Read keys by name; entries with another name or a wrong length are omitted."""
    found: dict[str, dict[int, SecretBytes]] = {"mac": {}, "session": {}, "assertion": {}, "audit": {}, "content": {}}
    for name, value in entries.items():
        match = _NAME.fullmatch(name)
        if match is not None and len(value) == _BYTES:
            found[match[1]][int(match[2])] = SecretBytes(value)
    admin, evidence = (SecretBytes(entries[name]) if entries.get(name) else None for name in _TOKENS)
    credentials = {name: SecretBytes(value) for name, value in entries.items() if is_credential(name)}
    assertion, audit, content = (found[purpose] for purpose in ("assertion", "audit", "content"))
    return Keys(found["mac"], found["session"], admin, credentials, assertion, audit, content, evidence)


def parse_secret(secret: Mapping[str, Any] | None) -> Keys:
    """Read the keys of a Secret object; None and undecodable values contain no keys."""
    entries = {}
    for name, value in ((secret or {}).get("data") or {}).items():
        try:
            entries[name] = base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError):
            continue
    return parse(entries)


def renewed(keys: Keys, *, now: float, session_max_age: float, random: RandomBytes) -> Keys:
    """Return the keys after creating missing ones, rotating, and removing expired ones.

    ``now`` is in epoch seconds, ``session_max_age`` in seconds.
    """
    keep = session_max_age + _MARGIN
    # The first session key has activation 0; the MAC key that was created with it shows its age.
    born = min(keys.mac, default=now)
    rotated = partial(_rotated, now=now, born=born, random=random)
    return replace(
        keys,
        mac=rotated(keys.mac, first=int(now), keep=keep),
        session=rotated(keys.session, first=0, keep=keep),
        assertion=rotated(keys.assertion, first=0, keep=_ASSERTION_KEEP + _MARGIN),
        audit=rotated(keys.audit, first=int(now), keep=_AUDIT_KEEP + _MARGIN, rotation=AUDIT_ROTATION),
        content=rotated(keys.content, first=0, keep=keep),
        admin_token=keys.admin_token or _new_token(random),
        evidence_token=keys.evidence_token or _new_token(random),
    )


def _new_token(random: RandomBytes) -> SecretBytes:
    return SecretBytes(base64.urlsafe_b64encode(random(_BYTES)).rstrip(b"="))


def _rotated(
    keys: Mapping[int, SecretBytes],
    *,
    first: int,
    now: float,
    born: float,
    keep: float,
    random: RandomBytes,
    rotation: float = ROTATION,
) -> dict[int, SecretBytes]:
    ours = {activation: key for activation, key in keys.items() if activation <= now + _FURTHEST}
    if not any(activation <= now for activation in ours):
        # A replica's clock may be behind ours: the first session key has activation 0, so all replicas use it at once.
        ours[first] = SecretBytes(random(_BYTES))
        return ours
    if now - (max(ours) or born) >= rotation:
        ours[int(now) + LEAD] = SecretBytes(random(_BYTES))
    return {activation: key for activation, key in ours.items() if not _is_expired(activation, ours, now - keep)}


def _is_expired(activation: int, keys: Mapping[int, SecretBytes], before: float) -> bool:
    """Return whether the key's successor became active before the given time."""
    return any(activation < successor <= before for successor in keys)
