"""Asks an authorization server whether a token is active (RFC 7662).

A token that is active is remembered for a short time. One that is not is never remembered, and forgotten at once where
it was. While the server is down no unknown token is accepted.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.contract.authentication import IntrospectionConfig
from ostiary_core.contract.key_names import API_KEY_PREFIX
from ostiary_core.errors import ClaimsError
from ostiary_core.policy.claims import principal_of
from ostiary_core.policy.principal import Principal
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.identity.credential_cache import digest_of
from ostiary_gateway.identity.errors import IdentityUnavailable, InvalidToken
from ostiary_gateway.identity.introspection_endpoint import IntrospectionEndpoint
from ostiary_gateway.identity.verdict_cache import ActiveTokens, Verdict
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable

_log = logging.getLogger(__name__)

#: The longest token, in characters.
TOKEN_LIMIT: Final = 16 * 1024
#: The most tokens that wait for one server: callers with invented tokens must not flood it, nor the gateway.
MOST_WAITING: Final = 256
#: Values of ``token_type`` of a token that its holder may use (RFC 6750, RFC 8693 §3). Some servers write the second.
_BEARER: Final = frozenset({"bearer", "access_token", "urn:ietf:params:oauth:token-type:access_token"})
#: Members by which servers tell that a token is no access token: Hydra, Keycloak.
_KIND_MEMBERS: Final = ("token_use", "typ")
_FOREIGN_KINDS: Final = frozenset({"refresh", "refresh_token", "offline", "id", "id_token"})


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class IntrospectionMemory:
    """What outlives a change of the config: the endpoint, and the tokens that are active."""

    endpoint: IntrospectionEndpoint
    tokens: ActiveTokens = field(default_factory=ActiveTokens)


class Introspection:
    """The introspection of one policy.

    ``namespace`` is the policy's; ``secret`` is the client's. Without audiences in the policy those of the proxy count;
    an empty list leaves them to the server. ``clock`` returns epoch seconds. Must be used within one event loop.
    """

    def __init__(
        self,
        config: IntrospectionConfig,
        client: DocumentClient,
        memory: IntrospectionMemory,
        *,
        namespace: str,
        secret: SecretBytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._client = client
        self._memory = memory
        self._namespace = namespace
        self._secret = secret
        self._clock = clock
        self._warnings = WarningLimiter(_log)
        self._pending: dict[tuple[bytes, frozenset[str]], asyncio.Task[Verdict]] = {}

    @property
    def issuer(self) -> str:
        """The issuer whose tokens it judges."""
        return self._config.issuer

    def remembered(self, token: str, resources: frozenset[str]) -> Verdict | None:
        """Return whose a token is that was active a short time ago; None for any other."""
        return self._memory.tokens.find(digest_of(token), self._audiences(resources))

    async def verify(self, token: str, resources: frozenset[str]) -> Verdict:
        """Return whose a token is, and until when it needs no further introspection.

        ``resources`` are the resource identifiers of the proxy. Concurrent requests with one token share one
        introspection.

        Raises:
            InvalidToken: it is not active, or not for this proxy.
            IdentityUnavailable: the server does not answer.
        """
        known = self.remembered(token, resources)
        if known is not None:
            return known
        if not 0 < len(token) <= TOKEN_LIMIT or not token.isascii():
            raise InvalidToken("the token is too long, or not ASCII")
        if token.startswith(API_KEY_PREFIX):
            raise InvalidToken("it is an API key that is not valid here")  # and no business of another server
        # A caller that disconnects must not cancel the introspection for the others.
        return await asyncio.shield(self._asking(token, self._audiences(resources)))

    def _audiences(self, resources: frozenset[str]) -> frozenset[str]:
        return resources if self._config.audiences is None else frozenset(self._config.audiences)

    def _asking(self, token: str, audiences: frozenset[str]) -> "asyncio.Task[Verdict]":
        key = (digest_of(token), audiences)
        task = self._pending.get(key)
        if task is None:
            if len(self._pending) >= MOST_WAITING:
                raise IdentityUnavailable("too many tokens wait for the authorization server")
            task = self._pending[key] = asyncio.get_running_loop().create_task(self._ask(token, audiences))
            task.add_done_callback(lambda done: self._done(key, done))
        return task

    def _done(self, key: tuple[bytes, frozenset[str]], task: "asyncio.Task[Verdict]") -> None:
        self._pending.pop(key, None)
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would warn where no caller waits any more

    async def _ask(self, token: str, audiences: frozenset[str]) -> Verdict:
        form = {"token": token, "token_type_hint": "access_token"}
        try:
            url = await self._memory.endpoint.url()
            found = await self._client.post(url, form, client_id=self._config.client_id, secret=self._secret.reveal())
        except DocumentUnavailable as error:
            self._warnings.warn(
                "introspection of tokens of %s, for policies of the namespace %s: %s; tokens get 503 until it works, "
                "except those that are remembered. Status 401 means that clientId or the client secret is wrong",
                self._config.issuer,
                self._namespace,
                error,
            )
            raise IdentityUnavailable(str(error)) from None
        return self._judged(digest_of(token), found, audiences)

    def _judged(self, digest: bytes, found: Mapping[str, Any], audiences: frozenset[str]) -> Verdict:
        now = self._clock()
        try:
            principal = self._judge(found, now, audiences)
        except InvalidToken:
            self._memory.tokens.drop(digest)
            raise
        until = now + self._config.cache / 1000
        verdict = Verdict(principal, until if principal.expires_at is None else min(until, principal.expires_at))
        self._memory.tokens.keep(digest, verdict, audiences)
        return verdict

    def _judge(self, found: Mapping[str, Any], now: float, audiences: frozenset[str]) -> Principal:
        """Return the principal of a response. ``active`` decides; what else is there must agree."""
        if found.get("active") is not True:
            raise InvalidToken("the token is not active")
        if found.get("iss", self._config.issuer) != self._config.issuer:
            raise InvalidToken("the token is of another issuer")
        if not _is_bearer(found):
            raise InvalidToken("the token is no access token for the scheme Bearer")
        expires_at = _time(found, "exp", math.inf)
        if expires_at <= now or _time(found, "nbf", -math.inf) > now:
            raise InvalidToken("the token has expired, or is not valid yet")
        if self._config.audiences != [] and audiences.isdisjoint(_audiences_of(found)):
            raise InvalidToken("the token is for another audience")
        try:
            return principal_of(
                found,
                self._config.claims,
                issuer=self._config.issuer,
                namespace=self._namespace,
                method="introspection",
                expires_at=expires_at if expires_at < math.inf else None,
            )
        except ClaimsError as error:
            raise InvalidToken(str(error)) from None


def _is_bearer(found: Mapping[str, Any]) -> bool:
    """Return whether it is an access token that its holder may use.

    Servers confirm refresh tokens, and tokens that are bound to a key (DPoP), too.
    """
    kind = found.get("token_type", "bearer")
    kinds = [found.get(name) for name in _KIND_MEMBERS]
    foreign = any(isinstance(each, str) and each.lower() in _FOREIGN_KINDS for each in kinds)
    return isinstance(kind, str) and kind.lower() in _BEARER and not foreign


def _time(found: Mapping[str, Any], name: str, default: float) -> float:
    value = found.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken(f"{name} of the token is not a number")
    return float(value)


def _audiences_of(found: Mapping[str, Any]) -> frozenset[str]:
    value = found.get("aud")
    values = value if isinstance(value, list) else [value]
    return frozenset(each for each in values if isinstance(each, str))
