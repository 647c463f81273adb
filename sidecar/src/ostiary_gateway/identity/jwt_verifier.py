"""Verifies access tokens that are JWTs (RFC 7519, RFC 8725, RFC 9068).

The issuer of a token selects the keys and the algorithms (:mod:`ostiary_core.json_web_tokens.signed_token`).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ostiary_core.contract.authentication import IssuerConfig
from ostiary_core.errors import ClaimsError
from ostiary_core.json_web_tokens.key_set import VerificationKey
from ostiary_core.json_web_tokens.signed_token import SignedToken, TokenNotValid
from ostiary_core.policy.claims import principal_of
from ostiary_core.policy.principal import Principal
from ostiary_gateway.identity.credential_cache import CredentialCache, digest_of
from ostiary_gateway.identity.errors import IdentityUnavailable, InvalidToken
from ostiary_gateway.identity.jwks import KeySource, KeysUnavailable


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer as one policy trusts it. ``namespace`` is the policy's."""

    config: IssuerConfig
    namespace: str
    keys: KeySource

    def audiences(self, resources: frozenset[str]) -> frozenset[str]:
        """Return the audiences that count: those of the policy, else those of the proxy."""
        return resources if self.config.audiences is None else frozenset(self.config.audiences)


@dataclass(frozen=True, slots=True)
class _ValidToken:
    """A token that was valid: its principal, and the key that verified it."""

    principal: Principal
    expires_at: float
    issuer: TrustedIssuer
    key: VerificationKey
    audiences: frozenset[str]


class JwtVerifier:
    """Verifies tokens of several issuers, and remembers valid ones until they expire.

    ``clock`` returns epoch seconds. Must be used within one event loop.
    """

    def __init__(self, issuers: Sequence[TrustedIssuer], *, clock: Callable[[], float] = time.time) -> None:
        self._issuers = tuple(issuers)
        self._clock = clock
        #: By the SHA-256 of the token. Only valid tokens are kept, so that no caller can displace them.
        self._verdicts: CredentialCache[_ValidToken] = CredentialCache()

    def remembered(self, token: str, resources: frozenset[str]) -> Principal | None:
        """Return the principal of a token that was valid before and still is; None for any other."""
        digest = digest_of(token)
        verdict = self._verdicts.known.get(digest)
        if verdict is None:
            return None
        if self._still_counts(verdict, resources):
            return verdict.principal
        self._verdicts.drop(digest)
        return None

    def _still_counts(self, verdict: _ValidToken, resources: frozenset[str]) -> bool:
        issuer = verdict.issuer
        return (
            verdict.expires_at > self._clock()
            and verdict.audiences == issuer.audiences(resources)
            and issuer.keys.holds(verdict.key)
        )

    def trusts(self, issuer: str) -> bool:
        """Return whether an issuer is one of these."""
        return any(each.config.issuer == issuer for each in self._issuers)

    async def verify(self, token: str, resources: frozenset[str]) -> Principal:
        """Return the principal of a token. ``resources`` are the resource identifiers of the proxy.

        Raises:
            InvalidToken: it is not valid; the message says why, without anything of the token.
            IdentityUnavailable: the issuer's keys are not known.
        """
        known = self.remembered(token, resources)
        if known is not None:
            return known
        try:
            verdict = await self._judge(SignedToken.parse(token), resources)
        except TokenNotValid as error:
            raise InvalidToken(str(error)) from None
        self._verdicts.put(digest_of(token), verdict, verdict.principal)
        return verdict.principal

    async def _judge(self, token: SignedToken, resources: frozenset[str]) -> _ValidToken:
        """Verify a token as each policy does that trusts its issuer; the first success counts."""
        issuer = token.claims.get("iss")
        trusted = [each for each in self._issuers if each.config.issuer == issuer]
        if not trusted:
            raise InvalidToken("the token is of another issuer")
        for each in trusted[:-1]:
            try:
                return await _verified(token, each, resources)
            except (InvalidToken, TokenNotValid, IdentityUnavailable):
                continue
        return await _verified(token, trusted[-1], resources)


async def _verified(token: SignedToken, issuer: TrustedIssuer, resources: frozenset[str]) -> _ValidToken:
    algorithm = token.algorithm(issuer.config.algorithms, types=issuer.config.types)
    key = await _key(token, issuer, algorithm)
    skew = issuer.config.clock_skew / 1000
    audiences = issuer.audiences(resources)
    token.verify(key, algorithm=algorithm, issuer=issuer.config.issuer, audiences=audiences, leeway=skew)
    expires_at = float(token.claims["exp"]) + skew
    try:
        principal = principal_of(
            token.claims,
            issuer.config.claims,
            issuer=issuer.config.issuer,
            namespace=issuer.namespace,
            method="jwt",
            expires_at=expires_at,
        )
    except ClaimsError as error:
        raise InvalidToken(str(error)) from None
    return _ValidToken(principal, expires_at, issuer, key, audiences)


async def _key(token: SignedToken, issuer: TrustedIssuer, algorithm: str) -> VerificationKey:
    try:
        key = await issuer.keys.find(token.key_id, algorithm)
    except KeysUnavailable as error:
        raise IdentityUnavailable(str(error)) from None
    if key is None:
        raise InvalidToken("the token is signed with a key that its issuer does not publish")
    return key
