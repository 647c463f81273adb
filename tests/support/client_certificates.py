"""Certificate authorities and client certificates for tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        """The certificate, as TLS carries it."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> str:
        """The key."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


class Authority:
    """Issues client certificates; ``issued`` is its own certificate.

    ``key_usage`` is whether its key may sign certificates; None for a certificate that does not say it.
    """

    def __init__(self, name: str = "Test CA", *, key_usage: bool | None = True) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=bool(key_usage),
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = _builder(_name(name), _name(name), key, days=3650)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        if key_usage is not None:
            builder = builder.add_extension(usage, critical=True)
        ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        self.issued = Issued(builder.add_extension(ski, critical=False).sign(key, hashes.SHA256()), key)

    def issue(
        self,
        *names: x509.GeneralName,
        days: int = 1,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        names_authority: bool = True,
    ) -> Issued:
        """A client certificate with these subject alternative names; expired with negative ``days``."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name("client"), self.issued.certificate.subject, key, days=days)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if names_authority:
            aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issued.key.public_key())
            builder = builder.add_extension(aki, critical=False)
        return Issued(builder.sign(self.issued.key, hashes.SHA256()), key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
    )
