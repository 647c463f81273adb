"""Asks an authorization server whether an opaque token is active (RFC 7662).

A token that is active is remembered for a short time. One that is not is never remembered, and forgotten at once where
it was. While the server is down no unknown token is accepted.
"""

import asyncio
import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.contract.authentication import IntrospectionConfig
from ostiary_core.errors import ClaimsError
from ostiary_core.policy.claims import principal_of
from ostiary_core.policy.principal import Principal
from ostiary_gateway.identity.credential_cache import CredentialCache
from ostiary_gateway.identity.errors import IdentityUnavailable, InvalidToken
from ostiary_gateway.identity.introspection_endpoint import IntrospectionEndpoint
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable

#: The longest token, in characters.
TOKEN_LIMIT: Final = 16 * 1024
#: The most requests in flight to one server: callers with invented tokens must not flood it.
_IN_FLIGHT: Final = 64


@dataclass(frozen=True, slots=True)
class _ActiveToken:
    principal: Principal
    until: float
    resources: frozenset[str]


class Introspection:
    """One policy's introspection.

    ``namespace`` is the policy's; ``secret`` returns the client's secret, or None.

    Without audiences in the policy those of the proxy count; an empty list leaves them to the server. ``clock`` returns
    epoch seconds.
    """

    def __init__(
        self,
        config: IntrospectionConfig,
        client: DocumentClient,
        *,
        namespace: str,
        secret: Callable[[], bytes | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._client = client
        self._endpoint = IntrospectionEndpoint(config.issuer, config.endpoint, client)
        self._namespace = namespace
        self._secret = secret
        self._clock = clock
        self._verdicts: CredentialCache[_ActiveToken] = CredentialCache()
        self._pending: dict[bytes, asyncio.Task[Principal]] = {}

    def remembered(self, token: str, resources: frozenset[str]) -> Principal | None:
        """Return the principal of a token that was active a short time ago; None for any other."""
        digest = _digest(token)
        verdict = self._verdicts.known.get(digest)
        if verdict is None:
            return None
        if verdict.until > self._clock() and verdict.resources == resources:
            return verdict.principal
        self._verdicts.drop(digest)
        return None

    def kept_until(self, token: str) -> float:
        """Return the end of the result for a token, in epoch seconds; 0 without a result."""
        verdict = self._verdicts.known.get(_digest(token))
        return verdict.until if verdict is not None else 0.0

    async def verify(self, token: str, resources: frozenset[str]) -> Principal:
        """Return the principal of a token. ``resources`` are the resource identifiers of the proxy.

        Concurrent requests with one token share one introspection.

        Raises:
            InvalidToken: it is not active, or not for this proxy.
            IdentityUnavailable: the server does not answer.
        """
        known = self.remembered(token, resources)
        if known is not None:
            return known
        if not 0 < len(token) <= TOKEN_LIMIT or not token.isascii():
            raise InvalidToken("the token is too long, or not ASCII")
        digest = _digest(token)
        task = self._pending.get(digest)
        if task is None:
            if len(self._pending) >= _IN_FLIGHT:
                raise IdentityUnavailable("too many tokens wait for the authorization server")
            task = self._pending[digest] = asyncio.get_running_loop().create_task(self._ask(token, digest, resources))
            task.add_done_callback(lambda done: self._done(digest, done))
        # A caller that disconnects must not cancel the introspection for the others.
        return await asyncio.shield(task)

    def _done(self, digest: bytes, task: "asyncio.Task[Principal]") -> None:
        self._pending.pop(digest, None)
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would warn where no caller waits any more

    async def _ask(self, token: str, digest: bytes, resources: frozenset[str]) -> Principal:
        secret = self._secret()
        if secret is None:
            raise IdentityUnavailable("the client secret for introspection has not arrived")
        form = {"token": token, "token_type_hint": "access_token"}
        try:
            url = await self._endpoint.url()
            found = await self._client.post(url, form, client_id=self._config.client_id, secret=secret)
        except DocumentUnavailable as error:
            raise IdentityUnavailable(str(error)) from None
        now = self._clock()
        principal = self._judge(found, now, resources)
        self._remember(digest, principal, now, resources)
        return principal

    def _judge(self, found: Mapping[str, Any], now: float, resources: frozenset[str]) -> Principal:
        """Return the principal of a response. ``active`` decides; what else is there must agree."""
        if found.get("active") is not True:
            raise InvalidToken("the token is not active")
        if found.get("iss", self._config.issuer) != self._config.issuer:
            raise InvalidToken("the token is of another issuer")
        if _time(found, "exp", math.inf) <= now or _time(found, "nbf", -math.inf) > now:
            raise InvalidToken("the token has expired, or is not valid yet")
        audiences = resources if self._config.audiences is None else frozenset(self._config.audiences)
        if self._config.audiences != [] and audiences.isdisjoint(_audiences(found)):
            raise InvalidToken("the token is for another audience")
        try:
            return principal_of(
                found,
                self._config.claims,
                issuer=self._config.issuer,
                namespace=self._namespace,
                method="introspection",
                expires_at=_time(found, "exp", math.inf),
            )
        except ClaimsError as error:
            raise InvalidToken(str(error)) from None

    def _remember(self, digest: bytes, principal: Principal, now: float, resources: frozenset[str]) -> None:
        expires_at = principal.expires_at if principal.expires_at is not None else math.inf
        until = min(expires_at, now + self._config.cache / 1000)
        if until <= now:
            return
        self._verdicts.put(digest, _ActiveToken(principal, until, resources), principal)


def _time(found: Mapping[str, Any], name: str, default: float) -> float:
    value = found.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken(f"{name} of the token is not a number")
    return float(value)


def _audiences(found: Mapping[str, Any]) -> frozenset[str]:
    value = found.get("aud")
    values = value if isinstance(value, list) else [value]
    return frozenset(each for each in values if isinstance(each, str))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
