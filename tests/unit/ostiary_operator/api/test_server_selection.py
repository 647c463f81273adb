"""Several servers of an MCPProxy: what only the models can check; the rest is in the corpus of manifests."""

from typing import Any

import pytest

from ostiary_operator.api.load import InvalidResource, parse_proxy
from ostiary_operator.api.problems import Problem
from ostiary_operator.api.rule_conditions import MAX_ALL_CHARACTERS

ROUTED = {"serverSelection": "Route", "servers": [{"name": name, "url": f"http://{name}/mcp"} for name in ("eu", "us")]}
MERGED = {
    "serverSelection": "Merge",
    "servers": [{"name": name, "prefix": f"{name}_", "url": f"http://{name}/mcp"} for name in ("crm", "erp")],
}


def problems(spec: dict[str, Any]) -> list[Problem]:
    metadata = {"name": "tools", "namespace": "sales"}
    document = {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPProxy", "metadata": metadata, "spec": spec}
    try:
        parse_proxy(document)
    except InvalidResource as error:
        return list(error.problems)
    return []


def routed(*rules: dict[str, Any]) -> list[Problem]:
    return problems({**ROUTED, "routing": list(rules)})


def test_a_condition_that_is_not_cel_names_rule_line_and_column() -> None:
    (found,) = routed(
        {"name": "eu", "when": "claims.region ==\n", "servers": ["eu"]}, {"name": "us", "servers": ["us"]}
    )
    assert found.field == "spec.routing[0].when"
    assert found.message.startswith("line ")
    assert "of rule eu" in found.message


def test_a_condition_reads_caller_and_message_but_no_result() -> None:
    readable = "authenticated && args.a == 1 && 'a' in groups && request.name == 'x' && headers['h'] == 'y'"
    assert routed({"name": "eu", "when": readable, "servers": ["eu"]}) == []
    (found,) = routed({"name": "eu", "when": "result.a == 1", "servers": ["eu"]})
    assert "reads args, authenticated, claims, consumer, groups, headers, request, scopes" in found.remedy


def test_conditions_have_a_limit_together() -> None:
    long = " || ".join(["'support' in groups"] * 200)[:4000].rpartition(" || ")[0]
    rules = [{"name": f"r{number}", "when": long, "servers": ["eu"]} for number in range(5)]
    assert len(long) * len(rules) > MAX_ALL_CHARACTERS
    (found,) = routed(*rules)
    assert found.field == "spec.routing"
    assert "more than 16384 characters in all" in found.message


@pytest.mark.parametrize("primitive", ["tools", "prompts"])
def test_a_catalogue_that_includes_a_name_of_no_server_is_refused_with_the_remedy(primitive: str) -> None:
    (found,) = problems({**MERGED, "catalogue": {primitive: {"include": ["crm_*", "get_users"]}}})
    assert found.field == f"spec.catalogue.{primitive}.include[1]"
    assert (found.message, found.remedy) == (
        "begins with the prefix of no server, so it includes nothing",
        "write for example crm_get_users",
    )


def test_a_catalogue_may_exclude_what_servers_call_it_and_include_what_some_server_could_own() -> None:
    catalogue = {"tools": {"include": ["*_users", "erp_a", "c*"], "exclude": ["delete_user"]}}
    assert problems({**MERGED, "catalogue": catalogue}) == []
    single = {"servers": [{"name": "crm", "url": "http://crm/mcp"}]}
    assert problems({**single, "catalogue": {"tools": {"include": ["get_users"]}}}) == []
