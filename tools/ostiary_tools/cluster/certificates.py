"""Keys and certificates of a short-lived control plane.

They have an authority of their own: strict verification (the default since Python 3.13) rejects the API server's
self-signed certificate, and all components can start at once.
"""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ostiary_tools.common import private

_LIFETIME = dt.timedelta(days=30)


def write_authority_and_server(
    directory: Path, *, names: Iterable[str], addresses: Iterable[str], lifetime: dt.timedelta = _LIFETIME
) -> None:
    """Write `ca.crt`, `server.crt` and `server.key`; the authority's key is not stored.

    Args:
        directory: an existing directory.
        names: DNS names of the server.
        addresses: IP addresses of the server.
        lifetime: how long the server's certificate is valid.
    """
    authority_key, server_key = _key(), _key()
    name = _name("ostiary-local")
    authority = _builder(name, name, authority_key.public_key())
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    authority = authority.add_extension(_usage(certificate_sign=True), critical=True)
    server = _builder(_name("kube-apiserver"), name, server_key.public_key(), lifetime)
    server = server.add_extension(_alternatives(names, addresses), critical=False)
    server = server.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    server = server.add_extension(_usage(certificate_sign=False), critical=True)
    server = server.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    server = server.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
    )
    (directory / "ca.crt").write_bytes(_pem(authority.sign(authority_key, hashes.SHA256())))
    (directory / "server.crt").write_bytes(_pem(server.sign(authority_key, hashes.SHA256())))
    private.write(directory / "server.key", _private_pem(server_key))


def write_service_account_keys(directory: Path) -> None:
    """Write `sa.key` and `sa.pub`, which sign and verify service-account tokens."""
    key = _key()
    private.write(directory / "sa.key", _private_pem(key))
    (directory / "sa.pub").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: dt.timedelta = _LIFETIME
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))  # clocks differ
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _alternatives(names: Iterable[str], addresses: Iterable[str]) -> x509.SubjectAlternativeName:
    dns = [x509.DNSName(name) for name in names]
    return x509.SubjectAlternativeName([*dns, *(x509.IPAddress(ipaddress.ip_address(a)) for a in addresses)])


def _usage(*, certificate_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=certificate_sign,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
