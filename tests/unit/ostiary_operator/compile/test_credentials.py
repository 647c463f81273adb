"""Credentials of servers: which value of which Secret may be sent where, and what the compiler knows of it."""

import base64
from typing import Any

import orjson
import pytest

from ostiary_operator.api.reasons import ResolvedRefsReason
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.credentials import required_host
from ostiary_operator.compile.inputs import credential_values, resources_from_objects
from ostiary_operator.compile.model import Compiled, ObjectKey, ReferenceKey

CANARY = "canary-5f2b9c-secret-value"
KEY = ObjectKey("MCPProxy", "team-a", "crm")
GATEWAY = {
    "kind": "Service",
    "metadata": {
        "name": "ostiary-default",
        "namespace": "ostiary-system",
        "labels": {"ostiary.dev/gateway": "default"},
    },
}
BEARER = {"bearer": {"secretRef": {"name": "crm-token", "key": "token"}}}
API_KEY = {"header": {"name": "X-Api-Key", "secretRef": {"name": "crm-token", "key": "token"}}}


def secret(value: str | bytes = CANARY, *, hosts: str = "crm.example.com", **metadata: Any) -> dict[str, Any]:
    data = value.encode() if isinstance(value, str) else value
    labels = metadata.pop("labels", {"ostiary.dev/usage": "credential"})
    found = {"uid": "0a-1b", "resourceVersion": "7", "annotations": {"ostiary.dev/hosts": hosts}, **metadata}
    return {
        "kind": "Secret",
        "metadata": {"name": "crm-token", "namespace": "team-a", "labels": labels, **found},
        "data": {"token": base64.b64encode(data).decode()},
    }


def proxy(credential: dict[str, Any] = BEARER, **server: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "crm", "namespace": "team-a", "uid": "u", "generation": 1},
        "spec": {
            "servers": [{"name": "s", "url": "https://crm.example.com/mcp", "credential": credential, **server}],
        },
    }


def compiled(*objects: dict[str, Any], before: Compiled | None = None) -> Compiled:
    resources = resources_from_objects([GATEWAY, *objects], "ostiary-system")
    return compile_resources(resources, before.configs if before is not None else {})


def refused(*objects: dict[str, Any]) -> tuple[str, str]:
    """The condition ResolvedRefs, which is False."""
    [found] = [c for c in compiled(*objects).statuses[KEY].conditions if c.type == "ResolvedRefs"]
    assert found.status == "False"
    return found.reason, found.message


def servers(found: Compiled) -> list[Any]:
    return list(found.configs["ostiary-system/default"].entries["team-a/crm"].servers)


def test_a_document_has_the_name_of_the_value_and_never_the_value() -> None:
    found = compiled(proxy(), secret())
    [server] = servers(found)
    static = server.credential.static
    assert (static.header, static.prefix) == ("Authorization", "Bearer ")
    assert static.secret.startswith("credential-0a-1b-7-")
    assert CANARY.encode() not in orjson.dumps(server.model_dump())
    assert CANARY not in repr(resources_from_objects([GATEWAY, proxy(), secret()], "ostiary-system"))


def test_a_header_gets_its_scheme_before_the_value() -> None:
    [server] = servers(compiled(proxy({"header": {**API_KEY["header"], "scheme": "Token"}}), secret()))
    assert (server.credential.static.header, server.credential.static.prefix) == ("X-Api-Key", "Token ")


def test_each_version_of_a_secret_has_its_own_name() -> None:
    one, two = (servers(compiled(proxy(), secret(resourceVersion=version)))[0] for version in ("7", "8"))
    assert one.credential.static.secret != two.credential.static.secret


def test_delivery_gets_the_value_without_white_space_around_it() -> None:
    objects = [GATEWAY, proxy(), secret(f"{CANARY}\n")]
    resources = resources_from_objects(objects, "ostiary-system")
    [value] = credential_values(objects, resources.credentials).values()
    assert value.reveal() == CANARY.encode()
    assert list(resources.credentials) == [ReferenceKey("Secret", "team-a", "crm-token")]


def test_a_secret_in_a_file_is_named_by_its_content_without_revealing_it() -> None:
    def named(value: str) -> str:
        plain = secret(value, uid="", resourceVersion="")
        found: str = servers(compiled(proxy(), plain))[0].credential.static.secret
        return found

    assert named("one-secret") == named("one-secret") != named("another-secret")
    assert "one-secret" not in named("one-secret")


def test_a_secret_is_sent_only_to_the_hosts_that_its_owner_permits() -> None:
    reason, message = refused(proxy(), secret(hosts="other.example.com"))
    assert reason == ResolvedRefsReason.HOST_NOT_PERMITTED
    assert message == (
        "MCPProxy team-a/crm: spec.servers[0].credential.bearer.secretRef: Secret team-a/crm-token may not be sent to "
        "crm.example.com; write crm.example.com into its annotation ostiary.dev/hosts, exactly so, if its owner "
        "permits that. Nothing is served until then."
    )
    reason, _ = refused(proxy(), secret(annotations={}))
    assert reason == ResolvedRefsReason.HOST_NOT_PERMITTED


@pytest.mark.parametrize(
    "server",
    [
        {"host": "evil.example.com"},
        {"host": "evil.example.com:8443"},
        {"tls": {"hostname": "evil.example.com"}},
        {"headers": [{"name": "X-Forwarded-Host", "value": "evil.example.com"}]},
    ],
)
def test_every_host_by_which_a_front_end_may_route_must_be_permitted(server: dict[str, Any]) -> None:
    reason, message = refused(proxy(**server), secret())
    assert reason == ResolvedRefsReason.HOST_NOT_PERMITTED
    assert "evil.example.com" in message


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://crm.example.com:8443/mcp", "crm.example.com"),
        ("https://CRM.example.com./mcp", "crm.example.com"),
        ("http://crm.example.com/mcp", "http://crm.example.com"),
        ("http://crm.team-a.svc.cluster.local/mcp", "crm.team-a.svc.cluster.local"),
        ("http://127.0.0.1:8000/mcp", "127.0.0.1"),
        ("http://10.0.0.7/mcp", "http://10.0.0.7"),
        ("http://localhost:8000/mcp", "localhost"),
    ],
)
def test_plain_http_outside_of_the_cluster_needs_its_own_permission(url: str, wanted: str) -> None:
    assert required_host(url) == wanted


@pytest.mark.parametrize(
    ("objects", "reason", "part"),
    [
        ([], "RefNotFound", "does not exist; create it"),
        ([secret(labels={})], "NotPermitted", "lacks the label ostiary.dev/usage"),
        (
            [secret(labels={"ostiary.dev/usage": "config", "ostiary.dev/config": "a"})],
            "NotPermitted",
            "lacks the label",
        ),
        ([secret("")], "RefInvalid", "is empty"),
        ([secret(CANARY + "\r\nX-Injected: a")], "RefInvalid", "not printable ASCII"),
        ([secret(b"\xff\xfe")], "RefInvalid", "not printable ASCII"),
        ([secret("x" * 4097)], "RefInvalid", "more than 4096 bytes"),
        ([{**secret(), "data": {"other": "YQ=="}}], "RefNotFound", "has no key token"),
        ([{**secret(), "data": {"token": "%%%"}}], "RefInvalid", "is not base64"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_a_remedy_and_never_repeated(
    objects: list[dict[str, Any]], reason: str, part: str
) -> None:
    found, message = refused(proxy(), *objects)
    assert found == reason
    assert part in message
    assert CANARY not in message


def test_a_deleted_secret_keeps_the_last_version_in_force() -> None:
    before = compiled(proxy(), secret())
    after = compiled(proxy(), before=before)
    assert servers(after) == servers(before)
    assert after.configs["ostiary-system/default"].secrets() == before.configs["ostiary-system/default"].secrets()


def test_a_host_that_is_no_longer_permitted_gets_the_credential_no_more() -> None:
    before = compiled(proxy(), secret())
    after = compiled(proxy(), secret(hosts="other.example.com", resourceVersion="8"), before=before)
    assert after.configs["ostiary-system/default"].entries == {}


CLIENT = {
    "tokenEndpoint": "https://auth.example.com/token",
    "clientId": "ostiary",
    "clientSecretRef": {"name": "crm-token", "key": "token"},
    "scopes": ["crm.read"],
}


TOKEN_CLIENTS = pytest.mark.parametrize("kind", ["clientCredentials", "tokenExchange"])


def test_a_deleted_value_is_sent_no_more_once_a_secret_of_its_name_permits_other_hosts() -> None:
    before = compiled(proxy(), secret())
    deleted = compiled(proxy(), before=before)
    assert deleted.configs["ostiary-system/default"].secrets() == before.configs["ostiary-system/default"].secrets()

    replaced = secret("another", hosts="elsewhere.example.com", uid="9f-9f", resourceVersion="9")
    after = compiled(proxy(), replaced, before=deleted)

    assert after.configs["ostiary-system/default"].entries == {}


@TOKEN_CLIENTS
def test_the_secret_of_a_client_needs_the_host_of_its_token_endpoint_too(kind: str) -> None:
    reason, message = refused(proxy({kind: CLIENT}), secret())
    assert reason == ResolvedRefsReason.HOST_NOT_PERMITTED
    assert "may not be sent to auth.example.com" in message
    [server] = servers(compiled(proxy({kind: CLIENT}), secret(hosts="crm.example.com, auth.example.com")))
    client = server.credential.token_client
    assert (client.token_endpoint, client.client_id, client.scopes) == (
        CLIENT["tokenEndpoint"],
        "ostiary",
        ("crm.read",),
    )
    assert client.secret.startswith("credential-0a-1b-7-")


@TOKEN_CLIENTS
def test_a_client_whose_secret_no_longer_permits_its_token_endpoint_is_dropped(kind: str) -> None:
    before = compiled(proxy({kind: CLIENT}), secret(hosts="crm.example.com,auth.example.com"))
    assert "team-a/crm" in before.configs["ostiary-system/default"].entries
    after = compiled(proxy({kind: CLIENT}), secret(hosts="crm.example.com", resourceVersion="8"), before=before)
    assert after.configs["ostiary-system/default"].entries == {}


@TOKEN_CLIENTS
def test_a_token_endpoint_is_granted_like_a_server(kind: str) -> None:
    settings = {
        "kind": "ConfigMap",
        "metadata": {
            "name": "settings",
            "namespace": "ostiary-system",
            "labels": {"ostiary.dev/gateway": "default", "ostiary.dev/usage": "settings"},
        },
        "data": {"settings.yaml": "tenancy: Multi\ngrants: [{namespaces: [team-a], upstreams: [crm.example.com]}]"},
    }
    found = compiled(settings, proxy({kind: CLIENT}), secret(hosts="crm.example.com,auth.example.com"))
    [accepted] = [c for c in found.statuses[KEY].conditions if c.type == "Accepted"]
    assert (accepted.status, accepted.reason) == ("False", "UpstreamNotPermitted")
    assert f"spec.servers[0].credential.{kind}" in accepted.message
    assert "auth.example.com" in accepted.message


@pytest.mark.parametrize(
    ("credential", "remedy"),
    [
        ({}, "set bearer, header, clientCredentials, tokenExchange or identityAssertion"),
        ({**BEARER, **API_KEY}, "set bearer, header, clientCredentials, tokenExchange or identityAssertion"),
        ({"header": {**API_KEY["header"], "name": "Host"}}, "use Authorization, or a header for keys"),
    ],
)
def test_a_credential_has_exactly_one_kind(credential: dict[str, Any], remedy: str) -> None:
    [found] = [c for c in compiled(proxy(credential), secret()).statuses[KEY].conditions if c.type == "Accepted"]
    assert found.status == "False"
    assert remedy in found.message


@pytest.mark.parametrize(
    ("server", "assertion", "audience"),
    [
        ({"url": "https://crm.example.com/mcp"}, {}, "https://crm.example.com/mcp"),
        ({"url": "https://crm.example.com:8443/mcp?tenant=a"}, {}, "https://crm.example.com:8443/mcp"),
        ({"url": "https://crm.example.com/mcp"}, {"audience": "Origin"}, "https://crm.example.com"),
        ({"service": {"name": "crm", "port": 8080}}, {}, "http://crm.team-a.svc:8080/mcp"),
        # One front end, another host: the audience stays what the gateway connects to.
        ({"url": "https://crm.example.com/mcp", "host": "other.example.com"}, {}, "https://crm.example.com/mcp"),
    ],
)
def test_the_audience_of_an_assertion_is_the_servers_own_url(
    server: dict[str, Any], assertion: dict[str, Any], audience: str
) -> None:
    resource = proxy({"identityAssertion": assertion})
    resource["spec"]["servers"] = [{"name": "s", "credential": {"identityAssertion": assertion}, **server}]
    [found] = servers(compiled(resource))
    assert found.credential.identity_assertion.audience == audience
    assert found.credential.secrets == ()


@pytest.mark.parametrize(
    ("assertion", "header", "prefix"),
    [
        ({}, "Authorization", "Bearer "),
        ({"header": "X-Caller-Identity"}, "X-Caller-Identity", ""),
        ({"header": "X-Caller-Identity", "scheme": "JWT"}, "X-Caller-Identity", "JWT "),
    ],
)
def test_an_assertion_is_sent_as_a_bearer_token_unless_a_header_is_named(
    assertion: dict[str, Any], header: str, prefix: str
) -> None:
    [found] = servers(compiled(proxy({"identityAssertion": assertion})))
    config = found.credential.identity_assertion
    assert (config.header, config.prefix, config.lifetime) == (header, prefix, 60_000)


@pytest.mark.parametrize(
    ("assertion", "remedy"),
    [
        ({"audience": "https://other.example.com"}, "identityAssertion.audience"),
        ({"lifetime": "1h"}, "must be from 10s to 5m"),
        ({"header": "Mcp-Session-Id"}, "names a header with another meaning"),
        ({"header": "X-Forwarded-User"}, "names a header with another meaning"),
        ({"claims": ["email", "email"]}, "identityAssertion.claims"),
        ({"issuer": "https://other.example.com"}, "identityAssertion.issuer"),
    ],
)
def test_an_assertion_that_would_speak_for_others_or_too_long_is_refused(
    assertion: dict[str, Any], remedy: str
) -> None:
    resource = proxy({"identityAssertion": assertion})
    [found] = [c for c in compiled(resource).statuses[KEY].conditions if c.type == "Accepted"]
    assert found.status == "False"
    assert remedy in found.message
