from datetime import UTC, datetime
from typing import Any

import pytest

from ostiary_operator.api import load
from ostiary_operator.api.durations import Duration
from ostiary_operator.api.load import InvalidResource, InvalidSettings, parse_policy, parse_proxy, parse_settings
from ostiary_operator.api.problems import InvalidDocument, Problem
from ostiary_operator.api.references import CertificateSource
from ostiary_operator.api.servers import Timeouts

SERVER = {"name": "crm", "url": "https://mcp.example.com/mcp"}


def proxy(spec: Any = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "crm", **metadata},
        "spec": {"servers": [SERVER]} if spec is None else spec,
    }


def policy(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": "read-only", "namespace": "sales"},
        "spec": spec,
    }


def refusal(document: dict[str, Any]) -> tuple[Problem, ...]:
    parse = parse_proxy if document["kind"] == "MCPProxy" else parse_policy
    with pytest.raises(InvalidResource) as refused:
        parse(document)
    return refused.value.problems


def test_an_object_from_the_api_server_keeps_its_identity() -> None:
    resource = parse_proxy(
        proxy(
            namespace="sales",
            uid="8a1c",
            generation=7,
            creationTimestamp="2026-11-21T08:00:00Z",
            labels={"team": "sales"},
            resourceVersion="12",
            managedFields=[{"manager": "kubectl"}],
        )
        | {"status": {"anything": ["goes", None]}}
    )
    assert (resource.identity, resource.uid, resource.generation) == ("sales/crm", "8a1c", 7)
    assert resource.creation_timestamp == datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert resource.labels == {"team": "sales"}


def test_an_object_from_a_file_gets_a_lasting_identity() -> None:
    first, second = parse_proxy(proxy()), parse_proxy(proxy(), namespace="default")
    assert first == second
    assert (first.namespace, first.generation) == ("default", 1)
    assert first.uid != parse_proxy(proxy(), namespace="other").uid
    assert first.creation_timestamp == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_null_that_tools_write_into_metadata_is_no_problem() -> None:
    assert parse_proxy(proxy(creationTimestamp=None, annotations=None, labels=None)).name == "crm"


def test_an_omitted_field_has_its_default() -> None:
    (server,) = parse_proxy(proxy({"servers": [{"name": "a", "service": {"name": "b", "port": 80}}]})).spec.servers
    assert server.service is not None
    assert server.service.path is None
    assert server.timeouts == Timeouts(
        connect=Duration.parse("5s"), request=Duration.parse("2m"), idle=Duration.parse("5m")
    )


def test_a_bundle_has_the_key_of_the_gateway_api() -> None:
    tls = {"caCertificateRefs": [{"kind": "Secret", "name": "ca"}]}
    (server,) = parse_proxy(proxy({"servers": [SERVER | {"tls": tls}]})).spec.servers
    assert server.tls is not None
    assert server.tls.ca_certificate_refs is not None
    assert server.tls.ca_certificate_refs[0].key == "ca.crt"
    assert server.tls.ca_certificate_refs[0].kind is CertificateSource.SECRET


def test_no_access_and_empty_access_are_different_things() -> None:
    assert parse_policy(policy({})).spec.access is None
    access = parse_policy(policy({"access": {}})).spec.access
    assert access is not None
    assert access.rules == ()


def test_a_resource_cannot_be_changed() -> None:
    resource = parse_proxy(proxy())
    with pytest.raises(AttributeError):
        setattr(resource, "name", "other")  # noqa: B010  the type checker would refuse it before we can
    with pytest.raises(ValueError, match="frozen"):
        setattr(resource.spec, "path", "/other")  # noqa: B010  likewise


def test_all_problems_are_reported_at_once() -> None:
    spec = {"path": "/crm/", "hostnames": ["MCP.example.com"], "servers": [SERVER | {"url": "mcp"}]}
    assert [problem.field for problem in refusal(proxy(spec))] == [
        "spec.hostnames[0]",
        "spec.path",
        "spec.servers[0].url",
    ]


def test_a_list_is_not_called_too_short_because_its_only_item_is_bad() -> None:
    problems = refusal(policy({"access": {"rules": [{"name": "a", "effect": "Deny", "tools": {"names": [""]}}]}}))
    assert [problem.field for problem in problems] == ["spec.access.rules[0].tools.names[0]"]


RULE: dict[str, Any] = {"name": "a", "effect": "Deny"}


def test_a_field_of_almost_the_right_name_gets_a_hint() -> None:
    (problem,) = refusal(proxy({"servers": [SERVER], "hostname": []}))
    assert problem == Problem("spec.hostname", "is not a known field", "did you mean hostnames?")


@pytest.mark.parametrize(
    ("spec", "field", "remedy"),
    [
        ({"access": {"rules": [RULE | {"subjects": []}]}}, "spec.access.rules[0].subjects", "move it to spec.subjects"),
        (
            {"access": {"rules": [RULE | {"groups": []}]}},
            "spec.access.rules[0].groups",
            "move it to spec.subjects[].groups",
        ),
        ({"access": RULE, "rules": []}, "spec.rules", "move it to spec.access.rules"),
        ({"apiKey": {}}, "spec.apiKey", "move it to spec.authentication.apiKey"),
        ({"access": {"tools": {}}}, "spec.access.tools", "move it to spec.access.rules[].tools"),
    ],
)
def test_a_field_in_the_wrong_place_gets_the_right_one(spec: dict[str, Any], field: str, remedy: str) -> None:
    found = {problem.field: problem.remedy for problem in refusal(policy(spec))}
    assert found[field] == remedy


def test_a_field_in_other_case_gets_a_hint() -> None:
    (problem,) = refusal(proxy({"servers": [SERVER | {"TLS": {}}]}))
    assert problem.remedy == "did you mean tls?"


def test_a_field_of_another_name_gets_the_list() -> None:
    (problem,) = refusal(proxy({"servers": [SERVER | {"weights": {}}]}))
    assert problem.remedy == (
        "known here: name, url, service, serverRef, endpoints, routingType, loadBalancer, healthCheck, retry, "
        "circuitBreaker, openapi, prefix, protocolVersion, host, headers, credential, timeouts, tls"
    )


def test_a_choice_gets_the_list_of_choices() -> None:
    (problem,) = refusal(policy({"targetSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}))
    assert problem.remedy == "use In, NotIn, Exists or DoesNotExist"


@pytest.mark.parametrize("field", ["access", "targetSelector", "targetRefs"])
def test_a_field_without_a_value_never_means_all(field: str) -> None:
    (problem,) = refusal(policy({field: None}))
    assert (problem.field, problem.message) == (f"spec.{field}", "has no value")


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"tools": None}, "tools"),
        ({"tools": {"names": None}}, "tools.names"),
        ({"tools": {"names": ["a"], "verbs": None}}, "tools.verbs"),
        ({"prompts": {"patterns": None}}, "prompts.patterns"),
        ({"tools": {"names": ["a", None]}}, "tools.names[1]"),
    ],
)
def test_a_rule_with_a_gap_is_refused(rule: dict[str, Any], field: str) -> None:
    (problem,) = refusal(policy({"access": {"rules": [{"name": "a", "effect": "Allow", **rule}]}}))
    assert problem.field == f"spec.access.rules[0].{field}"


def test_a_secret_in_a_url_is_not_repeated() -> None:
    with pytest.raises(InvalidResource) as refused:
        parse_proxy(proxy({"servers": [SERVER | {"url": "https://me:hunter2@mcp.example.com/mcp"}]}))
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(refused.value)


def test_the_error_names_the_object_the_field_and_the_remedy() -> None:
    with pytest.raises(InvalidResource) as refused:
        parse_policy(policy({"access": {"rules": [{"name": "a", "effect": "allow"}]}}))
    assert str(refused.value) == (
        "MCPPolicy sales/read-only: spec.access.rules[0].effect: is not one of the allowed values; use Allow or Deny"
    )


@pytest.mark.parametrize("metadata", [None, [], "crm", {}, {"name": 5}])
def test_an_object_without_a_name_is_refused_like_any_other(metadata: Any) -> None:
    with pytest.raises(InvalidResource, match=r"^MCPProxy without a name: metadata") as refused:
        parse_proxy(proxy() | {"metadata": metadata})
    assert refused.value.problems[0].field.startswith("metadata")


@pytest.mark.parametrize(
    ("change", "field"),
    [({"apiVersion": "ostiary.dev/v1"}, "apiVersion"), ({"kind": "MCPPolicy"}, "kind"), ({"kind": None}, "kind")],
)
def test_an_object_of_another_kind_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidResource) as refused:
        parse_proxy(proxy() | change)
    assert [problem.field for problem in refused.value.problems] == [field]


def test_a_flood_of_problems_is_cut() -> None:
    error = InvalidDocument("it", [Problem(f"f{i}", "is wrong", "fix it") for i in range(100)])
    assert len(str(error).splitlines()) == 21
    assert str(error).endswith("and 80 more")


def test_a_key_of_absurd_length_is_cut() -> None:
    (problem,) = refusal(proxy({"servers": [SERVER], "x" * 10_000: 1}))
    assert len(problem.field) < 200


def test_settings_that_are_longer_than_any_settings_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(load, "read_documents", read.append)

    with pytest.raises(InvalidSettings, match="longer than the 65536 characters"):
        parse_settings("grants: [" + "1," * 40_000 + "1]")
    assert read == []


@pytest.mark.parametrize(
    "name",
    [
        *("X-Forwarded-For", "x_forwarded_user", "X-Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-Real-IP"),
        *("X-HTTP-Method-Override", "X-Envoy-Original-Path", "Proxy", "Mcp_Session_Id", "Content_Length"),
        *("Transfer_Encoding", "X-Host"),
    ],
)
def test_headers_by_which_servers_route_or_identify_callers_cannot_be_set(name: str) -> None:
    server = {**SERVER, "headers": [{"name": name, "value": "crm.team-b.svc"}]}

    with pytest.raises(InvalidResource, match=r"than the request's|writes itself"):
        parse_proxy(proxy({"servers": [server]}))
    parse_proxy(proxy({"servers": [{**SERVER, "headers": [{"name": "X-Tenant", "value": "sales"}]}]}))


def test_a_name_that_is_too_long_has_too_many_characters_and_not_items() -> None:
    assert refusal(proxy(name="a" * 64)) == (Problem("metadata.name", "is too long", "write at most 63 characters"),)
