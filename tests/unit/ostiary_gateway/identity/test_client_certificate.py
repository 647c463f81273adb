import time
from urllib.parse import quote

import pytest
from client_certificates import Authority, Issued
from cryptography.x509 import DNSName, RFC822Name, UniformResourceIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary_core.contract.authentication import ClientCertificateConfig
from ostiary_core.policy.principal import Principal
from ostiary_gateway.identity.client_certificate import CertificateVerifier, from_der, from_forwarded
from ostiary_gateway.identity.errors import InvalidToken

SPIFFE = "spiffe://example.org/ns/agents/sa/support"
AUTHORITY = Authority()
VERIFIER = CertificateVerifier(ClientCertificateConfig(ca=AUTHORITY.issued.pem), namespace="team-a")


def verified(issued: Issued) -> Principal:
    return VERIFIER.verify(from_der([issued.der]), now=time.time())


def test_the_uri_of_a_certificate_becomes_the_principal() -> None:
    principal = verified(AUTHORITY.issue(DNSName("agent.example.org"), UniformResourceIdentifier(SPIFFE)))

    assert principal.consumer == f"team-a/{SPIFFE}"
    assert principal.method == "clientCertificate"
    assert principal.id.startswith("certificate:")


def test_the_dns_name_of_a_certificate_without_a_uri_becomes_the_principal() -> None:
    assert verified(AUTHORITY.issue(DNSName("agent.example.org"))).consumer == "team-a/agent.example.org"


def test_a_renewed_certificate_has_the_same_principal_id() -> None:
    one, two = (AUTHORITY.issue(UniformResourceIdentifier(SPIFFE)) for _ in range(2))

    assert verified(one).id == verified(two).id


@pytest.mark.parametrize(
    "issued",
    [
        Authority().issue(DNSName("agent.example.org")),
        AUTHORITY.issue(DNSName("agent.example.org"), days=-1),
        AUTHORITY.issue(DNSName("agent.example.org"), usage=ExtendedKeyUsageOID.SERVER_AUTH),
        AUTHORITY.issue(RFC822Name("agent@example.org")),
        AUTHORITY.issue(),
    ],
    ids=["another authority of the same name", "expired", "a server's certificate", "only an address", "no name"],
)
def test_a_certificate_that_proves_nothing_is_refused(issued: Issued) -> None:
    with pytest.raises(InvalidToken):
        verified(issued)


def test_a_certificate_of_an_authority_as_openssl_makes_it_is_accepted() -> None:
    plain = Authority(key_usage=None)
    verifier = CertificateVerifier(ClientCertificateConfig(ca=plain.issued.pem), namespace="team-a")
    issued = plain.issue(UniformResourceIdentifier(SPIFFE), names_authority=False)

    assert verifier.verify(from_der([issued.der]), now=time.time()).consumer == f"team-a/{SPIFFE}"


def test_an_authority_whose_key_may_not_sign_certificates_issues_none() -> None:
    wrong = Authority(key_usage=False)
    verifier = CertificateVerifier(ClientCertificateConfig(ca=wrong.issued.pem), namespace="team-a")

    with pytest.raises(InvalidToken, match="no certificate authority of this proxy issued it"):
        verifier.verify(from_der([wrong.issue(UniformResourceIdentifier(SPIFFE)).der]), now=time.time())


def test_an_expired_certificate_is_named_as_that() -> None:
    with pytest.raises(InvalidToken, match="has expired"):
        verified(AUTHORITY.issue(DNSName("agent.example.org"), days=-1))


def test_a_certificate_that_a_trusted_proxy_forwards_is_verified_again() -> None:
    good, foreign = AUTHORITY.issue(UniformResourceIdentifier(SPIFFE)), Authority().issue(DNSName("x.example.org"))

    header = f'By=spiffe://mesh;Hash=00;Subject="CN=a;b,c";URI=spiffe://evil;Cert="{quote(good.pem)}"'
    assert VERIFIER.verify(from_forwarded(header), now=time.time()).consumer == f"team-a/{SPIFFE}"
    with pytest.raises(InvalidToken):
        VERIFIER.verify(from_forwarded(f'Cert="{quote(foreign.pem)}"'), now=time.time())


def test_a_name_in_a_certificate_cannot_bring_in_the_certificate_of_another_client() -> None:
    own = quote(AUTHORITY.issue(UniformResourceIdentifier("spiffe://example.org/own")).pem)
    victim = quote(AUTHORITY.issue(UniformResourceIdentifier(SPIFFE)).pem)

    for injected, problem in (
        (f'Cert="{own}";Subject="";URI=spiffe://own,Hash=00;Cert="{victim}"', "several"),
        (f'Cert="{victim}",By=spiffe://mesh;Hash=00', "several"),
        (f'Cert="{own}";Subject="";URI=spiffe://own;Chain="{victim}"', "not the first of its chain"),
        (f'Cert="{own}";Subject="";DNS=own;Cert="{victim}"', "twice"),
    ):
        with pytest.raises(InvalidToken, match=problem):
            from_forwarded(injected)
    assert from_forwarded(f'Cert="{own}";Chain="{own}{victim}"').leaf == from_forwarded(f'Cert="{own}"').leaf


@pytest.mark.parametrize(
    "value", ["", "URI=spiffe://x", "Cert=", 'Cert="x', "Cert=x", "Cert=a;Cert=b", "x" * 40_000, 'Cert="%00"']
)
def test_a_forwarded_certificate_that_cannot_be_read_is_refused(value: str) -> None:
    with pytest.raises(InvalidToken):
        from_forwarded(value)


def test_bytes_that_are_no_certificate_are_refused() -> None:
    for certificates in ([], [b"x"]):
        with pytest.raises(InvalidToken):
            from_der(certificates)
