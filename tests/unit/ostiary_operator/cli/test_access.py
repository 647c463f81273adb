import json
from pathlib import Path

import pytest
from command_line import Ostiary

FILES = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: crm, namespace: team-a}
spec:
  servers: [{name: crm, url: "http://crm.team-a.svc:8080/mcp"}]
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: tickets, namespace: team-a}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  access:
    rules:
    - {name: read, effect: Allow, tools: {names: ["read_*"]}}
    - {name: pay, effect: Allow, tools: {names: [pay]}, arguments: [{path: [n], maximum: 5}]}
    - {name: show, effect: Allow, tools: {verbs: [List], names: [delete]}}
    - {name: unseen, effect: Allow, tools: {verbs: [Call], names: [ping]}}
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "files.yaml"
    file.write_text(FILES)
    return str(file)


def test_each_name_of_the_rules_is_a_row(ostiary: Ostiary, path: str) -> None:
    result = ostiary("access", path)
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "MCPProxy team-a/crm\n"
        "           NAME     anonymous\n"
        "tool       *        -\n"
        "tool       delete   see\n"
        "tool       pay      if\n"
        "tool       ping     use unseen\n"
        "tool       read_*   use\n"
        "resource   *        -\n"
        "prompt     *        -\n"
        "\n"
        "use: see and use; if: depends on the message; see: see only; use unseen: use only; -: neither\n"
    )


def test_a_uri_of_each_of_several_servers_is_a_row(ostiary: Ostiary, tmp_path: Path) -> None:
    servers = "".join(
        f"  - {{name: {name}, prefix: {name}_, url: 'http://localhost:1/mcp'}}\n" for name in ("one", "two")
    )
    (tmp_path / "files.yaml").write_text(
        "apiVersion: ostiary.dev/v1alpha1\nkind: MCPProxy\nmetadata: {name: crm}\n"
        f"spec:\n  serverSelection: Merge\n  servers:\n{servers}"
        "---\napiVersion: ostiary.dev/v1alpha1\nkind: MCPPolicy\nmetadata: {name: p}\n"
        "spec:\n  targetRefs: [{kind: MCPProxy, name: crm}]\n  access:\n    rules:\n"
        "    - {name: read, effect: Allow, resources: {names: ['*://one/*']}}\n"
    )
    rows = [line.split() for line in ostiary("access", str(tmp_path / "files.yaml")).out.splitlines()]
    assert ["resource", "*://one/*", "use"] in rows
    assert ["resource", "*://two/*", "-"] in rows


def test_a_matrix_for_a_pull_request_escapes_names(ostiary: Ostiary, path: str) -> None:
    result = ostiary("access", "-o", "markdown", path)
    assert "### team-a/crm\n\n|  | NAME | anonymous |\n| --- | --- | --- |\n" in result.out
    assert "| tool | read\\_\\* | use |\n" in result.out


def test_a_list_of_a_server_gives_the_names(ostiary: Ostiary, path: str, tmp_path: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(
        json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "read_x"}, {"name": "nuke"}]}})
    )
    found = json.loads(ostiary("access", "--list", str(tools), "-o", "json", path).out)
    assert [(row["name"], row["access"]) for row in found[0]["names"]] == [
        ("read_x", {"anonymous": "use"}),
        ("nuke", {"anonymous": "-"}),
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--proxy", "x"], "no gateway serves MCPProxy default/x: correct the name; known: team-a/crm"),
        (["--list", "/nowhere"], "/nowhere is not a list as JSON"),
        (["--list", "NO_LIST"], "NO_LIST must be the result of a list method"),
        (["/nowhere"], "/nowhere"),
    ],
)
def test_wrong_usage_is_answered_with_the_remedy(
    arguments: list[str], problem: str, ostiary: Ostiary, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("NO_LIST").write_text('{"sub": "support-agent"}')
    result = ostiary("access", path, *arguments)
    assert result.code == 2
    assert problem in result.err
