"""`ostiary explain` and `ostiary access` at an MCPProxy with several servers."""

import json
from pathlib import Path

import pytest
from command_line import Ostiary

POLICY = """
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: rules, namespace: team-a}
spec:
  targetSelector: {}
  authentication: {jwt: {issuers: [{issuer: "https://idp.example"}]}, anonymous: {}}
  access:
    rules:
    - {name: no-delete, effect: Deny, tools: {names: [delete_user]}}
    - {name: rest, effect: Allow}
  limits:
  - {name: each, tools: {verbs: [List, Call]}, per: [Server], requests: 100, window: 1h}
"""
MERGED = f"""\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {{name: tools, namespace: team-a}}
spec:
  serverSelection: Merge
  servers:
  - {{name: crm, prefix: crm_, url: "http://crm.example/mcp"}}
  - {{name: erp, prefix: erp_, url: "http://erp.example/mcp"}}
{POLICY}"""
ROUTED = f"""\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {{name: records, namespace: team-a}}
spec:
  serverSelection: Route
  servers:
  - {{name: us, url: "http://us.example/mcp"}}
  - {{name: eu, url: "http://eu.example/mcp"}}
  - {{name: eu-2, url: "http://eu-2.example/mcp"}}
  routing:
  - {{name: drafts, when: args.draft == true, servers: [us]}}
  - {{name: eu, when: 'claims.region == "eu"', servers: [eu, eu-2]}}
  - {{name: others, servers: [us]}}
{POLICY}"""


@pytest.fixture
def merged(tmp_path: Path) -> str:
    (tmp_path / "merged.yaml").write_text(MERGED)
    return str(tmp_path / "merged.yaml")


@pytest.fixture
def routed(tmp_path: Path) -> str:
    (tmp_path / "routed.yaml").write_text(ROUTED)
    return str(tmp_path / "routed.yaml")


def of_region(tmp_path: Path, region: str) -> tuple[str, str]:
    (tmp_path / "claims.json").write_text(json.dumps({"iss": "https://idp.example", "sub": "a", "region": region}))
    return "--as", str(tmp_path / "claims.json")


def test_an_exposed_name_leads_to_its_server_and_to_the_name_there(ostiary: Ostiary, merged: str) -> None:
    result = ostiary("explain", "--tool", "erp_read", merged)
    assert (result.code, result.err) == (0, "")
    assert "server   erp, which calls it read\n" in result.out
    assert "counted by Server erp.example\n" in result.out


def test_a_list_counts_at_all_servers_that_it_is_merged_from(ostiary: Ostiary, merged: str) -> None:
    result = ostiary("explain", "--tool", "erp_read", "--verb", "List", "-o", "json", merged)
    counted = [limit["counted_by"] for limit in json.loads(result.out)["limits"]]
    assert counted == ["Server crm.example and Server erp.example"]


def test_a_deny_of_the_servers_own_name_is_shown_with_that_name(ostiary: Ostiary, merged: str) -> None:
    result = ostiary("explain", "--tool", "crm_delete_user", merged)
    assert result.code == 1
    assert result.out.startswith("DENY: rule no-delete denies it (MCPPolicy team-a/rules)\n")
    assert "reading  the server knows it as delete_user\n" in result.out
    assert " => Deny   no-delete: matches\n" in result.out


def test_a_name_of_no_server_names_the_prefixes(ostiary: Ostiary, merged: str) -> None:
    result = ostiary("explain", "--tool", "read", merged)
    assert result.code == 1
    assert "server   none: the name begins with the prefix of no server; prefixes are crm_, erp_\n" in result.out
    result = ostiary("explain", "--resource", "ui://read", merged)
    assert "the URI has the mark of no server; marks are scheme://crm/, scheme://erp/\n" in result.out


def test_a_route_names_its_rule_and_the_servers_in_order(ostiary: Ostiary, routed: str, tmp_path: Path) -> None:
    result = ostiary("explain", "--tool", "read", "--args", '{"draft": false}', *of_region(tmp_path, "eu"), routed)
    assert result.code == 0
    assert "server   eu, else eu-2 (rule eu of spec.routing)\n" in result.out
    assert "    route  drafts: does not match\n => route  eu: matches\n    route  others: is not tried\n" in result.out


def test_a_list_passes_over_rules_that_read_arguments(ostiary: Ostiary, routed: str, tmp_path: Path) -> None:
    result = ostiary("explain", "--tool", "read", "--verb", "List", *of_region(tmp_path, "us"), routed)
    assert result.code == 0
    assert "server   us (rule others of spec.routing)\n" in result.out
    assert "route  drafts: is not tried\n" in result.out


def test_a_rule_that_fails_ends_without_a_route_although_policies_allow_the_call(
    ostiary: Ostiary, routed: str, tmp_path: Path
) -> None:
    result = ostiary("explain", "--tool", "read", *of_region(tmp_path, "eu"), "-o", "json", routed)
    found = json.loads(result.out)
    assert result.code == 1
    assert (found["decision"], found["reason"]) == ("Deny", "NoRoute")
    assert found["cause"] == "rule drafts of spec.routing cannot be evaluated (NoRoute)"
    assert found["destination"]["servers"] == []
    assert [each["rule"] for each in found["destination"]["routing"]] == ["drafts", "eu", "others"]


def test_the_matrix_shows_names_of_rules_as_each_server_exposes_them(ostiary: Ostiary, merged: str) -> None:
    result = ostiary("access", "-o", "json", merged)
    (found,) = json.loads(result.out)
    rows = {(row["primitive"], row["name"]): row["access"]["anonymous"] for row in found["names"]}
    assert rows == {
        ("tools", "crm_*"): "use",
        ("tools", "crm_delete_user"): "-",
        ("tools", "erp_*"): "use",
        ("tools", "erp_delete_user"): "-",
        ("resources", "*://crm/*"): "use",
        ("resources", "*://erp/*"): "use",
        ("prompts", "crm_*"): "use",
        ("prompts", "erp_*"): "use",
    }
