"""The method for API keys. The gateway knows only their SHA-256."""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Sequence, Set
from copy import copy

from ostiary_core.contract.authentication import ApiKeyConfig, ApiKeysConfig
from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.policy.principal import Principal, consumer_id
from ostiary_gateway.identity.verdict_cache import Verdict

METHOD = "apiKey"


class ApiKeys:
    """The API keys of one policy. ``clock`` returns epoch seconds."""

    def __init__(self, config: ApiKeysConfig, *, clock: Callable[[], float] = time.time) -> None:
        self.header = config.header
        self.scheme = config.scheme.lower() if config.scheme is not None else None
        self._clock = clock
        self._keys = {digest: (digest, _principal(key)) for key in config.keys if (digest := bytes.fromhex(key.digest))}

    @property
    def owners(self) -> Iterable[tuple[bytes, Principal]]:
        """The digests of the keys, with their owners."""
        return self._keys.values()

    def without(self, digests: Set[bytes]) -> "ApiKeys":
        """Return a method that does not know these keys."""
        found = copy(self)
        found._keys = {digest: known for digest, known in self._keys.items() if digest not in digests}
        return found

    async def verify(self, token: bytes, _settings: SettingsDocument) -> Verdict | None:
        """Return the owner of a key, or None for a key that is unknown or expired."""
        digest = hashlib.sha256(token).digest()
        # How long the lookup takes depends on the digest, which no caller can choose.
        known, owner = self._keys.get(digest, (b"", None))
        if not hmac.compare_digest(known, digest) or owner is None:
            return None
        return Verdict(owner) if owner.expires_at is None or self._clock() < owner.expires_at else None


def unambiguous(methods: Sequence[ApiKeys]) -> list[ApiKeys]:
    """Return the methods of several policies without the keys that mean several callers.

    No one could tell which of the callers sends a request.
    """
    meanings: dict[bytes, set[tuple[str, frozenset[str], float | None]]] = {}
    for method in methods:
        for digest, owner in method.owners:
            meanings.setdefault(digest, set()).add((owner.consumer, owner.groups, owner.expires_at))
    shared = frozenset(digest for digest, owners in meanings.items() if len(owners) > 1)
    return [method.without(shared) for method in methods] if shared else list(methods)


def _principal(key: ApiKeyConfig) -> Principal:
    return Principal(
        id=consumer_id(key.consumer),
        method=METHOD,
        consumer=key.consumer,
        groups=frozenset(key.groups),
        expires_at=key.expires_at,
    )
