"""The keys of this gateway's audit trail, by the entries of its Secret.

A key is in the Secret before it signs, so that every replica has it. The thread that writes the trail asks for the key
at each checkpoint; where it is another one than before, the old one signs a checkpoint that names it.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from ostiary_core.audit.signatures import AuditSigningKey, digest_key
from ostiary_core.secret_bytes import SecretBytes

#: What a replica says that has no key yet.
NO_KEY: Final = "the gateway's Secret has no key for audit trails yet: entries named audit-<activation>"


class AuditKeys:
    """The keys in use. Safe to ask from any thread.

    ``seeds`` returns those of the Secret, by activation; ``clock`` returns epoch seconds.
    """

    def __init__(
        self, seeds: Callable[[], Mapping[int, SecretBytes]], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._seeds = seeds
        self._clock = clock
        self._used: SecretBytes | None = None
        self._signing: AuditSigningKey | None = None
        self._digests: SecretBytes | None = None

    def signing(self) -> AuditSigningKey | None:
        """Return the key that signs now, None if there never was one.

        If the Secret loses its keys, the last one stays.
        """
        self._use_current()
        return self._signing

    def digest_key(self) -> SecretBytes | None:
        """Return the HMAC key for digests now, None if there never was one.

        If the Secret loses its keys, the last one stays.
        """
        self._use_current()
        return self._digests

    def _use_current(self) -> None:
        """Derive the keys, where another seed is to be used than before."""
        seed = self._current()
        if seed is not None and (self._used is None or self._used.reveal() != seed.reveal()):
            self._signing, self._digests, self._used = AuditSigningKey(seed), digest_key(seed), seed

    def published(self) -> tuple[str, ...]:
        """Return the public keys of all entries, the newest activation first."""
        seeds = self._seeds()
        return tuple(AuditSigningKey(seeds[moment]).public for moment in sorted(seeds, reverse=True))

    def _current(self) -> SecretBytes | None:
        """Return the newest active entry, else the first to become so: our clock may be behind."""
        seeds = self._seeds()
        if not seeds:
            return None
        now = self._clock()
        active = [moment for moment in seeds if moment <= now]
        return seeds[max(active) if active else min(seeds)]
