"""The method for OAuth access tokens: JWTs, and tokens that introspection judges.

A JWT of one of the issuers is verified here. Introspection gets opaque tokens, and JWTs of its own issuer alone: the
token of any other issuer is a credential for somewhere else.
"""

import time
from collections.abc import Callable
from typing import Final

from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.json_web_tokens.signed_token import TokenNotValid, claimed_issuer
from ostiary_core.policy.principal import Principal
from ostiary_gateway.identity.errors import InvalidToken
from ostiary_gateway.identity.introspection import Introspection
from ostiary_gateway.identity.jwt_verifier import JwtVerifier
from ostiary_gateway.identity.protected_resource import ResourceServer
from ostiary_gateway.identity.verdict_cache import Verdict

#: Seconds for which the authenticator need not ask again. The verifier of JWTs remembers a token for longer, and
#: notices when a key is withdrawn. A result of introspection never counts longer than the policy says.
_UNQUESTIONED_SECONDS: Final = 10.0


class AccessTokens:
    """The tokens that one policy accepts at one proxy. ``clock`` returns epoch seconds."""

    def __init__(
        self,
        resource: ResourceServer,
        *,
        jwts: JwtVerifier | None,
        introspection: Introspection | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.header = "authorization"
        self.scheme: str | None = "bearer"
        self._resource = resource
        self._jwts = jwts
        self._introspection = introspection
        self._clock = clock

    async def verify(self, token: bytes, settings: SettingsDocument) -> Verdict:
        """Return whose a token is.

        Raises:
            InvalidToken: it is not valid here.
            IdentityUnavailable: the issuer's keys, or the answer of the server, are not available.
        """
        try:
            text = token.decode("ascii")
        except UnicodeDecodeError:
            raise InvalidToken("the token is not ASCII") from None
        resources = self._resource.urls(settings.external_url).resources
        introspection = self._introspection
        if introspection is None or self._is_known_jwt(text, introspection):
            principal = await self._verify_jwt(text, resources)
            return Verdict(principal, self._clock() + _UNQUESTIONED_SECONDS)
        verdict = await introspection.verify(text, resources)
        until = self._clock() + _UNQUESTIONED_SECONDS
        return verdict if verdict.until is not None and verdict.until < until else verdict._replace(until=until)

    async def _verify_jwt(self, token: str, resources: frozenset[str]) -> Principal:
        if self._jwts is None:
            raise AssertionError("a policy without issuers and introspection has no method for tokens")
        return await self._jwts.verify(token, resources)

    def _is_known_jwt(self, token: str, introspection: Introspection) -> bool:
        """Return whether a token is a JWT of one of the issuers; such tokens are not introspected.

        Raises:
            InvalidToken: it is a JWT of an issuer that the policy does not name. It may be valid elsewhere, so the
                introspection endpoint must not get it.
        """
        try:
            issuer = claimed_issuer(token)
        except TokenNotValid as error:
            raise InvalidToken(str(error)) from None
        if issuer is None:
            return False
        if self._jwts is not None and self._jwts.trusts(issuer):
            return True
        if issuer != introspection.issuer:
            raise InvalidToken("the token is of another issuer")
        return False
