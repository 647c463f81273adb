import ast
import json
import re
import shlex
from pathlib import Path

import pytest

from ostiary_operator.local import governed_proxy
from ostiary_operator.local.client_setups import (
    CallerCredential,
    ClientWay,
    ConnectedEndpoint,
    Language,
    credentials_of,
    endpoint_of,
    setups,
)

PROXY = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: crm, namespace: team-a}
spec: {servers: [{name: crm, url: "http://crm.team-a.svc:8080/mcp"}]}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: keyed, namespace: team-a}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  authentication: AUTHENTICATION
"""
HOSTILE = ConnectedEndpoint("a\"; rm -rf / #'\\", "https://x.example/\"$(id)`id`'/mcp")
EVERY = frozenset(CallerCredential)


def _proxy(tmp_path: Path, authentication: str) -> governed_proxy.GovernedProxy:
    file = tmp_path / "files.yaml"
    file.write_text(PROXY.replace("AUTHENTICATION", authentication))
    configs, errors = governed_proxy.compiled_files([str(file)], namespace="team-a", operator_namespace="platform")
    assert errors == []
    return governed_proxy.find_proxy(configs, None, namespace="team-a")


def _ways(endpoint: ConnectedEndpoint, language: Language) -> list[ClientWay]:
    return [way for each in setups(endpoint, EVERY) for way in each.ways if way.language is language]


@pytest.mark.parametrize(
    ("authentication", "expected"),
    [
        ("{anonymous: {}}", {CallerCredential.NONE}),
        ("{apiKey: {selector: {matchLabels: {app: x}}}}", {CallerCredential.KEY}),
        ('{jwt: {issuers: [{issuer: "https://idp.example"}]}, anonymous: {}}', set(CallerCredential)),
        ("{passthrough: {}}", {CallerCredential.OAUTH, CallerCredential.KEY}),
    ],
)
def test_only_credentials_that_the_proxy_admits_are_shown(
    tmp_path: Path, authentication: str, expected: set[CallerCredential]
) -> None:
    assert credentials_of(_proxy(tmp_path, authentication)) == expected


def test_a_key_goes_into_the_header_that_the_gateway_reads(tmp_path: Path) -> None:
    proxy = _proxy(tmp_path, "{apiKey: {selector: {matchLabels: {app: x}}, header: X-Api-Key}}")
    endpoint = endpoint_of(proxy, "https://mcp.example/crm/mcp")
    assert (endpoint.header, endpoint.scheme) == ("X-Api-Key", "")
    code = setups(endpoint, frozenset({CallerCredential.KEY}))[0]
    assert json.loads(code.ways[0].text)["mcpServers"]["crm"]["headers"] == {"X-Api-Key": "${CRM_KEY}"}


def test_hostile_names_and_urls_stay_within_their_strings() -> None:
    for way in _ways(HOSTILE, Language.JSON):
        (servers,) = (value for key, value in json.loads(way.text).items() if key != "inputs")
        assert list(servers) == [HOSTILE.name]
        assert HOSTILE.url in json.dumps(servers[HOSTILE.name], ensure_ascii=False).replace('\\"', '"')
    for way in _ways(HOSTILE, Language.PYTHON):
        strings = [node.value for node in ast.walk(ast.parse(way.text)) if isinstance(node, ast.Constant)]
        assert HOSTILE.url in strings
    for way in _ways(HOSTILE, Language.SHELL):
        assert HOSTILE.url in shlex.split(way.text)


def test_the_variable_of_a_key_is_one_that_every_shell_takes() -> None:
    assert ConnectedEndpoint("my-crm.v2", "").variable == "MY_CRM_V2_KEY"
    assert re.fullmatch("[A-Z_][A-Z0-9_]*", ConnectedEndpoint("9to5", "").variable)


def test_notes_are_those_of_the_credentials() -> None:
    (note,) = (each.notes for each in setups(HOSTILE, frozenset({CallerCredential.OAUTH})) if each.client == "Cursor")
    assert "redirect URI" in note[0]
    assert all(not each.notes for each in setups(HOSTILE, frozenset({CallerCredential.KEY})) if each.client == "Cursor")
