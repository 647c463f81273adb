"""Access tokens for a caller, in exchange for the token that the caller sent (RFC 8693).

Each token of a caller has its own exchange, so two callers never share a result, and a result never outlives the token
that it was made for. The caller's own token goes to the token endpoint alone, and never to the server. One exchange of
a caller is in flight at a time. A caller whose exchange fails waits before the next one, whichever token it sends.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, Final, NamedTuple

from ostiary_core.contract.upstream_credentials import TokenExchangeConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.access_token import AccessToken, Backoff, RefreshedToken, read_token
from ostiary_gateway.upstream.caller import UpstreamCaller, origin
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentRefused, DocumentUnavailable

_GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
#: The most tokens of callers, and the most callers, that are remembered for one server.
_MOST: Final = 1024
#: Errors that concern the caller's token and not the gateway's config (RFC 6749 §5.2, RFC 8693 §2.2.2, OpenID Connect).
_OF_CALLER: Final = frozenset(
    {"invalid_grant", "invalid_request", "access_denied", "interaction_required", "login_required", "consent_required"}
)
_NONE: Final = "the caller sent no access token that could be exchanged"
_EXPIRED: Final = "the caller's access token has expired, and only the allowed clock skew admits it"


class _Subject(NamedTuple):
    """A caller's token, and the time (monotonic) at which it expires."""

    token: SecretBytes
    ends_at: float


class _Turn:
    """Whether a caller may exchange a token now: one at a time, and not soon after a failure."""

    def __init__(self) -> None:
        self.backoff = Backoff()
        self.lock = asyncio.Lock()


class ExchangedTokens:
    """The tokens that callers of one server get. Must be used within one event loop.

    ``secret`` is that of the gateway as a client. ``clock`` is monotonic, ``wall_clock`` returns epoch seconds.
    """

    def __init__(
        self,
        config: TokenExchangeConfig,
        secret: SecretBytes,
        client: DocumentClient,
        *,
        clock: Callable[[], float] = monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._secret = secret
        self._client = client
        self._clock = clock
        self._wall_clock = wall_clock
        self._origin = origin(config.token_endpoint)
        #: By principal and the SHA-256 of its token, the least recently used first.
        self._tokens: dict[tuple[str, bytes], RefreshedToken] = {}
        self._turns: dict[str, _Turn] = {}

    async def line(self, caller: UpstreamCaller | None) -> bytes:
        """Return the header line of a request.

        Raises:
            UpstreamFault: the caller has no token that can be exchanged, or it is not exchanged now.
        """
        if caller is None or caller.token is None:
            raise UpstreamFault(faults.CALLER_TOKEN_REQUIRED, _NONE)
        if caller.token_origins is not None and self._origin not in caller.token_origins:
            raise UpstreamFault(
                faults.CREDENTIAL_UNAVAILABLE,
                f"tokens of callers may not be sent to {self._origin}: platform policies authenticate callers, and "
                "tokenEndpoint is at none of their issuers",
            )
        subject = _Subject(caller.token, self._end_of(caller))
        turn = self._turn(caller.principal.id)
        current = self._of(caller.principal.id, caller.token, turn)
        return (await current.get(lambda: self._exchange(subject, turn))).line.reveal()

    def _end_of(self, caller: UpstreamCaller) -> float:
        seconds = caller.token_ends_at - self._wall_clock()
        if seconds <= 0:
            raise UpstreamFault(faults.CALLER_TOKEN_REQUIRED, _EXPIRED)
        return self._clock() + seconds

    def _of(self, principal: str, token: SecretBytes, turn: _Turn) -> RefreshedToken:
        key = (principal, hashlib.sha256(token.reveal()).digest())
        found = self._tokens.pop(key, None)
        if found is None:
            found = RefreshedToken(turn.backoff, clock=self._clock)
            _make_room(self._tokens)
        self._tokens[key] = found
        return found

    def _turn(self, principal: str) -> _Turn:
        found = self._turns.pop(principal, None)
        if found is None:
            found = _Turn()
            _make_room(self._turns)
        self._turns[principal] = found
        return found

    async def _exchange(self, subject: _Subject, turn: _Turn) -> AccessToken:
        async with turn.lock:
            # Another token of this caller may have failed meanwhile.
            if self._clock() < turn.backoff.retry_at:
                raise turn.backoff.fault()
            return await self._post(subject)

    async def _post(self, subject: _Subject) -> AccessToken:
        config = self._config
        try:
            found = await self._client.post(
                config.token_endpoint,
                _form(config, subject.token),
                client_id=config.client_id,
                secret=self._secret.reveal(),
            )
            return self._read(found, subject)
        except DocumentRefused as error:
            kind = faults.EXCHANGE_REFUSED if error.code in _OF_CALLER else faults.CREDENTIAL_UNAVAILABLE
            raise UpstreamFault(kind, f"the token endpoint: {error}", of_caller=True) from None
        except DocumentUnavailable as error:
            words = f"the token endpoint: {error}"
            raise UpstreamFault(faults.CREDENTIAL_UNAVAILABLE, words, of_caller=True) from None

    def _read(self, found: dict[str, Any], subject: _Subject) -> AccessToken:
        now = self._clock()
        token = read_token(found, now)
        if token.value == subject.token:
            raise DocumentUnavailable("it returned the caller's own token, which is never sent to the server")
        wanted = self._config.requested_token_type
        if wanted is not None and found.get("issued_token_type", wanted) != wanted:
            raise DocumentUnavailable("it issued a token of another type than requestedTokenType")
        return token.ending(now, subject.ends_at)

    def refused(self, caller: UpstreamCaller | None) -> None:
        """Forget the token of a caller, which the server refuses."""
        if caller is not None and caller.token is not None:
            turn = self._turn(caller.principal.id)
            self._of(caller.principal.id, caller.token, turn).refused()

    def values(self) -> Iterator[SecretBytes]:
        """Yield the tokens that may be in a text of the server."""
        yield from [each.token.value for each in self._tokens.values() if each.token is not None]

    def close(self) -> None:
        """End all exchanges and close the connections."""
        for each in self._tokens.values():
            each.close()
        self._client.close()


def _form(config: TokenExchangeConfig, subject: SecretBytes) -> dict[str, str]:
    """Return the request of an exchange (RFC 8693 §2.1)."""
    form = {
        "grant_type": _GRANT,
        "subject_token": subject.reveal().decode("ascii"),
        "subject_token_type": config.subject_token_type,
        "requested_token_type": config.requested_token_type,
        "scope": " ".join(config.scopes) or None,
        "resource": config.resource,
        "audience": config.audience,
    }
    return {name: value for name, value in form.items() if value is not None}


def _make_room(cache: dict[Any, Any]) -> None:
    if len(cache) >= _MOST:
        del cache[next(iter(cache))]
