"""A signed JWT in the compact form (RFC 7515 §3.1), parsed strictly and verified.

A token is bounded before it is parsed (RFC 8725). Its header selects a key, and never brings one: ``jku``, ``x5u`` and
``jwk`` are not used. The algorithm is one of those that the verifier accepts, and all are asymmetric.
"""

import binascii
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import jwt

from ostiary_core import strict_json
from ostiary_core.errors import OstiaryError, StrictJSONError
from ostiary_core.json_web_tokens.key_set import ALGORITHMS, VerificationKey

#: The longest token, in characters.
TOKEN_LIMIT: Final = 16 * 1024
_SEGMENTS: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NAME_LENGTH: Final = 256
#: A header without a type means this one (RFC 7519 §5.1).
_DEFAULT_TYPE: Final = "jwt"
_MEDIA_TYPE_PREFIX: Final = "application/"
_TIMES: Final = ("exp", "nbf", "iat")
_REQUIRED: Final = ["exp", "iss", "aud"]
#: Errors of PyJWT, and what the sender is told. The first that fits counts.
_REASONS: Final = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is for another audience"),
    (jwt.InvalidIssuerError, "the token is of another issuer"),
    (jwt.MissingRequiredClaimError, "the token lacks one of the claims exp, iss and aud"),
    (jwt.InvalidSignatureError, "the signature of the token is not valid"),
)


class TokenNotValid(OstiaryError):
    """A token is malformed, or what it says cannot be relied on.

    The message holds nothing of the token.
    """


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token, parsed and not verified."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> "SignedToken":
        """Parse a token strictly: PyJWT's parser would accept duplicate members and white space.

        Raises:
            TokenNotValid: it is not a JWT in the compact form.
        """
        if len(text) > TOKEN_LIMIT:
            raise TokenNotValid(f"the token is longer than {TOKEN_LIMIT} characters")
        if _SEGMENTS.fullmatch(text) is None:
            raise TokenNotValid("the token is not a signed JWT")
        header, claims, _ = text.split(".")
        return cls(text, _object(header), _object(claims))

    def algorithm(self, accepted: Iterable[str], *, types: Sequence[str] | None) -> str:
        """Check the header, which the sender chose, and return its algorithm.

        ``types`` are the accepted values of ``typ``; None accepts all.

        Raises:
            TokenNotValid: the header is not accepted.
        """
        algorithm = self.header.get("alg")
        # ALGORITHMS once more: a document of another origin must not bring in HMAC or none.
        if not isinstance(algorithm, str) or algorithm not in accepted or algorithm not in ALGORITHMS:
            raise TokenNotValid("the algorithm of the token is not accepted")
        if "crit" in self.header or self.header.get("b64", True) is not True:
            raise TokenNotValid("the header of the token has extensions that are not supported")
        kind = self.header.get("typ", _DEFAULT_TYPE)
        if not isinstance(kind, str) or (types is not None and _kind(kind) not in map(_kind, types)):
            raise TokenNotValid("the token is of a type that is not accepted")
        return algorithm

    @property
    def key_id(self) -> str | None:
        """The name of its key, None without one.

        Raises:
            TokenNotValid: it is not a short text.
        """
        kid = self.header.get("kid")
        if kid is not None and not (isinstance(kid, str) and len(kid) <= _NAME_LENGTH):
            raise TokenNotValid("the key id of the token is not a short text")
        return kid

    def verify(
        self, key: VerificationKey, *, algorithm: str, issuer: str, audiences: Iterable[str], leeway: float
    ) -> None:
        """Verify signature, issuer, audience and times. ``leeway`` is in seconds.

        Raises:
            TokenNotValid: one of them is wrong.
        """
        for name in _TIMES:  # RFC 7519 §2: PyJWT would also read texts
            if name in self.claims and type(self.claims[name]) not in (int, float):
                raise TokenNotValid("a time of the token is not a number")
        try:
            jwt.decode(
                self.text,
                key.public,
                algorithms=[algorithm],
                audience=sorted(audiences),
                issuer=issuer,
                leeway=leeway,
                options={"require": _REQUIRED, "enforce_minimum_key_length": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise TokenNotValid(_reason(error)) from None


def claimed_issuer(token: str) -> str | None:
    """Return the issuer that a token claims, unverified.

    It is None for an opaque token, and one that names none.

    Raises:
        TokenNotValid: it is a JWT that cannot be read, so it may be of any issuer.
    """
    if _SEGMENTS.fullmatch(token) is None or not _is_object(token.partition(".")[0]):
        return None
    issuer = SignedToken.parse(token).claims.get("iss")
    if issuer is not None and not isinstance(issuer, str):
        raise TokenNotValid("the token is of another issuer")
    return issuer


def _kind(media_type: str) -> str:
    """Return a type without ``application/``, which may be omitted (RFC 7515 §4.1.9)."""
    return media_type.lower().removeprefix(_MEDIA_TYPE_PREFIX)


def _is_object(segment: str) -> bool:
    try:
        return urlsafe_b64decode(segment + "=" * (-len(segment) % 4)).lstrip().startswith(b"{")
    except (binascii.Error, ValueError):
        return False


def _object(segment: str) -> dict[str, Any]:
    try:
        value = strict_json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (StrictJSONError, binascii.Error, ValueError):
        raise TokenNotValid("the token is not a JWT of strict JSON") from None
    if not isinstance(value, dict):
        raise TokenNotValid("the token is not a JWT of JSON objects")
    return cast("dict[str, Any]", value)


def _reason(error: Exception) -> str:
    return next((words for kind, words in _REASONS if isinstance(error, kind)), "the token is not valid")
