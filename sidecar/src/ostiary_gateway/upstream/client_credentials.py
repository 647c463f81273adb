"""Access tokens for the gateway itself, by client credentials of OAuth (RFC 6749 §4.4).

A token is kept until it expires, and replaced before that while requests go on with it. One request to the token
endpoint is in flight at a time. After a failure the next one waits; requests fail meanwhile if there is no valid token.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from ostiary_core.contract.upstream_credentials import ClientCredentialsConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable
from ostiary_gateway.upstream.http1 import request_head as http1

#: The lifetime of a token without ``expires_in``, and the longest that is believed, in seconds.
_USUAL_SECONDS: Final = 300.0
_LONGEST_SECONDS: Final = 24 * 3600.0
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


class ClientAccessTokens:
    """The access tokens of one server. Must be used within one event loop.

    ``secret`` is the client's; ``clock`` is monotonic.
    """

    def __init__(
        self,
        config: ClientCredentialsConfig,
        secret: SecretBytes,
        client: DocumentClient,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._config = config
        self._secret = secret
        self._client = client
        self._clock = clock
        self.token: AccessToken | None = None
        self._pending: asyncio.Task[AccessToken] | None = None
        self._failures = 0
        self._retry_at = float("-inf")
        self._problem = ""

    async def line(self, _caller: UpstreamCaller | None = None) -> bytes:
        """Return the header line of a request.

        Raises:
            UpstreamFault: there is no token.
        """
        token, now = self.token, self._clock()
        if token is not None and now < token.refresh_at:
            return token.line.reveal()
        if token is not None and now < token.ends_at:
            if now >= self._retry_at:
                _ = self._fetching()  # requests go on with the old one
            return token.line.reveal()
        if now < self._retry_at:
            raise UpstreamFault(faults.CREDENTIAL_UNAVAILABLE, self._problem)
        # A caller that gives up must not cancel the fetch for the others.
        return (await asyncio.shield(self._fetching())).line.reveal()

    def values(self) -> Iterator[SecretBytes]:
        """Yield the token, which may be in a text of the server."""
        if self.token is not None:
            yield self.token.value

    def refused(self, _caller: UpstreamCaller | None = None) -> None:
        """Forget the token, which the server refuses.

        The next request gets a new one, at most one a second.
        """
        if self.token is not None and self._clock() >= self._retry_at:
            self.token = None
            self._problem = "the server refuses the token, and the next one is not due yet"
            self._retry_at = self._clock() + _BACKOFF[0]

    def _fetching(self) -> asyncio.Task[AccessToken]:
        if self._pending is None:
            self._pending = asyncio.get_running_loop().create_task(self._fetch(), name="token")
            self._pending.add_done_callback(self._done)
        return self._pending

    def _done(self, task: asyncio.Task[AccessToken]) -> None:
        self._pending = None
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would warn where no caller waits any more

    async def _fetch(self) -> AccessToken:
        config = self._config
        form = {"grant_type": "client_credentials"}
        form |= {"scope": " ".join(config.scopes)} if config.scopes else {}
        form |= {"resource": config.resource} if config.resource is not None else {}
        form |= {"audience": config.audience} if config.audience is not None else {}
        try:
            found = await self._client.post(
                config.token_endpoint, form, client_id=config.client_id, secret=self._secret.reveal()
            )
            self.token = _token(found, self._clock())
        except DocumentUnavailable as error:
            self._problem = f"the token endpoint: {error}"
            delay = _BACKOFF[min(self._failures, len(_BACKOFF) - 1)] * random.uniform(0.8, 1.2)  # noqa: S311  jitter
            self._retry_at = self._clock() + delay
            self._failures += 1
            raise UpstreamFault(faults.CREDENTIAL_UNAVAILABLE, self._problem) from None
        self._failures = 0
        return self.token

    def close(self) -> None:
        """End the fetch and close the connections."""
        if self._pending is not None:
            self._pending.cancel()
        self._client.close()


def _token(found: dict[str, Any], now: float) -> AccessToken:
    """Read a response of a token endpoint (RFC 6749 §5.1).

    Raises:
        DocumentUnavailable: it has no bearer token that can be sent.
    """
    value, kind = found.get("access_token"), found.get("token_type", "Bearer")
    if not isinstance(value, str) or not value or not isinstance(kind, str) or kind.lower() != "bearer":
        raise DocumentUnavailable("its response has no bearer token")
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
