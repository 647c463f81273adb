"""Identity assertions: a signed statement for one server about who calls it.

``iss`` names the gateway and the proxy, so that one tenant's proxy cannot speak for another's, and ``aud`` the server,
so that it cannot use an assertion elsewhere. Callers that the gateway does not know get none.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from ostiary_core.contract.upstream_credentials import IdentityAssertionConfig
from ostiary_core.policy.principal import Principal
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.assertion_keys import AssertionKeys
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.http1 import request_head as http1

#: The share of its lifetime for which an assertion is sent.
_SENT: Final = 0.75
#: The most characters of an assertion: servers accept heads of 8 KiB.
_LONGEST: Final = 6144


class _Assertion(NamedTuple):
    value: SecretBytes
    line: SecretBytes
    issuer: str
    until: float


class IdentityAssertions:
    """The assertions for one server.

    ``proxy`` is ``namespace/name``; ``clock`` returns epoch seconds.
    """

    def __init__(
        self,
        config: IdentityAssertionConfig,
        keys: AssertionKeys,
        *,
        proxy: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._keys = keys
        self._proxy = proxy
        self._clock = clock
        # A principal is one object for as long as its credential is remembered, and has the rights of that credential.
        self._kept: WeakKeyDictionary[Principal, _Assertion] = WeakKeyDictionary()

    async def line(self, caller: UpstreamCaller | None) -> bytes:
        """Return the header line of a request; empty for a caller that the gateway does not know.

        Raises:
            UpstreamFault: the assertion cannot be made.
        """
        if caller is None or not caller.principal.authenticated:
            return b""
        issuer, now = issuer_of(self._proxy, caller.external_url), self._clock()
        found = self._kept.get(caller.principal)
        if found is None or found.issuer != issuer or now >= found.until:
            found = self._kept[caller.principal] = self._signed(caller.principal, issuer, now)
        return found.line.reveal()

    def _signed(self, principal: Principal, issuer: str, now: float) -> _Assertion:
        seconds = self._config.lifetime / 1000
        ends_at = now + seconds if principal.expires_at is None else min(now + seconds, principal.expires_at)
        text = self._keys.sign(self._claims(principal, issuer, issued_at=int(now), expires_at=int(ends_at)))
        if len(text) > _LONGEST:
            words = f"the identity assertion has more than {_LONGEST} characters: name fewer claims or groups"
            raise UpstreamFault(faults.CREDENTIAL_UNAVAILABLE, words, of_caller=True)
        line = http1.private_line(self._config.header, self._config.prefix + text)
        until = min(now + seconds * _SENT, ends_at)
        return _Assertion(SecretBytes(text.encode()), SecretBytes(line), issuer, until)

    def _claims(self, principal: Principal, issuer: str, *, issued_at: int, expires_at: int) -> dict[str, Any]:
        found: dict[str, Any] = {
            "iss": issuer,
            "sub": principal.id,
            "aud": self._config.audience,
            "iat": issued_at,
            "exp": expires_at,
            "jti": secrets.token_urlsafe(16),
            "proxy": self._proxy,
            "method": principal.method,
            "groups": sorted(principal.groups),
            "scope": " ".join(sorted(principal.scopes)),
        }
        if principal.consumer:
            found["consumer"] = principal.consumer
        listed = {name: principal.claims[name] for name in self._config.claims if name in principal.claims}
        return {**found, "claims": listed} if listed else found

    def refused(self, caller: UpstreamCaller | None) -> None:
        """Forget the assertion of a caller, which the server refuses."""
        if caller is not None:
            self._kept.pop(caller.principal, None)

    def values(self) -> Iterator[SecretBytes]:
        """Yield the assertions that may be in a text of the server."""
        yield from [each.value for each in self._kept.values()]

    def close(self) -> None:
        """Forget all assertions."""
        self._kept.clear()


def issuer_of(proxy: str, external_url: str | None) -> str:
    """Return the claim ``iss`` of a proxy's assertions."""
    return f"{external_url.rstrip('/')}/{proxy}" if external_url else f"ostiary:{proxy}"
