"""A policy whose target does not exist: the message names the probable target."""

from pathlib import Path

import pytest

from ostiary_operator.local import manifests, validation
from ostiary_operator.local.validation import ValidationContext

PROXY = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{servers: [{{name: main, url: "http://localhost:1/mcp"}}]}}
---"""
POLICY = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {{name: p, namespace: default}}
spec: {{targetRefs: [{{kind: MCPProxy, name: {target}}}], access: {{rules: []}}}}
"""


@pytest.mark.parametrize(
    ("target", "proxies", "remedy"),
    [
        (
            "mock-mpc-server",
            ["default/mock-mcp-server", "default/crm"],
            "did you mean mock-mcp-server?",
        ),
        (
            "crm",
            ["sales/crm", "default/wiki"],
            "there is one in namespace sales, but a policy targets",
        ),
        ("crm", ["default/desk"], "the only one here is desk: correct the name"),
        ("crm", ["default/desk", "default/wiki"], "correct the name, or create the MCPProxy in the policy's namespace"),
        ("crm", [], "correct the name, or create the MCPProxy in the policy's namespace"),
    ],
)
def test_a_missing_target_is_reported_with_the_name_that_was_probably_meant(
    target: str, proxies: list[str], remedy: str, tmp_path: Path
) -> None:
    parts = [PROXY.format(namespace=each.partition("/")[0], name=each.partition("/")[2]) for each in proxies]
    file = tmp_path / "all.yaml"
    file.write_text("".join([*parts, POLICY.format(target=target)]))
    found = validation.validate(manifests.read_file(file, namespace="default"), ValidationContext())
    (finding,) = (each for each in found if "there is no MCPProxy" in each.message)
    assert finding.field == "spec.targetRefs[0]"
    assert finding.remedy.startswith(remedy)


ALIAS = """
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: default}
spec: {type: ExternalName, externalName: crm.example.com}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: crm, namespace: default}
spec: {servers: [{name: s, service: {name: alias, port: 80}, healthCheck: {active: {}}}]}
"""


def test_settings_of_endpoints_are_not_ignored_silently_where_a_service_has_none(tmp_path: Path) -> None:
    file = tmp_path / "alias.yaml"
    file.write_text(ALIAS)
    found = validation.validate(manifests.read_file(file, namespace="default"), ValidationContext())
    (finding,) = (each for each in found if each.field == "spec.servers[0].service")
    assert "which ignores healthCheck" in finding.message
    assert "routingType: Service" in finding.remedy
