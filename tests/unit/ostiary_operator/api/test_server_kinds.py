"""Kinds of other operators' servers, as settings of the operator."""

import argparse
import json
from typing import Any

import pytest

from ostiary_operator.api.server_kinds import BUILT_IN, InvalidServerKind, parse_server_kind, with_built_in
from ostiary_operator.kube import options

TOOLS = {"group": "example.com", "version": "v1", "kind": "ToolServer", "plural": "toolservers", "url": "status.url"}


def parsed(**changes: Any) -> Any:
    given = {key: value for key, value in {**TOOLS, **changes}.items() if value != ""}
    return parse_server_kind(json.dumps(given))


def test_a_kind_says_where_its_url_is_and_when_it_is_ready() -> None:
    kind = parsed(conditions=["Ready"], phase={"ready": ["Running"]})
    assert kind.identity == ("example.com", "ToolServer")
    assert kind.resource == "toolservers.example.com"
    assert (kind.url, kind.phase.field, kind.phase.ready) == ("status.url", "status.phase", ("Running",))


def test_a_kind_without_a_url_has_a_service_of_its_name() -> None:
    kind = parsed(url="", service={"port": "spec.port"})
    assert (kind.service.port, kind.service.path, kind.service.default_path) == ("spec.port", None, "/mcp")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": ""}, "needs exactly one of url and service"),
        ({"service": {"port": "spec.port"}}, "needs exactly one of url and service"),
        ({"url": "", "service": {"port": "spec.port"}, "defaultPath": "/mcp"}, "has a defaultPath without url"),
        ({"defaultPath": "mcp"}, "defaultPath: is not an absolute path"),
        ({"url": "status.urls[0]"}, "url: is not the path of a field"),
        ({"url": None}, "url: has no value"),
        ({"version": "example.com/v1"}, "version: is not a version of an API"),
        ({"kind": "toolServer"}, "kind: is not a kind"),
        ({"plural": "ToolServers"}, "plural: is not the plural of a kind"),
        ({"group": "Example/../.."}, "group: is not the name of a Kubernetes object"),
        ({"ready": True}, "ready: is not a known field"),
        ({"phase": {"ready": []}}, "phase.ready: has too few items"),
        ({"conditions": ["Ready", "Ready"]}, "conditions[1]: repeats an earlier item"),
    ],
)
def test_a_faulty_kind_is_refused_with_field_and_remedy(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidServerKind, match=r"^server kind: ") as refused:
        parsed(**changes)
    assert words in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}"])
def test_what_is_no_object_with_a_kind_is_refused(text: str) -> None:
    with pytest.raises(InvalidServerKind):
        parse_server_kind(text)


def test_a_further_kind_stands_next_to_the_built_in_ones_or_replaces_one() -> None:
    older = parsed(group="mcp.x-k8s.io", version="v1alpha1", kind="MCPServer", plural="mcpservers")
    found = with_built_in([parsed(), older])
    assert len(found) == len(BUILT_IN) + 1
    assert {kind.identity: kind for kind in found}["mcp.x-k8s.io", "MCPServer"] == older


def test_the_flag_names_the_fault(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)
    given = ["--operator-namespace", "o", "--server-kind", json.dumps(TOOLS)]
    assert options.from_arguments(parser.parse_args(given)).server_kinds == with_built_in([parsed()])
    with pytest.raises(SystemExit):
        parser.parse_args(["--server-kind", json.dumps({**TOOLS, "kind": "x"})])
    assert "kind: is not a kind; write it as the definition does" in capsys.readouterr().err
