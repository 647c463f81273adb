"""An access token that is replaced before it ends.

Requests go on with a token while its successor is fetched. One fetch is in flight at a time. After a failure the next
one waits; requests fail meanwhile if there is no valid token.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Final

from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.document_client import DocumentUnavailable
from ostiary_gateway.upstream.http1 import request_head as http1

#: The lifetime of a token without ``expires_in``, and the longest that is believed, in seconds.
_USUAL_SECONDS: Final = 300.0
_LONGEST_SECONDS: Final = 24 * 3600.0
#: The most characters of a token: servers accept heads of 8 to 16 KiB.
_LONGEST_TOKEN: Final = 8192
#: The shares of a token's lifetime after which it is replaced, and after which it is no longer sent.
_REFRESH: Final = 0.75
_END: Final = 0.95
#: Seconds between tries after failures; the last one repeats.
_BACKOFF: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token as a header line, and the times (monotonic) at which it is replaced and ends."""

    value: SecretBytes
    line: SecretBytes
    refresh_at: float
    ends_at: float

    def ending(self, now: float, latest: float) -> "AccessToken":
        """Return the token with an end that is not after ``latest``."""
        if latest >= self.ends_at:
            return self
        return replace(self, refresh_at=min(self.refresh_at, now + (latest - now) * _REFRESH), ends_at=latest)


FetchToken = Callable[[], Awaitable[AccessToken]]
"""Fetches a token. Raises UpstreamFault where there is none."""


class _Postponed(UpstreamFault):
    """A fetch is not tried yet, because an earlier one failed."""


class Backoff:
    """When a fetch may be tried again, and why the last one failed."""

    def __init__(self) -> None:
        self.retry_at = float("-inf")
        self._failures = 0
        self._fault = UpstreamFault(faults.CREDENTIAL_UNAVAILABLE, "")

    def failed(self, fault: UpstreamFault, now: float) -> None:
        """Wait, longer after each failure in a row."""
        delay = _BACKOFF[min(self._failures, len(_BACKOFF) - 1)] * random.uniform(0.8, 1.2)  # noqa: S311  jitter
        self._failures += 1
        self._fault, self.retry_at = fault, now + delay

    def pause(self, fault: UpstreamFault, now: float) -> None:
        """Wait as after a first failure."""
        self._fault, self.retry_at = fault, now + _BACKOFF[0]

    def succeeded(self) -> None:
        """Begin again with a short wait at the next failure."""
        self._failures = 0

    def fault(self) -> UpstreamFault:
        """Return the fault of a request that cannot be served until the next try."""
        return _Postponed(self._fault.kind, self._fault.message, of_caller=self._fault.of_caller)


class RefreshedToken:
    """One access token and its successors.

    Must be used within one event loop; ``clock`` is monotonic.
    """

    def __init__(self, backoff: Backoff, *, clock: Callable[[], float] = monotonic) -> None:
        self._backoff = backoff
        self._clock = clock
        self.token: AccessToken | None = None
        self._pending: asyncio.Task[AccessToken] | None = None

    async def get(self, fetch: FetchToken) -> AccessToken:
        """Return a token that is valid now; ``fetch`` is called where another is needed.

        Raises:
            UpstreamFault: there is no token.
        """
        token, now = self.token, self._clock()
        if token is not None and now < token.refresh_at:
            return token
        if token is not None and now < token.ends_at:
            if now >= self._backoff.retry_at:
                _ = self._fetching(fetch)  # requests go on with the old one
            return token
        if self._pending is None and now < self._backoff.retry_at:
            raise self._backoff.fault()
        # A caller that gives up must not cancel the fetch for the others.
        return await asyncio.shield(self._fetching(fetch))

    def refused(self) -> None:
        """Forget the token, which the server refuses.

        The next request gets a new one, at most one a second.
        """
        now = self._clock()
        if self.token is not None and now >= self._backoff.retry_at:
            self.token = None
            words = "the server refuses the token, and the next one is not due yet"
            self._backoff.pause(UpstreamFault(faults.CREDENTIAL_UNAVAILABLE, words, of_caller=True), now)

    def _fetching(self, fetch: FetchToken) -> asyncio.Task[AccessToken]:
        if self._pending is None:
            self._pending = asyncio.get_running_loop().create_task(self._fetch(fetch), name="token")
            self._pending.add_done_callback(self._done)
        return self._pending

    def _done(self, task: asyncio.Task[AccessToken]) -> None:
        self._pending = None
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would warn where no caller waits any more

    async def _fetch(self, fetch: FetchToken) -> AccessToken:
        try:
            self.token = await fetch()
        except _Postponed:
            raise
        except UpstreamFault as fault:
            self._backoff.failed(fault, self._clock())
            raise
        self._backoff.succeeded()
        return self.token

    def close(self) -> None:
        """End the fetch."""
        if self._pending is not None:
            self._pending.cancel()


def read_token(found: dict[str, Any], now: float) -> AccessToken:
    """Read a response of a token endpoint (RFC 6749 §5.1).

    Raises:
        DocumentUnavailable: it has no bearer token that can be sent.
    """
    value, kind = found.get("access_token"), found.get("token_type", "Bearer")
    if not isinstance(value, str) or not value or not isinstance(kind, str) or kind.lower() != "bearer":
        raise DocumentUnavailable("its response has no bearer token")
    if len(value) > _LONGEST_TOKEN:
        raise DocumentUnavailable(f"its token has more than {_LONGEST_TOKEN} characters")
    try:
        line = http1.private_line("Authorization", f"Bearer {value}")
    except UpstreamFault:
        raise DocumentUnavailable("its token cannot be sent in a header") from None
    seconds = _seconds(found.get("expires_in"))
    return AccessToken(SecretBytes(value.encode()), SecretBytes(line), now + seconds * _REFRESH, now + seconds * _END)


def _seconds(value: object) -> float:
    """Return the lifetime of a token; some servers write the number as text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:9])
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return _USUAL_SECONDS
    return min(float(value), _LONGEST_SECONDS)
