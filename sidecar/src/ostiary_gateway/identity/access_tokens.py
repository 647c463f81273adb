"""The method for OAuth access tokens: JWTs, and tokens that introspection judges."""

import time
from collections.abc import Callable
from typing import Final

from ostiary_core.contract.documents import SettingsDocument
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
        verifier = self._verifier(text)
        principal = await verifier.verify(text, self._resource.urls(settings.external_url).resources)
        until = self._clock() + _UNQUESTIONED_SECONDS
        return Verdict(principal, until if verifier is self._jwts else min(until, self._result_end(text)))

    def _result_end(self, token: str) -> float:
        return self._introspection.kept_until(token) if self._introspection is not None else 0.0

    def _verifier(self, token: str) -> JwtVerifier | Introspection:
        """Return the verifier of a token: introspection never gets a JWT of a known issuer."""
        if self._introspection is None or (self._jwts is not None and self._jwts.is_responsible(token)):
            if self._jwts is None:
                raise AssertionError("a policy without issuers and introspection has no method for tokens")
            return self._jwts
        return self._introspection
