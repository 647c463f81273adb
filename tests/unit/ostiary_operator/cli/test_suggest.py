import json
from pathlib import Path
from typing import Any

import yaml
from command_line import Ostiary

from ostiary_gateway.telemetry import semantic_conventions as names
from ostiary_operator.local import policy_suggestion


def span(method: str, consumer: str = "", **attributes: Any) -> dict[str, Any]:
    known = {
        names.MCP_METHOD_NAME: method,
        names.OSTIARY_PROXY_NAMESPACE: "team-a",
        names.OSTIARY_PROXY_NAME: "crm",
        **({names.USER_ID: consumer} if consumer else {}),
    }
    return known | attributes


def call(tool: str, consumer: str = "", **more: Any) -> dict[str, Any]:
    return span("tools/call", consumer, **{names.GEN_AI_TOOL_NAME: tool}, **more)


def console(*spans: dict[str, Any]) -> str:
    return "".join(json.dumps({"name": "x", "kind": "SERVER", "attributes": each}) + "\n" for each in spans)


def otlp(*spans: dict[str, Any]) -> str:
    found = [
        {"kind": 2, "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in each.items()]}
        for each in spans
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": found}]}]}) + "\n"


def recorded(folder: Path, text: str) -> str:
    path = folder / "spans.jsonl"
    path.write_text(text)
    return str(path)


def test_a_policy_allows_just_what_was_used(ostiary: Ostiary, tmp_path: Path) -> None:
    text = console(call("read", "team-a/bot"), call("list", "team-a/bot"), call("read", "team-a/bot"))
    result = ostiary("suggest", recorded(tmp_path, text))
    assert (result.code, result.err) == (0, "")
    assert "&" not in result.out  # anchors are hard to read
    assert yaml.safe_load(result.out) == {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": "suggested-crm-1", "namespace": "team-a"},
        "spec": {
            "mode": "Shadow",
            "targetRefs": [{"kind": "MCPProxy", "name": "crm"}],
            "subjects": [{"consumers": ["bot"]}],
            "access": {
                "rules": [
                    {
                        "name": "call-tools",
                        "effect": "Allow",
                        "tools": {"verbs": ["List", "Call"], "names": ["list", "read"]},
                    }
                ]
            },
            "tests": [
                {"as": {"consumer": "bot"}, "call": {"tool": "list"}, "expect": "Allow"},
                {"as": {"consumer": "bot"}, "call": {"tool": "read"}, "expect": "Allow"},
            ],
        },
    }


def test_a_suggestion_passes_its_own_tests_for_every_kind_of_use_and_caller(ostiary: Ostiary, tmp_path: Path) -> None:
    text = otlp(
        call("read"),
        span("prompts/get", "team-a/bot", **{names.GEN_AI_PROMPT_NAME: "summary"}),
        span("resources/read", "team-a/bot", **{names.MCP_RESOURCE_URI: "file:///a"}),
        span("resources/subscribe", "ostiary-system/ops", **{names.MCP_RESOURCE_URI: "file:///a"}),
    )
    suggestion = ostiary("suggest", "--enforce", recorded(tmp_path, text))
    policies = tmp_path / "policies.yaml"
    policies.write_text(suggestion.out)
    result = ostiary("test", str(policies))
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("3 tests in 2 policies: all passed\n")
    assert 'consumer == "ostiary-system/ops"' in suggestion.out
    assert "!authenticated" in suggestion.out
    assert "Shadow" not in suggestion.out


def test_consumers_that_used_the_same_share_a_policy(ostiary: Ostiary, tmp_path: Path) -> None:
    text = console(call("read", "team-a/one"), call("read", "team-a/two"), call("write", "team-a/three"))
    found = list(yaml.safe_load_all(ostiary("suggest", recorded(tmp_path, text)).out))
    assert [each["spec"]["subjects"] for each in found] == [[{"consumers": ["one", "two"]}], [{"consumers": ["three"]}]]


def test_what_was_denied_or_failed_or_cannot_be_a_rule_is_omitted_and_counted(ostiary: Ostiary, tmp_path: Path) -> None:
    text = console(
        call("read", "team-a/bot", **{names.OSTIARY_ACCESS_DECISION: names.DENY}),
        call("nothing", "team-a/bot", **{names.RPC_RESPONSE_STATUS_CODE: "-32602"}),
        call("*", "team-a/bot"),
        call("\x1b[2J", "team-a/bot"),
        call("read", **{names.USER_HASH: "token:abc"}),
        span("tools/list", "team-a/bot"),
    )
    result = ostiary("suggest", recorded(tmp_path, text + "no json\n" + "[" * 100_000 + "\n"))
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "ostiary suggest: records omitted: 2, denied or failed\n"
        "ostiary suggest: records omitted: 2, not a span as JSON\n"
        "ostiary suggest: records omitted: 1, of a caller that is no consumer: map a claim to the consumer, or write a "
        "rule for its group\n"
        "ostiary suggest: records omitted: 2, of a name that no rule can have\n"
        "ostiary suggest: no record of an allowed call, so there is nothing to suggest\n"
    )


def test_many_names_are_split_over_rules(ostiary: Ostiary, tmp_path: Path) -> None:
    text = console(*(call(f"tool-{number:03}", "team-a/bot") for number in range(200)))
    result = ostiary("suggest", recorded(tmp_path, text))
    rules = yaml.safe_load(result.out)["spec"]["access"]["rules"]
    assert [(rule["name"], len(rule["tools"]["names"])) for rule in rules] == [
        ("call-tools-1", 128),
        ("call-tools-2", 72),
    ]


def test_a_file_that_cannot_be_read_is_wrong_usage(ostiary: Ostiary) -> None:
    result = ostiary("suggest", "/nowhere")
    assert result.code == 2
    assert result.err.startswith("ostiary suggest: /nowhere cannot be read")


def test_the_attributes_are_those_of_the_gateways_spans() -> None:
    for method, (_, _, attribute) in policy_suggestion._USES.items():
        assert names.TARGET_ATTRIBUTES[method] == attribute
