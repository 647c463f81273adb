"""Authenticate: find the credential of a request, and the method that accepts it.

A request has at most one credential, in one header, and none in its URL. A credential that no method accepts is
refused, also where anonymous callers are admitted: otherwise an agent with an expired key would continue with other
rights, and no one would notice.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_gateway.errors import Refusal
from ostiary_gateway.identity import challenges
from ostiary_gateway.identity.challenges import TokenSource
from ostiary_gateway.identity.client_certificate import ClientCertificates
from ostiary_gateway.identity.errors import IdentityUnavailable, InvalidToken
from ostiary_gateway.identity.protected_resource import ResourceServer
from ostiary_gateway.identity.verdict_cache import Verdict, VerdictCache
from ostiary_gateway.server.host_name import host_name
from ostiary_gateway.server.request import Request
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
_AUTHORIZATION: Final = "authorization"


class AuthenticationMethod(Protocol):
    """One way of authentication by a header."""

    header: str
    """The header that it reads, in lower case."""
    scheme: str | None
    """The authentication scheme, in lower case; None where the whole value is the credential."""

    async def verify(self, token: bytes, settings: SettingsDocument) -> Verdict | None:
        """Return whose a credential is; None where it is not valid, without a reason.

        Raises:
            InvalidToken: it is not valid; the caller may learn why.
            IdentityUnavailable: whether it is valid cannot be found out now.
        """


class Outcomes:
    """Counts authentications by (proxy, method, outcome), and logs those that failed.

    ``method`` is empty where no method accepted the credential. ``outcome`` is ``accepted`` or the reason of a refusal.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self._warners: dict[tuple[str, str], WarningLimiter] = {}

    def refused(self, proxy: str, refusal: Refusal) -> None:
        """Count a refused caller, and log one a minute for each proxy and reason."""
        reason = refusal.reason
        self.counts[proxy, "", reason] += 1
        warner = self._warners.setdefault((proxy, reason), WarningLimiter(_log, level=logging.INFO))
        warner.warn("proxy %s: refused a caller with %d %s: %s", proxy, refusal.status, reason, refusal.message)

    def forget(self, proxies: Iterable[str]) -> None:
        """Forget proxies that no longer exist."""
        gone = frozenset(proxies)
        for key in [key for key in self.counts if key[0] in gone]:
            del self.counts[key]
        for pair in [pair for pair in self._warners if pair[0] in gone]:
            del self._warners[pair]


class Authenticator:
    """Authenticates the callers of one proxy by any of ``methods``.

    ``anonymous`` admits requests without a credential. ``resource`` describes the proxy to OAuth clients.
    ``token_origins`` are those of token endpoints that callers' tokens may be sent to, None for any.
    """

    def __init__(
        self,
        proxy: str,
        methods: Sequence[AuthenticationMethod],
        *,
        anonymous: bool,
        outcomes: Outcomes,
        resource: ResourceServer | None = None,
        certificates: Sequence[ClientCertificates] = (),
        token_origins: frozenset[str] | None = None,
    ) -> None:
        self.token_origins: Final = token_origins
        self._certificates = tuple(certificates)
        self.resource: Final = resource
        self.methods: Final = tuple(methods)
        self.headers: Final = tuple(sorted({method.header for method in methods}))
        self._proxy = proxy
        self._anonymous = anonymous
        self._outcomes = outcomes
        self._verdicts = VerdictCache()
        self._expected = self._first_form() if self.methods else challenges.header_form("Authorization", "bearer")

    def _first_form(self) -> str:
        """Return what a caller without a credential should send, Authorization first."""
        method = min(self.methods, key=lambda each: (each.header != _AUTHORIZATION, each.header))
        return challenges.header_form(_shown(method.header), method.scheme)

    def recognised(self, request: Request) -> Principal | None:
        """Return who sends a request, if its credential was verified before and is still accepted.

        None where :meth:`authenticate` must find out, or which of several headers holds it.
        """
        if len(self.headers) != 1 or "?" in request.target:
            return None
        header = self.headers[0]
        value = request.headers.get(header)
        if value is None or header in request.repeated:
            return None
        principal = self._verdicts.get(_digest(header, value))
        if principal is not None:
            self._outcomes.counts[self._proxy, principal.method, "accepted"] += 1
        return principal

    async def authenticate(self, request: Request, settings: SettingsDocument) -> Principal:
        """Return who sends a request.

        Raises:
            Refusal: 401 without a valid credential, 400 with several, or with one in the URL.
        """
        try:
            header = self._credential_header(request)
            if header is None:
                principal = self._without_credential(request, settings)
            else:
                digest = _digest(header, request.headers[header])
                # The usual case is here, in one coroutine: it is part of every call.
                principal = self._verdicts.get(digest) or await self._verified(header, digest, request, settings)
        except Refusal as refusal:
            self._outcomes.refused(self._proxy, refusal)
            raise
        self._outcomes.counts[self._proxy, principal.method, "accepted"] += 1
        return principal

    def _without_credential(self, request: Request, settings: SettingsDocument) -> Principal:
        certified = self._by_certificate(request, settings) if self._certificates else None
        if certified is not None:
            return certified
        if self._anonymous:
            return ANONYMOUS
        if not self.headers and self._certificates:
            raise challenges.certificate_missing()
        raise challenges.credential_missing(self._expected, self.token_source(request, settings))

    async def _verified(self, header: str, digest: bytes, request: Request, settings: SettingsDocument) -> Principal:
        verdict = await self._verify(header, request, settings)
        self._verdicts.keep(digest, verdict)
        return verdict.principal

    def _by_certificate(self, request: Request, settings: SettingsDocument) -> Principal | None:
        why = ""
        for method in self._certificates:
            try:
                principal = method.verify(request, settings)
            except InvalidToken as error:
                why = str(error)
                continue
            if principal is not None:
                return principal
        if why:
            raise challenges.certificate_invalid(self.token_source(request, settings), why=why)
        return None

    def _credential_header(self, request: Request) -> str | None:
        """Return the name of the one header with a credential; None where there is none.

        Raises:
            Refusal: there are several, or one is in the URL.
        """
        if "?" in request.target:
            challenges.check_query(request.target)
        found = None
        for name in self.headers:
            if name in request.headers:
                if found is not None or name in request.repeated:
                    raise challenges.several_credentials()
                found = name
        return found

    async def _verify(self, header: str, request: Request, settings: SettingsDocument) -> Verdict:
        why, is_unknown = "", False
        for method in self.methods:
            token = _token(request.headers[header], method.scheme) if method.header == header else None
            if token is None:
                continue
            try:
                verdict = await method.verify(token, settings)
            except InvalidToken as error:
                why = str(error)
                continue
            except IdentityUnavailable:
                is_unknown = True
                continue
            if verdict is not None:
                return verdict
        if is_unknown:
            raise challenges.provider_unavailable()
        form = self._right_form(header, request)
        raise challenges.credential_invalid(_shown(header), self.token_source(request, settings), why=why, form=form)

    def _right_form(self, header: str, request: Request) -> str:
        """Return how to write the header, if no method reads its scheme; else an empty text."""
        schemes = [method.scheme for method in self.methods if method.header == header]
        if any(_token(request.headers[header], scheme) is not None for scheme in schemes):
            return ""
        return challenges.header_form(_shown(header), schemes[0])

    def relay_challenge(self, _request: Request, _settings: SettingsDocument, _status: int, _challenge: str) -> None:
        """Return None: a server's challenge would send clients to another authorization server."""
        return

    def scope_challenge(self, request: Request, settings: SettingsDocument, scopes: Iterable[str]) -> str:
        """Return the challenge of a call that needs a token with all of these scopes."""
        source = self.token_source(request, settings)
        return challenges.insufficient_scope(TokenSource(source.metadata, tuple(scopes)))

    def token_source(self, request: Request, settings: SettingsDocument) -> TokenSource:
        """Return where the sender of a request gets a token; empty where the proxy accepts none."""
        resource = self.resource
        if resource is None:
            return TokenSource()
        host = host_name(request.headers.get("host", ""))
        return TokenSource(resource.urls(settings.external_url).metadata(host), resource.scopes)


def _digest(header: str, value: str) -> bytes:
    """Return that under which the verdict on a credential is kept."""
    return hashlib.sha256(f"{header}:{value}".encode("utf-8", "surrogatepass")).digest()


def _token(value: str, scheme: str | None) -> bytes | None:
    """Return the credential in a header's value; None where it has another scheme."""
    if scheme is not None:
        found, _, value = value.partition(" ")
        if found.lower() != scheme:
            return None
    return value.strip(" ").encode("utf-8", "surrogatepass")


def _shown(header: str) -> str:
    return "-".join(part.capitalize() for part in header.split("-"))
