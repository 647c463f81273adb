"""Compiles issuers of tokens and client certificates, and finds what is unusable."""

import ssl
from collections.abc import Iterator
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.contract.authentication import ClaimsConfig, ClientCertificateConfig, FetchConfig, IssuerConfig
from ostiary_core.contract.documents import Tier
from ostiary_core.errors import StrictJSONError
from ostiary_operator.api.authentication import Authentication
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.api.token_authentication import (
    CertificateOrigin,
    ClientCertificateAuthentication,
    TokenIssuer,
)
from ostiary_operator.compile.model import ResourceRejection
from ostiary_operator.compile.resource_parser import ParsedPolicy, PolicyContent
from ostiary_operator.compile.targets import Targets

_FIELD: Final = "spec.authentication"
#: Members of a JWK that make it a private or symmetric key (RFC 7518 §6).
_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "k"})


def compile_issuers(authentication: Authentication) -> list[IssuerConfig]:
    """Return the issuers of a policy as gateways read them."""
    return [_issuer(each) for each in authentication.jwt.issuers] if authentication.jwt is not None else []


def _issuer(issuer: TokenIssuer) -> IssuerConfig:
    return IssuerConfig(
        issuer=issuer.issuer,
        algorithms=[str(each) for each in issuer.algorithms],
        audiences=list(issuer.audiences) if issuer.audiences is not None else None,
        jwks=issuer.jwks,
        jwks_uri=issuer.jwks_uri,
        types=list(issuer.types),
        clock_skew=issuer.clock_skew.milliseconds,
        claims=ClaimsConfig(
            consumer=list(issuer.consumer_claim) if issuer.consumer_claim is not None else None,
            groups=list(issuer.groups_claim) if issuer.groups_claim is not None else None,
            scopes=list(issuer.scopes_claim),
        ),
        fetch=FetchConfig(ca=issuer.ca_bundle),
    )


def compile_certificates(given: ClientCertificateAuthentication | None) -> ClientCertificateConfig | None:
    """Return the client certificates of a policy as gateways read them."""
    if given is None:
        return None
    return ClientCertificateConfig(ca=given.ca_bundle, forwarded=given.source is CertificateOrigin.FORWARDED)


def authentication_is_usable(
    subject: ParsedPolicy, content: PolicyContent, _tier: Tier, _targets: Targets
) -> ResourceRejection | None:
    """No gateway could use key sets or authorities that are not what they should be."""
    defect = next(_defects(content.authentication), None) if content.authentication is not None else None
    return ResourceRejection(AcceptedReason.INVALID, f"{subject.title}: {defect}") if defect is not None else None


def _defects(authentication: Authentication) -> Iterator[str]:
    for index, issuer in enumerate(authentication.jwt.issuers if authentication.jwt is not None else ()):
        where = f"{_FIELD}.jwt.issuers[{index}]"
        if issuer.jwks is not None and (defect := _jwks_defect(issuer.jwks)):
            yield f"{where}.jwks: {defect}"
        if issuer.ca_bundle is not None and not _loads(issuer.ca_bundle):
            yield f"{where}.caBundle: {_NO_CERTIFICATES}"
    certificates = authentication.client_certificate
    if certificates is not None and not _loads(certificates.ca_bundle):
        yield f"{_FIELD}.clientCertificate.caBundle: {_NO_CERTIFICATES}"


_NO_CERTIFICATES: Final = "holds certificates that cannot be read; paste them as PEM, without anything else"


def _jwks_defect(text: str) -> str | None:
    try:
        document = strict_json.loads(text.encode())
    except StrictJSONError as error:
        return f"is not JSON ({error}); paste the issuer's JWK Set"
    keys: Any = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        return "has no list of keys; paste the issuer's JWK Set, an object with the member keys"
    if any(not _SECRET_MEMBERS.isdisjoint(key) for key in keys):
        return "holds a private or symmetric key; replace that key at the issuer, and paste public keys only"
    return None


def _loads(bundle: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=bundle)
    except (ssl.SSLError, ValueError):
        return False
    return True
