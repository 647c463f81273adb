"""Resolves the references of policies: CA bundles, and the client secret for introspection."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from ostiary_operator.api.authentication import Authentication
from ostiary_operator.api.references import CaCertificateReferences
from ostiary_operator.api.token_authentication import IntrospectionAuthentication
from ostiary_operator.compile.ca_bundles import References, key_of, resolve_bundles
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.credentials import Secrets, required_host, resolve_secret
from ostiary_operator.compile.model import ReferenceKey, ResourceRejection
from ostiary_operator.compile.resource_parser import ParsedPolicy

_SECRET: Final = "Secret"  # noqa: S105  the name of a kind


@dataclass(frozen=True, slots=True)
class ResolvedReferences:
    """What the references of a policy lead to, or why one is unusable.

    ``bundles`` are certificates as PEM, by the member of ``spec.authentication`` that refers to them;
    ``client_secret`` is the name of a value in the gateway's Secret.
    """

    bundles: tuple[tuple[str, str], ...] = ()
    client_secret: str = ""
    rejection: ResourceRejection | None = None

    def bundle(self, member: str) -> str | None:
        """Return the certificates of a member; None where it refers to none."""
        return dict(self.bundles).get(member)


def issuer_member(index: int) -> str:
    """Return the member of an issuer of JWTs within ``spec.authentication``."""
    return f"jwt.issuers[{index}]"


INTROSPECTION: Final = "introspection"
CLIENT_CERTIFICATE: Final = "clientCertificate"


def wanted(policy: ParsedPolicy) -> Iterator[ReferenceKey]:
    """Yield the ConfigMaps and Secrets with CA bundles that a policy needs."""
    for _, given in _bundles(_authentication(policy)):
        for reference in given:
            yield key_of(reference, policy.key.namespace)


def wanted_credentials(policy: ParsedPolicy) -> Iterator[ReferenceKey]:
    """Yield the Secrets with credentials that a policy needs."""
    authentication = _authentication(policy)
    if authentication is not None and authentication.introspection is not None:
        yield ReferenceKey(_SECRET, policy.key.namespace, authentication.introspection.client_secret_ref.name)


def _authentication(policy: ParsedPolicy) -> Authentication | None:
    """Return the authentication of a policy, also of one that is invalid in another part.

    Its last accepted version mostly refers to the same objects, and they may have changed since.
    """
    if policy.spec is not None:
        return policy.spec.authentication
    raw = policy.raw.get("authentication") if isinstance(policy.raw, Mapping) else None
    try:
        return Authentication.model_validate(raw) if raw is not None else None
    except ValidationError:
        return None


def refers_to_objects(authentication: Authentication) -> bool:
    """Return whether a policy names objects, besides API keys, which it selects."""
    return authentication.introspection is not None or next(_bundles(authentication), None) is not None


def resolve_policy(
    title: str,
    namespace: str,
    authentication: Authentication | None,
    references: References,
    secrets: Secrets,
    cache: Cache,
) -> ResolvedReferences:
    """Resolve the references of a policy; the first unusable one is the rejection."""
    bundles = []
    for member, given in _bundles(authentication):
        where = f"{title}: spec.authentication.{member}.caCertificateRefs"
        found = resolve_bundles(where, namespace, given, references, cache)
        if isinstance(found, ResourceRejection):
            return ResolvedReferences(rejection=found)
        bundles.append((member, found))
    introspection = authentication.introspection if authentication is not None else None
    name = _client_secret(title, namespace, introspection, secrets) if introspection is not None else ""
    if isinstance(name, ResourceRejection):
        return ResolvedReferences(rejection=name)
    return ResolvedReferences(tuple(bundles), name)


def _client_secret(
    title: str, namespace: str, introspection: IntrospectionAuthentication, secrets: Secrets
) -> str | ResourceRejection:
    where = f"{title}: spec.authentication.{INTROSPECTION}.clientSecretRef"
    # An endpoint that the metadata name is used only at the issuer's own origin.
    host = required_host(introspection.endpoint or introspection.issuer)
    return resolve_secret(where, namespace, introspection.client_secret_ref, secrets, hosts=[host])


def _bundles(authentication: Authentication | None) -> Iterator[tuple[str, CaCertificateReferences]]:
    """Yield the members that refer to CA bundles."""
    if authentication is None:
        return
    issuers = authentication.jwt.issuers if authentication.jwt is not None else ()
    members = [(issuer_member(index), issuer.ca_certificate_refs) for index, issuer in enumerate(issuers)]
    if authentication.introspection is not None:
        members.append((INTROSPECTION, authentication.introspection.ca_certificate_refs))
    if authentication.client_certificate is not None:
        members.append((CLIENT_CERTIFICATE, authentication.client_certificate.ca_certificate_refs))
    for member, given in members:
        if given:
            yield member, given
