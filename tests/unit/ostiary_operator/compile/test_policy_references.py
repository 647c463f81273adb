"""References of policies: the client secret for introspection, and CA bundles."""

import base64
from typing import Any

import orjson
import pytest
from pem import CERTIFICATE

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import credential_values, resources_from_objects
from ostiary_operator.compile.model import Compiled, ObjectKey, ReferenceKey
from ostiary_operator.compile.references import wanted, wanted_credentials

CANARY = "canary-7d1e0a-secret-value"
KEY = ObjectKey("MCPPolicy", "team-a", "oauth")
GATEWAY = {
    "kind": "Service",
    "metadata": {
        "name": "ostiary-default",
        "namespace": "ostiary-system",
        "labels": {"ostiary.dev/gateway": "default"},
    },
}
PROXY = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPProxy",
    "metadata": {"name": "crm", "namespace": "team-a", "uid": "u", "generation": 1},
    "spec": {"servers": [{"name": "s", "url": "https://crm.example.com/mcp"}]},
}
INTROSPECTION = {
    "issuer": "https://id.example.com",
    "clientId": "ostiary",
    "clientSecretRef": {"name": "introspection", "key": "secret"},
}
CA_REFS = {"caCertificateRefs": [{"kind": "ConfigMap", "name": "ca"}]}


def secret(value: str = CANARY, *, hosts: str = "id.example.com", **metadata: Any) -> dict[str, Any]:
    labels = metadata.pop("labels", {"ostiary.dev/usage": "credential"})
    found = {"uid": "0a-1b", "resourceVersion": "7", "annotations": {"ostiary.dev/hosts": hosts}, **metadata}
    return {
        "kind": "Secret",
        "metadata": {"name": "introspection", "namespace": "team-a", "labels": labels, **found},
        "data": {"secret": base64.b64encode(value.encode()).decode()},
    }


def config_map(bundle: str = CERTIFICATE) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": "ca", "namespace": "team-a"}, "data": {"ca.crt": bundle}}


def policy(generation: int = 1, **authentication: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": "oauth", "namespace": "team-a", "uid": "p", "generation": generation},
        "spec": {"targetRefs": [{"kind": "MCPProxy", "name": "crm"}], "authentication": authentication},
    }


def introspecting(generation: int = 1, **members: Any) -> dict[str, Any]:
    return policy(generation, introspection={**INTROSPECTION, **members})


def compiled(*objects: dict[str, Any], before: Compiled | None = None) -> Compiled:
    resources = resources_from_objects([GATEWAY, PROXY, *objects], "ostiary-system")
    return compile_resources(resources, before.configs if before is not None else {})


def in_force(found: Compiled) -> AuthenticationConfig:
    [document] = found.configs["ostiary-system/default"].policies.values()
    assert document.authentication is not None
    return document.authentication


def resolved_refs(found: Compiled) -> tuple[str, str, str]:
    [condition] = [c for c in found.statuses[KEY].conditions if c.type == "ResolvedRefs"]
    return condition.status, condition.reason, condition.message


def test_a_document_has_the_name_of_the_client_secret_and_never_its_value() -> None:
    resources = resources_from_objects([GATEWAY, PROXY, introspecting(), secret()], "ostiary-system")
    found = compile_resources(resources, {})
    config = found.configs["ostiary-system/default"]
    introspection = in_force(found).introspection

    assert introspection is not None
    assert config.secrets() == {introspection.client_secret}
    assert [value.reveal() for value in credential_values([secret()], resources.credentials).values()] == [
        CANARY.encode()
    ]
    assert CANARY not in repr(resources)
    assert CANARY.encode() not in orjson.dumps([it.model_dump(mode="json") for it in config.policies.values()])
    assert resolved_refs(found)[0] == "True"


def test_introspection_reaches_the_gateway_with_its_defaults() -> None:
    introspection = in_force(compiled(introspecting(), secret())).introspection

    assert introspection is not None
    assert introspection.endpoint is None
    assert (introspection.client_id, introspection.cache, introspection.timeout) == ("ostiary", 30_000, 5000)
    assert introspection.audiences is None


@pytest.mark.parametrize(
    ("objects", "reason", "words"),
    [
        ([], "RefNotFound", "Secret team-a/introspection does not exist; create it, or correct the reference"),
        ([secret(labels={})], "NotPermitted", "lacks the label ostiary.dev/usage"),
        ([secret(labels={"ostiary.dev/usage": "api-key"})], "NotPermitted", "holds API keys of callers"),
        ([secret(hosts="other.example.com")], "HostNotPermitted", "write id.example.com into its annotation"),
        ([{**secret(), "data": {"other": "YQ=="}}], "RefNotFound", "has no key secret"),
        ([secret("")], "RefInvalid", "the value of key secret is empty"),
    ],
)
def test_a_client_secret_that_cannot_be_used_closes_a_new_policy_and_is_named(
    objects: list[dict[str, Any]], reason: str, words: str
) -> None:
    found = compiled(introspecting(), *objects)
    status, why, message = resolved_refs(found)

    assert (status, why) == ("False", reason)
    assert "spec.authentication.introspection.clientSecretRef" in message
    assert words in message
    assert CANARY not in message
    assert found.configs["ostiary-system/default"].entries["team-a/crm"].invalid


@pytest.mark.parametrize(
    ("endpoint", "host"), [(None, "id.example.com"), ("https://in.example.com/x", "in.example.com")]
)
def test_the_owner_of_the_secret_must_permit_the_host_of_the_endpoint(endpoint: str | None, host: str) -> None:
    members: dict[str, Any] = {"endpoint": endpoint} if endpoint is not None else {}

    assert resolved_refs(compiled(introspecting(**members), secret(hosts=host)))[0] == "True"
    assert f"may not be sent to {host}" in resolved_refs(compiled(introspecting(**members), secret(hosts="")))[2]


@pytest.mark.parametrize("later", [[], [secret(labels={})], [{**secret(), "data": {}}]])
def test_the_last_accepted_version_stays_while_the_client_secret_is_missing(later: list[dict[str, Any]]) -> None:
    before = compiled(introspecting(), secret())
    after = compiled(introspecting(2, cache="10s"), *later, before=before)

    assert in_force(after) == in_force(before)
    status, _, message = resolved_refs(after)
    assert status == "False"
    assert "The last accepted version (generation 1) stays in force." in message


def test_a_rotated_client_secret_gets_another_name() -> None:
    before = compiled(introspecting(), secret())
    after = compiled(introspecting(), secret("another", resourceVersion="8"), before=before)

    assert in_force(after) != in_force(before)


def test_a_rotated_client_secret_is_used_although_an_edit_of_the_policy_is_not_accepted() -> None:
    before = compiled(introspecting(), secret())
    broken = introspecting(2)
    broken["spec"]["access"] = {"rules": [{"effect": "Allow", "when": "nonsense("}]}
    after = compiled(broken, secret("another", resourceVersion="8"), before=before)

    introspection = in_force(after).introspection
    assert introspection is not None
    assert introspection.client_secret.startswith("credential-0a-1b-8-")


def test_a_host_that_is_no_longer_permitted_gets_the_client_secret_no_more() -> None:
    before = compiled(introspecting(), secret())
    after = compiled(introspecting(), secret(hosts="", resourceVersion="8"), before=before)

    assert in_force(after).introspection is None
    assert not in_force(after).anonymous
    assert after.configs["ostiary-system/default"].secrets() == set()
    assert resolved_refs(after)[1] == "HostNotPermitted"


@pytest.mark.parametrize(
    ("authentication", "member"),
    [
        ({"jwt": {"issuers": [{"issuer": "https://id.example.com", **CA_REFS}]}}, "jwt.issuers[0]"),
        ({"introspection": {**INTROSPECTION, **CA_REFS}}, "introspection"),
        ({"clientCertificate": CA_REFS}, "clientCertificate"),
    ],
)
def test_a_policy_takes_certificate_authorities_from_a_config_map(authentication: dict[str, Any], member: str) -> None:
    found = compiled(policy(**authentication), secret(), config_map())
    missing = compiled(policy(**authentication), secret())

    assert CERTIFICATE in in_force(found).model_dump_json().replace("\\n", "\n")
    assert resolved_refs(found)[0] == "True"
    assert resolved_refs(missing)[1] == "RefNotFound"
    assert f"spec.authentication.{member}.caCertificateRefs[0]: ConfigMap team-a/ca" in resolved_refs(missing)[2]


def test_the_last_accepted_authorities_stay_while_the_new_ones_cannot_be_read() -> None:
    given = policy(clientCertificate=CA_REFS)
    before = compiled(given, config_map())
    after = compiled(given, config_map("nonsense"), before=before)

    assert in_force(after) == in_force(before)
    assert resolved_refs(after)[1] == "RefInvalid"


def test_rotated_authorities_reach_the_gateway() -> None:
    given = policy(clientCertificate=CA_REFS)
    before = compiled(given, config_map())
    after = compiled(given, config_map(CERTIFICATE * 2), before=before)

    assert in_force(after) != in_force(before)


def test_the_objects_that_a_policy_refers_to_are_listed() -> None:
    given = introspecting(caCertificateRefs=[{"kind": "Secret", "name": "ca"}])

    assert wanted([], [given]) == {ReferenceKey("Secret", "team-a", "ca")}
    assert wanted_credentials([], [given]) == {ReferenceKey("Secret", "team-a", "introspection")}
