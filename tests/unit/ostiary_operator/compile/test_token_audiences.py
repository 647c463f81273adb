from typing import Any

import pytest

from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import resources_from_objects
from ostiary_operator.compile.model import ConditionDraft, ObjectKey

ISSUER = {"issuer": "https://id.example.com"}
JWT = {"jwt": {"issuers": [ISSUER]}}


def condition(
    authentication: dict[str, Any],
    *,
    settings: str = "{}",
    hostnames: list[str] | None = None,
    mode: str = "Enforce",
    platform: dict[str, Any] | None = None,
    of: str = "MCPPolicy",
    spec: dict[str, Any] | None = None,
) -> ConditionDraft:
    """The condition Effective of the policy, or Governed of the proxy."""
    gateway: dict[str, Any] = {
        "name": "ostiary-default",
        "namespace": "ostiary-system",
        "labels": {"ostiary.dev/gateway": "default"},
    }
    proxy: dict[str, Any] = {"servers": [{"name": "s", "url": "https://crm.example.com/mcp"}]}
    objects: list[dict[str, Any]] = [
        {"kind": "Service", "metadata": gateway},
        {
            "kind": "ConfigMap",
            "metadata": {**gateway, "labels": {**gateway["labels"], "ostiary.dev/usage": "settings"}},
            "data": {"settings.yaml": settings},
        },
        resource("MCPProxy", "team-a", proxy | ({"hostnames": hostnames} if hostnames else {}) | (spec or {})),
        resource("MCPPolicy", "team-a", governing(authentication) | {"mode": mode}),
    ]
    if platform is not None:
        spec = {"targetSelector": {}, "authentication": platform}
        objects.append(resource("MCPPolicy", "ostiary-system", spec))
    found = compile_resources(resources_from_objects(objects, "ostiary-system"), {})
    return found.statuses[ObjectKey(of, "team-a", "crm")].aside[0]


def governing(authentication: dict[str, Any]) -> dict[str, Any]:
    return {"targetRefs": [{"kind": "MCPProxy", "name": "crm"}], "authentication": authentication}


def resource(kind: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "crm", "namespace": namespace, "uid": f"{kind}-{namespace}", "generation": 1}
    return {"apiVersion": "ostiary.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("of", ["MCPPolicy", "MCPProxy"])
def test_tokens_that_are_always_refused_are_reported_with_field_and_remedy(of: str) -> None:
    found = condition(JWT, of=of)

    assert found.reason == "NoAudience"
    assert "spec.authentication.jwt.issuers[0].audiences: is not set" in found.message
    assert "set externalURL in the gateway's settings, hostnames in the MCPProxy, or audiences" in found.message


@pytest.mark.parametrize("of", ["MCPPolicy", "MCPProxy"])
@pytest.mark.parametrize(
    "case",
    [
        {"settings": "externalURL: https://mcp.example.com"},
        {
            "settings": "grants: [{namespaces: [team-a], hostnames: [crm.example.com]}]",
            "hostnames": ["crm.example.com"],
        },
        {"authentication": {"jwt": {"issuers": [{**ISSUER, "audiences": ["crm"]}]}}},
        {"authentication": {"anonymous": {}}},
        {"mode": "Shadow"},
    ],
)
def test_nothing_is_reported_where_tokens_can_be_accepted(case: dict[str, Any], of: str) -> None:
    found = condition(**{"authentication": JWT, "of": of, **case})

    assert found.reason in {"Effective", "Governed"}
    assert found.status == "True"


def test_the_status_of_a_proxy_counts_only_policies_that_authenticate_its_callers() -> None:
    platform = {"jwt": {"issuers": [{**ISSUER, "audiences": ["crm"]}]}}

    assert condition(JWT, platform=platform, of="MCPProxy").reason == "Governed"


def merged(*hosts: str) -> dict[str, Any]:
    servers = [
        {"name": f"s{place}", "prefix": f"p{place}_", "url": f"https://{host}/mcp"} for place, host in enumerate(hosts)
    ]
    return {"serverSelection": "Merge", "servers": servers}


def test_tokens_that_several_servers_get_are_reported() -> None:
    found = condition({"passthrough": {}}, spec=merged("crm.example.com", "erp.example.com"))

    assert found.reason == "TokensShared"
    assert "MCPProxy team-a/crm passes the tokens of its callers through to all of s0, s1" in found.message


def test_tokens_of_one_server_or_of_one_host_or_of_shadow_mode_are_not_shared() -> None:
    several = merged("crm.example.com", "erp.example.com")
    assert condition({"passthrough": {}}).reason == "Effective"
    assert condition({"passthrough": {}}, spec=merged("crm.example.com", "crm.example.com")).reason == "Effective"
    assert condition({"passthrough": {}}, spec=several, mode="Shadow").reason == "Effective"
    assert condition({"anonymous": {}}, spec=several).reason == "Effective"
