"""Authenticates callers by client certificates, of TLS or forwarded by a trusted proxy.

The gateway verifies the certificate itself in both cases, against the certificate authorities of the policy: another
tenant's authority may be valid for the same port. The first URI of the certificate becomes the principal, else its
first DNS name, so SPIFFE ids work (X.509-SVID §2).
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from ostiary_core.addresses import parse
from ostiary_core.contract.authentication import ClientCertificateConfig
from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.policy.principal import Principal, certificate_id
from ostiary_gateway.identity.errors import InvalidToken
from ostiary_gateway.identity.verdict_cache import Verdict, VerdictCache
from ostiary_gateway.server.request import Request
from ostiary_gateway.upstream.allowed_addresses import Network, networks

#: The header in which proxies forward certificates, as Envoy defines it.
FORWARDED_HEADER: Final = "x-forwarded-client-cert"
_FORWARDED_LIMIT: Final = 32 * 1024
_CHAIN_LIMIT: Final = 8
_NAME_LENGTH: Final = 2048


def _signs_certificates(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("its key may not sign certificates")


# The rules of the Web PKI demand extensions that private authorities often lack, such as those that `openssl req -x509`
# makes. RFC 5280 requires to check them where they are there (§6.1.4).
_AUTHORITIES: Final = ExtensionPolicy.webpki_defaults_ca().may_be_present(
    x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates
)
_CLIENTS: Final = ExtensionPolicy.webpki_defaults_ee().may_be_present(
    x509.AuthorityKeyIdentifier, Criticality.AGNOSTIC, None
)


class ClientCertificates:
    """The method of one policy for client certificates. ``clock`` returns epoch seconds.

    Raises:
        ValueError: the authorities of the config are not certificates as PEM.
    """

    def __init__(
        self, config: ClientCertificateConfig, *, namespace: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._is_forwarded = config.forwarded
        self._verifier = CertificateVerifier(config, namespace=namespace)
        self._clock = clock
        self._verdicts = VerdictCache(clock=clock)
        self._trusted: tuple[list[str], tuple[Network, ...]] = ([], ())

    def verify(self, request: Request, settings: SettingsDocument) -> Principal | None:
        """Return the principal of the sender's certificate; None where it presents none.

        Raises:
            InvalidToken: it presents one that is not valid here.
        """
        presented = self._forwarded(request, settings) if self._is_forwarded else request.connection.client_certificate
        if presented is None:
            return None
        digest = hashlib.sha256(presented).digest()
        known = self._verdicts.get(digest)
        if known is not None:
            return known
        chain = from_forwarded(presented.decode("latin-1")) if self._is_forwarded else from_der([presented])
        principal = self._verifier.verify(chain, now=self._clock())
        self._verdicts.keep(digest, Verdict(principal))
        return principal

    def _forwarded(self, request: Request, settings: SettingsDocument) -> bytes | None:
        """Return the header of a trusted proxy; any other sender may have made it up."""
        value = request.headers.get(FORWARDED_HEADER)
        if value is None or not self._trusts(request.connection.peer, settings.trusted_proxies):
            return None
        return value.encode("utf-8", "replace")

    def _trusts(self, peer: str, proxies: list[str]) -> bool:
        if self._trusted[0] is not proxies:
            self._trusted = (proxies, networks(proxies))
        address = parse(peer)
        return address is not None and any(address in network for network in self._trusted[1])


@dataclass(frozen=True, slots=True)
class PresentedChain:
    """The certificate of a client, and those between it and its authority."""

    leaf: x509.Certificate
    others: tuple[x509.Certificate, ...] = ()


class CertificateVerifier:
    """Verifies client certificates as one policy does. ``namespace`` is the policy's.

    Raises:
        ValueError: the authorities of the config are not certificates as PEM.
    """

    def __init__(self, config: ClientCertificateConfig, *, namespace: str) -> None:
        self._namespace = namespace
        self._store = Store(x509.load_pem_x509_certificates(config.ca.encode()))
        self._authority = hashlib.sha256(config.ca.encode()).hexdigest()

    def verify(self, chain: PresentedChain, *, now: float) -> Principal:
        """Return the principal of a certificate. ``now`` is in epoch seconds.

        Raises:
            InvalidToken: it is not of these authorities, not valid now, or has no usable name.
        """
        verifier = (
            PolicyBuilder()
            .store(self._store)
            .time(datetime.fromtimestamp(now, UTC))
            .extension_policies(ca_policy=_AUTHORITIES, ee_policy=_CLIENTS)
            .build_client_verifier()
        )
        try:
            subjects = verifier.verify(chain.leaf, list(chain.others)).subjects
        except (VerificationError, ValueError):
            raise InvalidToken(_why_invalid(chain.leaf, now)) from None
        name = _name(subjects or ())
        return Principal(
            id=certificate_id(authority=self._authority, name=name),
            method="clientCertificate",
            consumer=f"{self._namespace}/{name}",
            claims={"san": name},
            expires_at=chain.leaf.not_valid_after_utc.timestamp(),
        )


def _why_invalid(leaf: x509.Certificate, now: float) -> str:
    if not leaf.not_valid_before_utc.timestamp() <= now <= leaf.not_valid_after_utc.timestamp():
        return "it has expired, or is not valid yet"
    return "no certificate authority of this proxy issued it for clients, or it has neither a URI nor a DNS name"


def _name(subjects: Sequence[x509.GeneralName]) -> str:
    for kind in (x509.UniformResourceIdentifier, x509.DNSName):
        for subject in subjects:
            if isinstance(subject, kind) and 0 < len(subject.value) <= _NAME_LENGTH and subject.value.isprintable():
                return str(subject.value)
    raise InvalidToken("the client certificate has neither a URI nor a DNS name")


def from_der(certificates: Sequence[bytes]) -> PresentedChain:
    """Read the certificates of a TLS connection, the client's own first.

    Raises:
        InvalidToken: one cannot be read.
    """
    try:
        leaf, *others = (x509.load_der_x509_certificate(each) for each in certificates[:_CHAIN_LIMIT])
    except ValueError:
        raise InvalidToken("the client certificate cannot be read") from None
    return PresentedChain(leaf, tuple(others))


def from_forwarded(value: str) -> PresentedChain:
    """Read the value of ``X-Forwarded-Client-Cert``, which a trusted proxy wrote.

    It must be one element with ``Cert`` or ``Chain``. Proxies write the URIs and DNS names of a certificate without
    quotes (Envoy does), so a name that contains ``,`` or ``;`` could add an element or a chain of another client.

    Raises:
        InvalidToken: it has no certificate that can be read, or could be read in two ways.
    """
    if len(value) > _FORWARDED_LIMIT:
        raise InvalidToken("the forwarded client certificate is too long")
    element, *more = _split(value, ",")
    if more:
        raise InvalidToken("there are several forwarded client certificates: let the proxy replace the header")
    pairs = _pairs(element)
    chains = [_certificates(pairs[name]) for name in ("chain", "cert") if pairs.get(name)]
    if not chains:
        raise InvalidToken("the forwarded client certificate is missing: let the proxy forward Cert or Chain")
    if any(chain[0] != chains[0][0] for chain in chains):
        raise InvalidToken("the forwarded client certificate is not the first of its chain")
    leaf, *others = chains[0]
    return PresentedChain(leaf, tuple(others))


def _certificates(text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(unquote(text).encode())[:_CHAIN_LIMIT]
    except ValueError:
        raise InvalidToken("the forwarded client certificate cannot be read") from None


def _pairs(element: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in _split(element, ";"):
        name, _, value = part.strip().partition("=")
        key = name.lower()
        if key in ("cert", "chain") and key in pairs:
            raise InvalidToken("the forwarded client certificate occurs twice")
        pairs[key] = value.strip('"')
    return pairs


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator outside of quotes; a backslash quotes one character."""
    parts, quoted, escaped = [""], False, False
    for character in text:
        if character == separator and not quoted:
            parts.append("")
            continue
        if character == '"' and not escaped:
            quoted = not quoted
        escaped = character == "\\" and not escaped
        parts[-1] += character
    if quoted:
        raise InvalidToken("the forwarded client certificate has an open quote")
    return parts
