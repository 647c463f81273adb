"""Verifies access tokens that are JWTs (RFC 7519, RFC 8725, RFC 9068).

A token is bounded before it is parsed, and parsed strictly. Its issuer selects the keys, and its header only one of
them: ``jku``, ``x5u`` and ``jwk`` are never used. The algorithm is one of the issuer's list, and all are asymmetric.
"""

import binascii
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import jwt

from ostiary_core import strict_json
from ostiary_core.contract.authentication import IssuerConfig
from ostiary_core.errors import ClaimsError, StrictJSONError
from ostiary_core.policy.claims import principal_of
from ostiary_core.policy.principal import Principal
from ostiary_gateway.identity.credential_cache import CredentialCache, digest_of
from ostiary_gateway.identity.errors import IdentityUnavailable, InvalidToken
from ostiary_gateway.identity.jwks import KeySource, KeysUnavailable
from ostiary_gateway.identity.key_set import ALGORITHMS, VerificationKey

#: The longest token, in characters.
TOKEN_LIMIT: Final = 16 * 1024
_SEGMENTS: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NAME_LENGTH: Final = 256
#: A header without a type means this one (RFC 7519 §5.1).
_DEFAULT_TYPE: Final = "jwt"
_MEDIA_TYPE_PREFIX: Final = "application/"
_TIMES: Final = ("exp", "nbf", "iat")
_REQUIRED: Final = ["exp", "iss", "aud"]
#: Errors of PyJWT, and what the caller is told. The first that fits counts.
_REASONS: Final = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is for another audience"),
    (jwt.InvalidIssuerError, "the token is of another issuer"),
    (jwt.MissingRequiredClaimError, "the token lacks one of the claims exp, iss and aud"),
    (jwt.InvalidSignatureError, "the signature of the token is not valid"),
)


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


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A token, parsed and not verified."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]


def claimed_issuer(token: str) -> str | None:
    """Return the issuer that a token claims, unverified.

    It is None for an opaque token, and one that names none.

    Raises:
        InvalidToken: it is a JWT that cannot be read, so it may be of any issuer.
    """
    if _SEGMENTS.fullmatch(token) is None or not _is_object(token.partition(".")[0]):
        return None
    issuer = _parse(token).claims.get("iss")
    if issuer is not None and not isinstance(issuer, str):
        raise InvalidToken("the token is of another issuer")
    return issuer


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
        parsed = _parse(token)
        verdict = await self._judge(parsed, resources)
        self._verdicts.put(digest_of(token), verdict, verdict.principal)
        return verdict.principal

    async def _judge(self, token: _Parsed, resources: frozenset[str]) -> _ValidToken:
        """Verify a token as each policy does that trusts its issuer; the first success counts."""
        issuer = token.claims.get("iss")
        trusted = [each for each in self._issuers if each.config.issuer == issuer]
        if not trusted:
            raise InvalidToken("the token is of another issuer")
        for each in trusted[:-1]:
            try:
                return await _verified(token, each, resources)
            except (InvalidToken, IdentityUnavailable):
                continue
        return await _verified(token, trusted[-1], resources)


async def _verified(token: _Parsed, issuer: TrustedIssuer, resources: frozenset[str]) -> _ValidToken:
    algorithm = _algorithm(token.header, issuer.config)
    key = await _key(token.header, issuer, algorithm)
    skew = issuer.config.clock_skew / 1000
    audiences = issuer.audiences(resources)
    _check_times(token.claims)
    try:
        jwt.decode(
            token.text,
            key.public,
            algorithms=[algorithm],
            audience=sorted(audiences),
            issuer=issuer.config.issuer,
            leeway=skew,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise InvalidToken(_reason(error)) from None
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


def _check_times(claims: dict[str, Any]) -> None:
    """Refuse times that are no numbers (RFC 7519 §2): PyJWT would also read texts."""
    for name in _TIMES:
        if name in claims and type(claims[name]) not in (int, float):
            raise InvalidToken("a time of the token is not a number")


def _algorithm(header: dict[str, Any], config: IssuerConfig) -> str:
    """Check a header, which the caller chose, and return its algorithm."""
    algorithm = header.get("alg")
    # ALGORITHMS once more: a document of another origin must not bring in HMAC or none.
    if not isinstance(algorithm, str) or algorithm not in config.algorithms or algorithm not in ALGORITHMS:
        raise InvalidToken("the algorithm of the token is not accepted")
    if "crit" in header or header.get("b64", True) is not True:
        raise InvalidToken("the header of the token has extensions that are not supported")
    kind = header.get("typ", _DEFAULT_TYPE)
    if not isinstance(kind, str) or (config.types is not None and _kind(kind) not in map(_kind, config.types)):
        raise InvalidToken("the token is of a type that is not accepted")
    return algorithm


def _kind(media_type: str) -> str:
    """Return a type without ``application/``, which may be omitted (RFC 7515 §4.1.9)."""
    return media_type.lower().removeprefix(_MEDIA_TYPE_PREFIX)


async def _key(header: dict[str, Any], issuer: TrustedIssuer, algorithm: str) -> VerificationKey:
    kid = header.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= _NAME_LENGTH):
        raise InvalidToken("the key id of the token is not a short text")
    try:
        key = await issuer.keys.find(kid, algorithm)
    except KeysUnavailable as error:
        raise IdentityUnavailable(str(error)) from None
    if key is None:
        raise InvalidToken("the token is signed with a key that its issuer does not publish")
    return key


def _parse(text: str) -> _Parsed:
    """Parse a token strictly: PyJWT's parser would accept duplicate members and white space.

    Raises:
        InvalidToken: it is not a JWT in the compact form.
    """
    if len(text) > TOKEN_LIMIT:
        raise InvalidToken(f"the token is longer than {TOKEN_LIMIT} characters")
    if _SEGMENTS.fullmatch(text) is None:
        raise InvalidToken("the token is not a signed JWT")
    header, claims, _ = text.split(".")
    return _Parsed(text, _object(header), _object(claims))


def _is_object(segment: str) -> bool:
    try:
        return urlsafe_b64decode(segment + "=" * (-len(segment) % 4)).lstrip().startswith(b"{")
    except (binascii.Error, ValueError):
        return False


def _object(segment: str) -> dict[str, Any]:
    try:
        value = strict_json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (StrictJSONError, binascii.Error, ValueError):
        raise InvalidToken("the token is not a JWT of strict JSON") from None
    if not isinstance(value, dict):
        raise InvalidToken("the token is not a JWT of JSON objects")
    return cast("dict[str, Any]", value)


def _reason(error: Exception) -> str:
    return next((words for kind, words in _REASONS if isinstance(error, kind)), "the token is not valid")
