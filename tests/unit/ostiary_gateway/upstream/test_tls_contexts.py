"""The TLS settings of connections that the gateway opens: one for all servers with the same authorities."""

import pytest
from client_certificates import Authority

from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.document_client import DocumentClient
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.tls_contexts import client_context

AUTHORITY, OTHER = Authority(), Authority("Another")


def test_servers_with_the_same_authorities_share_one_context() -> None:
    ours = client_context(AUTHORITY.issued.pem)
    assert client_context(None) is client_context(None)
    assert client_context(AUTHORITY.issued.pem) is ours
    assert len({id(client_context(None)), id(ours), id(client_context(OTHER.issued.pem))}) == 3


def test_a_server_is_verified_by_the_authorities_that_were_asked_for() -> None:
    ours = client_context(AUTHORITY.issued.pem)
    assert len(ours.get_ca_certs()) == 1
    assert ours.check_hostname


@pytest.mark.parametrize("text", ["ä", "", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"])
def test_what_holds_no_certificates_is_refused(text: str) -> None:
    with pytest.raises((ValueError, OSError)):
        client_context(text)


def test_many_identity_providers_load_the_authorities_of_the_system_once() -> None:
    clients = [DocumentClient(lambda: (OwnEndpoints(), Egress()), seconds=1) for _ in range(500)]
    assert len({id(each._tls) for each in clients}) == 1
