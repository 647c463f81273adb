"""Credentials that were accepted a moment ago, so that most requests need no further check.

Only accepted credentials are kept: a client that sends invalid ones cannot fill the cache. It never keeps a credential,
only its SHA-256.
"""

import time
from collections.abc import Callable, Set
from typing import NamedTuple

from ostiary_core.policy.principal import Principal
from ostiary_gateway.identity.credential_cache import MOST, CredentialCache


class Verdict(NamedTuple):
    """An accepted credential: its owner, and its end in epoch seconds; None for ever."""

    principal: Principal
    until: float | None = None


class VerdictCache(CredentialCache[tuple[Principal, float]]):
    """The accepted credentials of one proxy, by digest."""

    def __init__(self, *, most: int = MOST, clock: Callable[[], float] = time.time) -> None:
        super().__init__(most=most)
        self._clock = clock

    def get(self, digest: bytes) -> Principal | None:
        """Return the owner of a credential; None where it must be checked."""
        found = self.known.get(digest)
        if found is None:
            return None
        if self._clock() < found[1]:
            return found[0]
        self.drop(digest)
        return None

    def keep(self, digest: bytes, verdict: Verdict) -> None:
        """Keep a verdict, at most until its principal expires."""
        limits = [limit for limit in (verdict.until, verdict.principal.expires_at) if limit is not None]
        self.put(digest, (verdict.principal, min(limits, default=float("inf"))), verdict.principal)


class ActiveTokens(CredentialCache[tuple[Verdict, Set[str]]]):
    """Tokens that introspection confirmed, with the audiences that they were judged for.

    ``clock`` returns epoch seconds. It outlives a change of the config, so that a rotated client secret causes no wave
    of introspections.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock

    def find(self, digest: bytes, audiences: Set[str]) -> Verdict | None:
        """Return the verdict of a token that was active for these audiences; None for any other."""
        found = self.known.get(digest)
        if found is None:
            return None
        verdict, judged_for = found
        if (verdict.until is None or verdict.until > self._clock()) and judged_for == audiences:
            return verdict
        self.drop(digest)
        return None

    def keep(self, digest: bytes, verdict: Verdict, audiences: Set[str]) -> None:
        """Keep a verdict until its end."""
        if verdict.until is None or verdict.until > self._clock():
            self.put(digest, (verdict, audiences), verdict.principal)
