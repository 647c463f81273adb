"""The principal: who sends a request, as authentication established it."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.canonical import canonical


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Principal:
    """An authenticated caller, or the anonymous one.

    ``id`` is the same for every credential of one caller: sessions are bound to it, and in-flight limits count by it.
    It never depends on claims, scopes, policies or the bytes of a token. ``consumer`` is ``namespace/name``, empty
    where the caller is no consumer. ``method`` names the authentication method. ``expires_at`` is in epoch seconds,
    None for never. ``claims`` are never logged. ``issuer`` and ``subject`` are those of its token, empty without one.
    """

    id: str
    method: str
    consumer: str = ""
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    expires_at: float | None = None
    issuer: str = field(default="", repr=False)
    subject: str = field(default="", repr=False)

    @property
    def authenticated(self) -> bool:
        """Whether the caller presented a credential that the gateway has verified."""
        return self is not ANONYMOUS and self is not PASSTHROUGH


def consumer_id(consumer: str) -> str:
    """Return the id of a consumer with an API key; ``consumer`` is ``namespace/name``."""
    return f"consumer:{consumer}"


def token_id(*, issuer: str, subject: str, client_id: str) -> str:
    """Return the id of the owner of a token, stable over refreshes."""
    identity = canonical([issuer, subject, client_id])
    return "token:" + urlsafe_b64encode(hashlib.sha256(identity).digest()).rstrip(b"=").decode("ascii")


def certificate_id(*, authority: str, name: str) -> str:
    """Return the id of the owner of a client certificate.

    ``authority`` is the SHA-256 of the CA bundle.
    """
    identity = canonical([authority, name])
    return "certificate:" + urlsafe_b64encode(hashlib.sha256(identity).digest()).rstrip(b"=").decode("ascii")


ANONYMOUS: Final = Principal(id="anonymous", method="anonymous")
"""The caller without a credential. Its id was in use before callers were authenticated: sessions are bound to it."""

PASSTHROUGH: Final = Principal(id="passthrough", method="passthrough")
"""Every caller of a proxy whose server authenticates callers: the gateway does not know them apart."""
