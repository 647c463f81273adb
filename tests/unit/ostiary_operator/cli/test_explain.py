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
metadata: {name: all, namespace: ostiary-system}
spec:
  targetSelector: {}
  access:
    rules:
    - {name: no-secrets, effect: Deny, tools: {names: ["*_secret"]}}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: tickets, namespace: team-a}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  authentication: {jwt: {issuers: [{issuer: "https://idp.example", groupsClaim: [groups]}]}, anonymous: {}}
  access:
    rules:
    - {name: read, effect: Allow, tools: {names: ["read_*"]}}
    - name: pay
      effect: Allow
      tools: {names: [pay]}
      when: '"finance" in groups'
      arguments: [{path: [n], maximum: 5}]
    - {name: admin, effect: Allow, tools: {names: [delete]}, scopes: [admin]}
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "files.yaml"
    file.write_text(FILES)
    return str(file)


def test_an_allowed_call_names_the_rule_that_decides(ostiary: Ostiary, path: str) -> None:
    result = ostiary("explain", "--tool", "read_ticket", path)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("ALLOW: rule read allows it (MCPPolicy team-a/tickets)\n")
    assert " => Allow  read: matches\n" in result.out
    assert "    Allow  pay: the name is not among pay\n" in result.out


def test_a_denied_call_shows_both_tiers_and_why_each_rule_does_not_match(ostiary: Ostiary, path: str) -> None:
    result = ostiary("explain", "--tool", "pay", "--args", '{"n": 7}', "--groups", "finance", path)
    assert result.code == 1
    assert result.out == (
        "DENY: rule pay does not allow these arguments: argument 'n' must be given and be a number of at most 5 "
        "(MCPPolicy team-a/tickets)\n"
        "\n"
        "proxy    team-a/crm\n"
        "caller   groups finance\n"
        "call     Call tool pay\n"
        "admitted assumed: the credential is valid (authentication of team-a/tickets)\n"
        "\n"
        "platform policies\n"
        "  MCPPolicy ostiary-system/all, generation 1\n"
        "    Deny   no-secrets: the name is not among *_secret\n"
        "\n"
        "owner policies\n"
        "  MCPPolicy team-a/tickets, generation 1\n"
        "    Allow  read: the name is not among read_*\n"
        " => Allow  pay: argument 'n' must be given and be a number of at most 5\n"
        "    Allow  admin: the name is not among delete\n"
        "\n"
        "what would allow it\n"
        "    the call must meet: argument 'n' must be given and be a number of at most 5 "
        "(rule pay of MCPPolicy team-a/tickets)\n"
        "    add a rule to an MCPPolicy of tier owner: effect Allow, tools pay\n"
    )


def test_the_platform_decides_before_the_owner(ostiary: Ostiary, path: str) -> None:
    result = ostiary("explain", "--tool", "read_secret", path)
    assert result.out.startswith("DENY: rule no-secrets denies it (MCPPolicy ostiary-system/all)\n")


def test_a_condition_and_missing_scopes_are_named(ostiary: Ostiary, path: str) -> None:
    paying = ostiary("explain", "--tool", "pay", "--groups", "sales", path)
    assert '    Allow  pay: the condition is false: "finance" in groups\n' in paying.out
    deleting = ostiary("explain", "--tool", "delete", "--scopes", "read,write", path)
    assert " => Allow  admin: the caller lacks the scopes admin\n" in deleting.out


def test_claims_of_a_token_give_groups_and_scopes(ostiary: Ostiary, path: str, tmp_path: Path) -> None:
    claims = tmp_path / "claims.json"
    claims.write_text(json.dumps({"sub": "me", "scope": "admin other"}))
    result = ostiary("explain", "--tool", "delete", "--as", str(claims), path)
    assert result.code == 0
    assert "caller   scopes admin, other; claims scope, sub\n" in result.out


def test_headers_host_and_path_of_the_request_can_be_described(ostiary: Ostiary, path: str) -> None:
    when = 'headers["x-env"] == "prod" && request.path == "/team-a/crm/mcp" && request.host == "tools.example"'
    text = FILES.replace("""'"finance" in groups'""", f"'{when}'")
    Path(path).write_text(text.replace("spec:\n  servers", "spec:\n  hostnames: [tools.example]\n  servers"))
    call = ("explain", "--tool", "pay", "--args", '{"n": 1}', path)
    assert ostiary(*call, "--header", "X-Env: prod").code == 0
    assert ostiary(*call, "--header", "X-Env: prod", "--request-host", "other.example").code == 1
    assert ostiary(*call, "--header", "X-Env: prod", "--request-path", "/x/mcp").code == 1
    assert "an expression or a constraint cannot be evaluated, so the rule does not apply" in ostiary(*call).out
    assert "'x' is not a header, such as 'x-environment: production'" in ostiary(*call, "--header", "x").err


def test_a_verb_is_found_in_any_case_and_a_policy_without_rules_is_named_as_such(ostiary: Ostiary, path: str) -> None:
    Path(path).write_text(FILES.partition("    rules:\n    - {name: read")[0] + "    rules: []\n")
    result = ostiary("explain", "--tool", "x", "--verb", "list", path)
    assert (result.code, "    has no rules, so it allows nothing\n" in result.out) == (1, True)


def test_a_consumer_without_a_known_key_is_marked(ostiary: Ostiary, path: str) -> None:
    keys = "authentication: {apiKey: {selector: {matchLabels: {app: crm}}}}"
    lines = [f"  {keys}" if "authentication:" in line else line for line in FILES.splitlines()]
    Path(path).write_text("\n".join(lines))
    result = ostiary("explain", "--tool", "read_ticket", "--consumer", "me", path)
    assert "caller   consumer team-a/me (no API key of it is known here)\n" in result.out


def explained(ostiary: Ostiary, path: str, claims: object) -> str:
    file = Path(path).with_name("claims.json")
    file.write_text(json.dumps(claims))
    result = ostiary("explain", "--tool", "pay", "--args", '{"n": 1}', "--as", str(file), path)
    assert result.code == int(result.out.startswith("DENY"))
    return result.out


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"sub": "me", "groups": "finance sales"}, None),
        ({"sub": "me", "groups": ["finance", 1]}, "the claim groups has a value that is not a short text"),
        ({"sub": "me", "groups": {"finance": True}}, "the claim groups is not a list, or has more than 1000 values"),
        ({"groups": ["finance"]}, "the token names no subject"),
        ({"sub": "me", "iss": "https://other.example"}, "iss must be one of https://idp.example"),
        ({"sub": "me", "iss": ["https://idp.example"]}, "iss must be one of https://idp.example"),
    ],
)
def test_claims_are_read_by_the_rules_of_the_gateway(
    claims: dict[str, object], why: str | None, ostiary: Ostiary, path: str
) -> None:
    found = explained(ostiary, path, claims)
    if why is None:
        assert '    Allow  pay: the condition is false: "finance" in groups\n' in found
        return
    assert found.startswith(
        f"DENY: authentication refuses the caller (401): no policy accepts a token with these claims: {why}\n"
    )
    assert "=>" not in found
    assert explained(ostiary, path, {"iss": "https://idp.example", "sub": "me", "groups": ["finance"]})[:5] == "ALLOW"


def test_a_described_caller_changes_nothing_where_no_policy_authenticates(ostiary: Ostiary, tmp_path: Path) -> None:
    file = tmp_path / "open.yaml"
    file.write_text("\n".join(line for line in FILES.splitlines() if "authentication" not in line))
    result = ostiary("explain", "--tool", "pay", "--args", '{"n": 1}', "--groups", "finance", str(file))
    assert result.code == 1
    assert (
        "caller   anonymous: the gateway does not authenticate callers here, so the described caller changes nothing\n"
        in result.out
    )
    assert "admitted yes: no policy has spec.authentication in force, so every caller is anonymous\n" in result.out


def test_a_caller_without_a_credential_is_refused_where_no_policy_admits_it(ostiary: Ostiary, path: str) -> None:
    Path(path).write_text(FILES.replace(", anonymous: {}", ""))
    result = ostiary("explain", "--tool", "read_ticket", path)
    assert result.out.startswith(
        "DENY: authentication refuses the caller (401): no policy admits a caller without a credential\n"
    )
    assert ostiary("explain", "--tool", "read_ticket", "--consumer", "me", path).code == 0


def test_an_explanation_is_an_object_for_programs_without_claims_and_arguments(ostiary: Ostiary, path: str) -> None:
    result = ostiary("explain", "--tool", "pay", "--consumer", "bob", "--args", '{"n": "hunter2"}', "-o", "json", path)
    found = json.loads(result.out)
    assert (found["decision"], found["reason"], found["caller"]["consumer"]) == ("Deny", "NotAllowed", "team-a/bob")
    assert [(each["rule"], each["outcome"]) for each in found["rules"]] == [
        ("no-secrets", "name"),
        ("read", "name"),
        ("pay", "condition"),
        ("admin", "name"),
    ]
    assert "hunter2" not in result.out


def test_a_control_character_in_a_name_does_not_reach_the_terminal(ostiary: Ostiary, path: str) -> None:
    assert "\x1b" not in ostiary("explain", "--tool", "\x1b[2J", path).out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--tool", "a", "--proxy", "x"], "no gateway serves MCPProxy default/x: correct the name; known: team-a/crm"),
        (["--tool", "a", "--verb", "Read"], "--verb Read: a tool has no such verb; use List, Call"),
        (["--tool", "a", "--args", "[]"], "it must be a JSON object, such as {}"),
        (["--tool", "a", "--args", "{"], "it is not JSON"),
        (["--tool", "a", "--as", "/nowhere"], "/nowhere cannot be read"),
        ([], "one of the arguments --tool --resource --prompt is required"),
    ],
)
def test_wrong_usage_is_answered_with_the_remedy(
    arguments: list[str], problem: str, ostiary: Ostiary, path: str
) -> None:
    result = ostiary("explain", *arguments, path)
    assert result.code == 2
    assert problem in result.err


def test_the_constraint_of_a_deny_rule_is_shown_as_what_it_denies(ostiary: Ostiary, path: str) -> None:
    rule = "{name: none-below, effect: Deny, tools: {names: [read_*]}, arguments: [{path: [n], maximum: 0}]}"
    Path(path).write_text(FILES.replace("    - {name: read,", f"    - {rule}\n    - {{name: read,"))

    shown = ostiary("explain", "--tool", "read_ticket", "--args", '{"n": 1}', path).out

    assert (
        "none-below: denies only calls that meet this: argument 'n' must be given and be a number of at most 0" in shown
    )


CONTENTS = """\
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: contents, namespace: team-a}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  validation: {arguments: Enforce, results: Warn}
  masks:
  - name: cards
    detect: [{kind: CardNumber}, {pattern: 'EMP-[0-9]{6}', name: employee}]
    action: Mask
  - {name: elsewhere, tools: {names: [write_*]}, detect: [{kind: Email}], action: Block}
  guards:
  - {name: hidden, scan: [Results], detect: [HiddenText, Override], action: Strip}
  - {name: short, scan: [Results], truncate: {text: 1Ki}}
  - {name: bounds, scan: [Results], action: Wrap}
  transforms:
  - {name: region, tools: {names: ["read_*"]}, arguments: {set: [{path: /region, value: "'eu'"}]}}
"""


def test_the_rules_about_contents_that_apply_are_named(ostiary: Ostiary, path: str) -> None:
    file = Path(path)
    file.write_text(FILES + CONTENTS)
    result = ostiary("explain", "--tool", "read_ticket", path)
    assert result.out.split("\n\ncontents\n")[1].partition("\nwhat would")[0] == (
        "    transform region of MCPPolicy team-a/contents: changes arguments\n"
        "    validation of MCPPolicy team-a/contents: arguments Enforce, results Warn\n"
        "    mask cards of MCPPolicy team-a/contents: Mask of CardNumber, employee in Arguments, Results, Records\n"
        "    guard hidden of MCPPolicy team-a/contents: Strip of HiddenText, Override in Results\n"
        "    guard short of MCPPolicy team-a/contents: cuts text in Results at 1024 bytes\n"
        "    guard bounds of MCPPolicy team-a/contents: Wrap of everything in Results\n"
    )
    contents = json.loads(ostiary("explain", "--tool", "write_ticket", "--output", "json", path).out)["contents"]
    assert [each["rule"] for each in contents] == [None, "cards", "elsewhere", "hidden", "short", "bounds"]
