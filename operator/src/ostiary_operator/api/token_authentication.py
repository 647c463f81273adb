"""How callers are authenticated by OAuth: parts of `spec.authentication`."""

import enum
from typing import Annotated, ClassVar, Final

from pydantic import Field, StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Rule, Unique, excludes, matches
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.references import PRINTABLE, CaCertificateReferences, SecretReference
from ostiary_operator.api.urls import NO_DISGUISED_ADDRESS

_HTTPS_OR_INSIDE: Final = (
    r"^(https://|http://([-a-z0-9.]+[.]svc([.]cluster[.]local)?|localhost|127[.]0[.]0[.]1|\[::1\])(:[0-9]+)?(/|$))"
)

ServerUrl = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=1024),
    matches(
        _HTTPS_OR_INSIDE,
        "is not an https URL",
        "write it as https://id.example.com; http is only for Services of the cluster (.svc) and loopback",
    ),
    excludes("@", "must not contain user information", "remove it: a URL must not hold credentials"),
    excludes("[?#[:space:]]", "has a query, a fragment or white space", "remove it"),
    NO_DISGUISED_ADDRESS,
]
"""A URL of an authorization server."""

IssuerUrl = Annotated[
    ServerUrl,
    excludes("/[.]well-known/", "is the URL of metadata", "write the issuer: the part before /.well-known/"),
]
"""The identifier of an issuer, as in the claim `iss`."""

ClaimPath = Annotated[
    tuple[Annotated[StrictStr, StringConstraints(min_length=1, max_length=256)], ...],
    Field(min_length=1, max_length=8),
    Atomic(),
]
"""The path to a claim: its name, or the names that lead to it within other claims."""

Audiences = Annotated[
    tuple[Annotated[StrictStr, StringConstraints(min_length=1, max_length=1024)], ...],
    Field(min_length=1, max_length=16),
    Unique(),
]
"""Values of the claim `aud`."""

PemBundle = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=65536),
    matches(
        "-----BEGIN CERTIFICATE-----",
        "holds no certificate",
        "paste the certificates of the authorities as PEM",
    ),
    excludes("PRIVATE KEY", "holds a private key", "remove it, and replace that key: it is no secret any more"),
]
"""Certificates as PEM."""


class SignatureAlgorithm(enum.StrEnum):
    """An algorithm of JWS (RFC 7518 §3.1). All are asymmetric."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


class IssuedTokens(ApiModel):
    """Which tokens of one issuer are accepted, and which claims say who the caller is."""

    issuer: IssuerUrl
    """The issuer's identifier, exactly as in the claim `iss`. Clients are sent there for tokens. Example:
    `https://id.example.com/realms/agents`."""

    audiences: Audiences | None = None
    """Accepted values of the claim `aud`. Absent means the URLs of the MCPProxy, as MCP demands; set it where the
    authorization server cannot put them into tokens. Example: `["api://tickets"]`."""

    consumer_claim: ClaimPath | None = None
    """Path to the claim with the name of the consumer, as `subjects` uses it. Absent means that the caller is no
    consumer. Example: `[azp]`."""

    groups_claim: ClaimPath | None = None
    """Path to the claim with the caller's groups, one item for each level. The claim is a list, or one name. Absent
    means none. Example: `[realm_access, roles]`."""

    scopes_claim: ClaimPath = ("scope",)
    """Path to the claim with the scopes, which is a list, or one text with spaces. Example: `[scp]`."""

    ca_certificate_refs: CaCertificateReferences | None = None
    """CA bundles that the issuer's server is verified with. Absent, and without `caBundle`, those of the gateway's
    system count. Example: `[{kind: ConfigMap, name: internal-ca}]`."""

    ca_bundle: PemBundle | None = None
    """The same certificate authorities in this place, as PEM. Example: `|`."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(has(self.caBundle) && has(self.caCertificateRefs))",
            lambda it: it.ca_bundle is None or it.ca_certificate_refs is None,
            "has both caBundle and caCertificateRefs",
            "remove one of them",
        ),
    )


class TokenIssuer(IssuedTokens):
    """One issuer of access tokens."""

    jwks_uri: ServerUrl | None = None
    """Where the issuer publishes its keys. Absent means that its metadata says so (RFC 8414, OpenID Connect).
    Example: `https://id.example.com/keys`."""

    jwks: Annotated[StrictStr, StringConstraints(min_length=1, max_length=65536)] | None = None
    """The issuer's public keys, as a JWK Set in JSON: nothing is fetched. Example: `'{"keys": [...]}'`."""

    algorithms: Annotated[
        tuple[SignatureAlgorithm, ...], Field(min_length=1, max_length=len(SignatureAlgorithm)), Unique()
    ] = tuple(SignatureAlgorithm)
    """Accepted signature algorithms. Example: `[RS256]`."""

    types: Annotated[
        tuple[Annotated[StrictStr, StringConstraints(min_length=1, max_length=128)], ...],
        Field(min_length=1, max_length=8),
        Unique(),
    ] = ("at+jwt", "JWT")
    """Accepted values of the header `typ`, without `application/`; a token without one counts as JWT. `[at+jwt]`
    accepts access tokens only (RFC 9068). Example: `[at+jwt]`."""

    clock_skew: Annotated[Duration, between("0s", "5m")] = Duration.parse("30s")
    """How far the clocks of issuer and gateway may differ; 0s to 5m. Example: `10s`."""

    constraints = (
        *IssuedTokens.constraints,
        Rule(
            "!(has(self.jwks) && has(self.jwksUri))",
            lambda it: it.jwks is None or it.jwks_uri is None,
            "has both jwks and jwksUri",
            "remove one of them",
        ),
    )


class JwtAuthentication(ApiModel):
    """Access tokens that are JWTs. The gateway verifies them itself."""

    issuers: Annotated[tuple[TokenIssuer, ...], Field(min_length=1, max_length=16), Unique(("issuer",))]
    """The issuers whose tokens are accepted. Example: `[{issuer: "https://id.example.com"}]`."""


class IntrospectionAuthentication(IssuedTokens):
    """Access tokens that the authorization server itself confirms (RFC 7662).

    They may be opaque. A token that names another issuer is never sent there.
    """

    endpoint: ServerUrl | None = None
    """URL of the introspection endpoint. Absent means that the issuer's metadata says so; then it must have the
    issuer's scheme, host and port. Example: `https://id.example.com/introspect`."""

    client_id: Annotated[StrictStr, StringConstraints(min_length=1, max_length=256), PRINTABLE]
    """Id of the client that the gateway is at the authorization server. Example: `ostiary`."""

    client_secret_ref: SecretReference
    """The client's secret, which is sent to the introspection endpoint alone, with HTTP Basic. The annotation
    `ostiary.dev/hosts` of the Secret must name its host. Example: `{name: introspection, key: secret}`."""

    cache: Annotated[Duration, between("0s", "5m")] = Duration.parse("30s")
    """How long a token that is active is accepted without another request, and so how long a revoked one may stay in
    use; 0s to 5m, and never beyond the token's expiry. A token that is not active is never remembered.
    Example: `10s`."""

    timeout: Annotated[Duration, between("100ms", "30s")] = Duration.parse("5s")
    """How long one request to the endpoint may take; 100ms to 30s. Example: `2s`."""


class CertificateOrigin(enum.StrEnum):
    """Where a client certificate comes from."""

    CONNECTION = "Connection"
    FORWARDED = "Forwarded"


class ClientCertificateAuthentication(ApiModel):
    """Client certificates.

    The first URI of a certificate is the name of the consumer, else its first DNS name.
    """

    ca_certificate_refs: CaCertificateReferences | None = None
    """CA bundles of the clients' certificate authorities. Exactly one of `caCertificateRefs` and `caBundle` must be
    set. Example: `[{kind: ConfigMap, name: agents-ca}]`."""

    ca_bundle: PemBundle | None = None
    """The same certificate authorities in this place, as PEM. Example: `|`."""

    source: CertificateOrigin = CertificateOrigin.CONNECTION
    """Connection: TLS on the gateway's data port. Forwarded: the header `X-Forwarded-Client-Cert` with `Cert` or
    `Chain`, from an address in the gateway's `trustedProxies`. The gateway verifies the certificate in both cases.
    Example: `Forwarded`."""

    constraints = (
        Rule(
            "has(self.caBundle) != has(self.caCertificateRefs)",
            lambda it: (it.ca_bundle is None) != (it.ca_certificate_refs is None),
            "needs exactly one of caBundle and caCertificateRefs",
            "refer to a ConfigMap or Secret with the certificate authorities of the clients, or paste them as caBundle",
        ),
    )


class PassthroughAuthentication(ApiModel):
    """Authentication by the MCP server itself, with its own authorization server."""
