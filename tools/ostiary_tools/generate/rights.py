"""Generates `docs/reference/rights.md` from the rendered chart.

The rights that it requires, each with its reason.

`python -m ostiary_tools.generate.rights` writes the page. It fails if a right has no reason, or a reason no right; a
test compares the page with the chart.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ostiary_tools.common.errors import CommandError, ToolError
from ostiary_tools.toolchain import binaries

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "rights.md"
_CHART = ROOT / "helm" / "ostiary"

_HEAD = """\
<!-- Generated from the chart by `python -m ostiary_tools.generate.rights`. Do not edit. -->

# Rights

Every right that the chart requires, and why. There are no others: no wildcard, no right to users' Pods, and none to a
Secret that is not named here. The gateway's service account reads its own config and where Pods are, and can change
nothing.
"""


@dataclass(frozen=True, slots=True)
class RightsTable:
    """A table of the page: title, introduction, values of the chart, and roles to show."""

    title: str
    introduction: str
    values: tuple[str, ...]
    roles: tuple[tuple[str, str], ...]
    """(kind, name)."""


_CONSOLE = ("--set", "console.enabled=true,console.externalURL=https://console.example.com")

_PARTS = (
    RightsTable(
        "The operator, in the whole cluster",
        "With `watchNamespaces: []`, the default: a ClusterRole.",
        (),
        (("ClusterRole", "ostiary-operator"),),
    ),
    RightsTable(
        "The operator, in named namespaces",
        "With `watchNamespaces: [sales]`: a Role there and one in its own namespace, and no ClusterRole.",
        ("--set", "watchNamespaces={sales}"),
        (("Role", "ostiary-operator"),),
    ),
    RightsTable(
        "The operator, in `default`",
        "With `rbac.apiServerEndpoints: true`, the default, for any watched namespaces. Without it gateways refuse "
        "only the address of the API server's Service.",
        (),
        (("Role", "ostiary-operator-ostiary-system-api-server"),),
    ),
    RightsTable(
        "The operator, for leader election",
        "With `operator.leaderElection.enabled: true`, in the operator's own namespace.",
        ("--set", "operator.leaderElection.enabled=true"),
        (("Role", "ostiary-operator-election"),),
    ),
    RightsTable(
        "The operator, for each gateway",
        "A Role in the gateway's namespace, which comes with the gateway. `…` stands for the gateway's name.",
        (),
        (("Role", "ostiary-gateway-config"),),
    ),
    RightsTable(
        "The operator, in `secretNamespaces`",
        "None by default. Kubernetes has no right for labelled Secrets only; the operator itself uses none without the "
        "label `ostiary.dev/usage`.",
        ("--set", "secretNamespaces={sales}"),
        (("Role", "ostiary-operator-secrets"),),
    ),
    RightsTable(
        "The gateway",
        "With `watch: false` it has no rights, and its Pods have no token.",
        (),
        (("Role", "ostiary-gateway"),),
    ),
    RightsTable(
        "The gateway, for the Pods behind Services",
        "With `gatewayDefaults.endpointSlices.observe: true`, the default: a ClusterRole, or with `watchNamespaces` a "
        "Role in each of them and in its own namespace. A gateway outside the operator's namespace has the Role there "
        "alone. Without it gateways connect to the Service's address ([endpoints](../guides/endpoints.md)).",
        (),
        (("ClusterRole", "ostiary-gateway-ostiary-system-endpoints"),),
    ),
    RightsTable(
        "The console",
        "With `console.enabled: true`, off by default. It asks the API server about each viewer, and shows them what "
        "they may see: a review stores nothing. With `watchNamespaces` there is a Role in each of them instead, with "
        "`localsubjectaccessreviews`, and no ClusterRole.",
        _CONSOLE,
        (("ClusterRole", "ostiary-console"),),
    ),
    RightsTable(
        "The console, for each gateway",
        "A Role in the gateway's namespace.",
        _CONSOLE,
        (("Role", "ostiary-gateway-evidence"),),
    ),
    RightsTable(
        "People",
        "With `rbac.aggregate: true`, the default, these are part of Kubernetes' own `view`, `edit` and `admin`; each "
        "can also be bound by itself.",
        (),
        (
            ("ClusterRole", "ostiary-viewer"),
            ("ClusterRole", "ostiary-editor"),
            ("ClusterRole", "ostiary-admin"),
            ("ClusterRole", "ostiary-approver"),
            ("ClusterRole", "ostiary-observer"),
        ),
    ),
)

_SERVERS = "the MCP servers of other operators that MCPProxies refer to (`serverKinds`)"
_CONFIG = "`ostiary-…-0` to `-15`"
_KEYS = "`ostiary-…`"
_EVIDENCE = "see traffic, denials and limits of proxies in the console; no object has this subresource"
_CALLS = "likewise, and single calls with who made them"
_USERS = {
    "ostiary-viewer": "see proxies and policies with their status; enough for `ostiary status`",
    "ostiary-editor": "create and change proxies and policies",
    "ostiary-admin": "the same, and delete them all at once",
}
#: The reason of each right, by role, resources and names.
_REASONS: dict[tuple[str, str, str], str] = {
    ("ostiary-operator", "mcpproxies, mcppolicies, mcplocks", ""): "what users declare",
    ("ostiary-operator", "mcpproxies/status, mcppolicies/status, mcplocks/status", ""): (
        "the result; nothing else of users' objects is ever written"
    ),
    ("ostiary-operator", "services", ""): "the gateways, and the Services that MCPProxies name as servers",
    ("ostiary-operator", "endpointslices", ""): "which Services have endpoints that were written by hand",
    ("ostiary-operator", "configmaps", ""): "CA certificates and OpenAPI documents that an MCPProxy refers to, by name",
    ("ostiary-operator", "mcpservers", ""): _SERVERS,
    ("ostiary-operator", "mcpservers, mcpremoteproxies, virtualmcpservers", ""): _SERVERS,
    ("ostiary-operator", "referencegrants", ""): "which of these servers other namespaces may refer to",
    ("ostiary-operator", "events", ""): "changes of conditions, for users",
    ("ostiary-operator", "namespaces", ""): "their labels, for the platform's policies",
    ("ostiary-operator", "leases", "`ostiary-claim`"): "which operator serves a namespace: of two, only one does",
    ("ostiary-operator-election", "leases", "`ostiary-operator`"): "which of its replicas leads",
    ("ostiary-operator-ostiary-system-api-server", "endpointslices", "`kubernetes`"): (
        "which addresses the API server has, so that no MCPProxy can use them"
    ),
    ("ostiary-gateway-config", "configmaps", ""): "the gateway's settings, and its current config",
    ("ostiary-gateway-config", "configmaps", _CONFIG): "the compiled config",
    (
        "ostiary-gateway-config",
        "configmaps",
        "`ostiary-default-audit`",
    ): "the last checkpoints of audit trails, which outlive the gateway's Pods",
    ("ostiary-gateway-config", "secrets", _KEYS): "the gateway's keys, which the operator creates and renews",
    (
        "ostiary-gateway-config",
        "secrets",
        "`ostiary-default.evidence`",
    ): "the bearer of the gateway's evidence alone, for a console that may not read its keys",
    ("ostiary-gateway-config", "endpointslices", ""): "which replicas there are, to query what they run",
    (
        "ostiary-operator-secrets",
        "secrets",
        "",
    ): "Secrets that an MCPProxy there refers to, and API keys that an MCPPolicy there selects",
    ("ostiary-gateway", "configmaps", _CONFIG): "its own compiled config",
    ("ostiary-gateway", "secrets", _KEYS): "the keys that verify the config and seal sessions",
    ("ostiary-gateway-ostiary-system-endpoints", "endpointslices", ""): (
        "where the Pods are that requests go to, and in which zone the gateway itself is"
    ),
    ("ostiary-console", "mcpproxies, mcppolicies, mcplocks", ""): "what pages are about",
    ("ostiary-console", "services", ""): "the gateways",
    ("ostiary-console", "subjectaccessreviews", ""): "what a viewer may see",
    ("ostiary-console", "tokenreviews", ""): "whose a token is; without it if `console.acceptTokens` is false",
    ("ostiary-gateway-evidence", "configmaps", _CONFIG): "what was delivered, for explanations and catalogues",
    ("ostiary-gateway-evidence", "secrets", "`ostiary-default.evidence`"): (
        "the bearer of what replicas recorded, which opens nothing else"
    ),
    ("ostiary-gateway-evidence", "endpointslices", ""): "which replicas there are, to ask what they recorded",
    ("ostiary-viewer", "mcpproxies/evidence", ""): _EVIDENCE,
    ("ostiary-editor", "mcpproxies/evidence", ""): _EVIDENCE,
    ("ostiary-admin", "mcpproxies/evidence, mcpproxies/calls", ""): _CALLS,
    ("ostiary-observer", "mcpproxies, mcppolicies, mcplocks", ""): "look at the console, and at nothing else",
    ("ostiary-observer", "mcpproxies/evidence, mcpproxies/calls", ""): _CALLS,
    ("ostiary-viewer", "mcplocks", ""): "see which definitions are approved",
    ("ostiary-editor", "mcplocks", ""): "the same: who configures a proxy need not be who approves definitions",
    ("ostiary-admin", "mcplocks", ""): "approve definitions",
    ("ostiary-approver", "mcplocks", ""): "approve definitions of tools, prompts and resources",
    ("ostiary-approver", "mcpproxies", ""): "see what servers show that is not approved (`status.drift`)",
} | {(role, "mcpproxies, mcppolicies", ""): why for role, why in _USERS.items()}


def render() -> str:
    """Return the page.

    Raises:
        ToolError: a right has no reason, or the chart cannot be rendered.
    """
    used: set[tuple[str, str, str]] = set()
    parts = [_table(part, used) for part in _PARTS]
    idle = _REASONS.keys() - used
    if idle:
        raise ToolError(f"the chart does not require {sorted(idle)}: remove the reasons")
    return "\n".join([_HEAD, *parts])


def _table(part: RightsTable, used: set[tuple[str, str, str]]) -> str:
    lines = [
        f"## {part.title}",
        "",
        part.introduction,
        "",
        "| Role | Resources | Names | Verbs | Why |",
        "|---|---|---|---|---|",
    ]
    for role in _roles(part):
        for rule in role["rules"]:
            key = role["metadata"]["name"], ", ".join(rule["resources"]), _names(rule)
            if key not in _REASONS:
                raise ToolError(f"the chart requires {key} without a reason: add one in {Path(__file__).name}")
            used.add(key)
            resources = ", ".join(f"`{each}`" for each in rule["resources"])
            lines.append(f"| `{key[0]}` | {resources} | {key[2]} | {', '.join(rule['verbs'])} | {_REASONS[key]} |")
    return "\n".join(lines) + "\n"


def _roles(part: RightsTable) -> Iterator[dict[str, Any]]:
    """Yield the roles of a table, each once."""
    rendered = rules(part.values)
    for wanted in part.roles:
        found = [each for each in rendered if (each["kind"], each["metadata"]["name"]) == wanted]
        if not found:
            raise ToolError(f"the chart has no {' '.join(wanted)} any more")
        yield found[0]


def _names(rule: Mapping[str, Any]) -> str:
    """Return the resource names of a rule: the ConfigMaps of a config, its Secret, or others."""
    names = rule.get("resourceNames") or ()
    if not names:
        return ""
    if all(name.startswith("ostiary-default-") for name in names) and len(names) == 16:
        return _CONFIG
    return _KEYS if names == ["ostiary-default"] else ", ".join(f"`{name}`" for name in names)


def rules(values: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return the roles that the chart renders with these values.

    Raises:
        CommandError: helm refuses.
    """
    command = ["helm", "template", "ostiary", str(_CHART), "--namespace", "ostiary-system", *values]
    done = subprocess.run(
        [str(binaries.ensure("helm")["helm"]), *command[1:]],
        env={**os.environ, "KUBECONFIG": os.devnull},
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    if done.returncode:
        raise CommandError(" ".join(command), done.returncode, done.stderr)
    return [each for each in yaml.safe_load_all(done.stdout) if each and each["kind"] in {"Role", "ClusterRole"}]


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.generate.rights", description=main.__doc__)
    parser.parse_args()
    try:
        PAGE.write_text(render())
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
