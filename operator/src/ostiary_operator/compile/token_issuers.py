"""Compiles issuers of tokens and client certificates, and finds what is unusable."""

from collections.abc import Iterator
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.contract.authentication import (
    ClaimsConfig,
    ClientCertificateConfig,
    FetchConfig,
    IntrospectionConfig,
    IssuerConfig,
)
from ostiary_core.contract.documents import Tier
from ostiary_core.errors import StrictJSONError
from ostiary_operator.api.authentication import Authentication
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.api.token_authentication import (
    CertificateOrigin,
    ClientCertificateAuthentication,
    IntrospectionAuthentication,
    IssuedTokens,
    TokenIssuer,
)
from ostiary_operator.compile.ca_bundles import read_bundle
from ostiary_operator.compile.model import ResourceRejection
from ostiary_operator.compile.policy_references import (
    CLIENT_CERTIFICATE,
    INTROSPECTION,
    ResolvedReferences,
    issuer_member,
)
from ostiary_operator.compile.resource_parser import ParsedPolicy, PolicyContent
from ostiary_operator.compile.targets import Targets

_FIELD: Final = "spec.authentication"
#: Members of a JWK that make it a private or symmetric key (RFC 7518 §6).
_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "k"})


def compile_issuers(authentication: Authentication, resolved: ResolvedReferences) -> list[IssuerConfig]:
    """Return the issuers of a policy as gateways read them."""
    issuers = authentication.jwt.issuers if authentication.jwt is not None else ()
    return [_issuer(each, resolved.bundle(issuer_member(index))) for index, each in enumerate(issuers)]


def _issuer(issuer: TokenIssuer, bundle: str | None) -> IssuerConfig:
    return IssuerConfig(
        issuer=issuer.issuer,
        algorithms=[str(each) for each in issuer.algorithms],
        audiences=_audiences(issuer),
        jwks=issuer.jwks,
        jwks_uri=issuer.jwks_uri,
        types=list(issuer.types),
        clock_skew=issuer.clock_skew.milliseconds,
        claims=_claims(issuer),
        fetch=FetchConfig(ca=issuer.ca_bundle or bundle),
    )


def compile_introspection(
    given: IntrospectionAuthentication | None, resolved: ResolvedReferences
) -> IntrospectionConfig | None:
    """Return the introspection of a policy as gateways read it."""
    if given is None:
        return None
    return IntrospectionConfig(
        issuer=given.issuer,
        endpoint=given.endpoint,
        client_id=given.client_id,
        client_secret=resolved.client_secret,
        audiences=_audiences(given),
        cache=given.cache.milliseconds,
        timeout=given.timeout.milliseconds,
        claims=_claims(given),
        fetch=FetchConfig(ca=given.ca_bundle or resolved.bundle(INTROSPECTION)),
    )


def _audiences(tokens: IssuedTokens) -> list[str] | None:
    return list(tokens.audiences) if tokens.audiences is not None else None


def _claims(tokens: IssuedTokens) -> ClaimsConfig:
    return ClaimsConfig(
        consumer=list(tokens.consumer_claim) if tokens.consumer_claim is not None else None,
        groups=list(tokens.groups_claim) if tokens.groups_claim is not None else None,
        scopes=list(tokens.scopes_claim),
    )


def compile_certificates(
    given: ClientCertificateAuthentication | None, resolved: ResolvedReferences
) -> ClientCertificateConfig | None:
    """Return the client certificates of a policy as gateways read them."""
    if given is None:
        return None
    bundle = given.ca_bundle or resolved.bundle(CLIENT_CERTIFICATE) or ""
    return ClientCertificateConfig(ca=bundle, forwarded=given.source is CertificateOrigin.FORWARDED)


def authentication_is_usable(
    subject: ParsedPolicy, content: PolicyContent, _tier: Tier, _targets: Targets
) -> ResourceRejection | None:
    """No gateway could use key sets or authorities that are not what they should be."""
    defect = next(_defects(content.authentication), None) if content.authentication is not None else None
    return ResourceRejection(AcceptedReason.INVALID, f"{subject.title}: {defect}") if defect is not None else None


def _defects(authentication: Authentication) -> Iterator[str]:
    for index, issuer in enumerate(authentication.jwt.issuers if authentication.jwt is not None else ()):
        where = f"{_FIELD}.{issuer_member(index)}"
        if issuer.jwks is not None and (defect := _jwks_defect(issuer.jwks)):
            yield f"{where}.jwks: {defect}"
        yield from _bundle_defects(where, issuer.ca_bundle)
    for member, given in (
        (INTROSPECTION, authentication.introspection),
        (CLIENT_CERTIFICATE, authentication.client_certificate),
    ):
        if given is not None:
            yield from _bundle_defects(f"{_FIELD}.{member}", given.ca_bundle)


def _bundle_defects(where: str, bundle: str | None) -> Iterator[str]:
    if bundle is not None and (defect := read_bundle(bundle)[1]):
        yield f"{where}.caBundle: {defect}"


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
