from typing import Any

import pytest
from pem import CERTIFICATE

from ostiary_operator.compile.authentication_methods import ReferencedObjects
from ostiary_operator.compile.ca_bundles import References
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.model import Missing, ReferenceKey
from ostiary_operator.compile.references import Resolution, resolve, wanted
from ostiary_operator.compile.resource_parser import read_proxies

CA = ReferenceKey("ConfigMap", "team-a", "ca")
KEY = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n"


def proxy(*references: dict[str, str]) -> dict[str, Any]:
    tls = {"caCertificateRefs": list(references)}
    return {
        "metadata": {"name": "crm", "namespace": "team-a"},
        "spec": {"servers": [{"name": "crm", "url": "https://crm.example.com/mcp", "tls": tls}]},
    }


def resolution(references: References) -> Resolution:
    [subject] = read_proxies([proxy({"kind": "ConfigMap", "name": "ca"})], Cache())
    assert subject.spec is not None
    return resolve(subject, subject.spec, ReferencedObjects({}, references, {}), {}, Cache())


def refusal(references: References) -> tuple[str, str]:
    found = resolution(references).rejection
    assert found is not None
    return found.reason, found.message


def test_the_referenced_objects_are_listed() -> None:
    references = [{"kind": "ConfigMap", "name": "ca"}, {"kind": "Secret", "name": "ca", "key": "tls.crt"}]

    assert wanted([proxy(*references)], []) == {CA, ReferenceKey("Secret", "team-a", "ca")}


def test_a_proxy_that_cannot_be_read_wants_nothing() -> None:
    assert wanted([{**proxy({"kind": "ConfigMap", "name": "ca"}), "spec": 5}], []) == set()


def test_only_the_certificates_travel() -> None:
    text = f"# a comment\r\n{CERTIFICATE}\n\nmore words\n{CERTIFICATE}".replace("\n", "\r\n")

    assert resolution({CA: {"ca.crt": text}}).bundles == {"crm": CERTIFICATE + CERTIFICATE}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no certificate"),
        ("not PEM", "holds no certificate"),
        (CERTIFICATE + KEY, "something other than certificates"),
        (KEY, "something other than certificates"),
        (CERTIFICATE.replace("BEGIN CERTIFICATE", "BEGIN TRUSTED CERTIFICATE"), "something other than certificates"),
        (CERTIFICATE + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "cannot be read"),
        (CERTIFICATE + "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----", "cannot be read"),
        (CERTIFICATE + "-----BEGIN CERTIFICATE-----\nMIIB", "cannot be read"),
        (CERTIFICATE.replace("M", "!", 1), "cannot be read"),
    ],
)
def test_what_is_no_bundle_of_certificates_is_refused_and_not_repeated(text: str, words: str) -> None:
    reason, message = refusal({CA: {"ca.crt": text}})

    assert reason == "RefInvalid"
    assert words in message
    assert "PRIVATE" not in message
    assert "bm90" not in message


@pytest.mark.parametrize(
    ("references", "reason", "words"),
    [
        ({}, "RefNotFound", "ConfigMap team-a/ca does not exist"),
        ({CA: Missing.NOT_FOUND}, "RefNotFound", "does not exist"),
        ({CA: {"other": CERTIFICATE}}, "RefNotFound", "has no key ca.crt"),
        ({CA: Missing.FORBIDDEN}, "NotPermitted", "may not be read by the operator"),
        ({CA: Missing.NOT_LABELLED}, "NotPermitted", "lacks the label ostiary.dev/usage"),
    ],
)
def test_what_cannot_be_had_is_named_with_a_remedy(references: References, reason: str, words: str) -> None:
    found, message = refusal(references)

    assert found == reason
    assert message.startswith("MCPProxy team-a/crm: spec.servers[0].tls.caCertificateRefs[0]: ")
    assert words in message
    assert "; " in message
