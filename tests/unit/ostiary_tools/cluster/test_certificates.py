"""The certificates of a control plane, as strict clients judge them."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from ostiary_tools.cluster import certificates


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    certificates.write_authority_and_server(tmp_path, names=["localhost"], addresses=["127.0.0.1"])
    certificates.write_service_account_keys(tmp_path)
    return tmp_path


def test_a_strict_client_trusts_the_server_at_its_address(certs: Path) -> None:
    client = ssl.create_default_context(cafile=str(certs / "ca.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certs / "server.crt", certs / "server.key")
    assert handshake(client, server, name="127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        handshake(client, server, name="127.0.0.2")


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, *, name: str) -> bool:
    """Shake hands in memory; whether both sides finished."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    pending = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        for side in tuple(pending):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(side)
    return not pending


def test_private_keys_are_the_owners_alone(certs: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o077 for path in certs.glob("*.key")}
    assert modes == {"server.key": 0, "sa.key": 0}


def test_the_authority_cannot_make_further_authorities(certs: Path) -> None:
    authority = x509.load_pem_x509_certificate((certs / "ca.crt").read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
