"""The rights that the chart asks for, each with its reason: `docs/reference/rights.md`, from the rendered chart.

`python -m ostiary_tools.rights` writes the page. A right without a reason stops it, and so does a reason without its
right; a test sees to it that the page is what the chart asks for.
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

from ostiary_tools import binaries
from ostiary_tools.errors import CommandError, ToolError

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "rights.md"
_CHART = ROOT / "helm" / "ostiary"

_HEAD = """\
<!-- Generated from the chart by `python -m ostiary_tools.rights`. Do not edit. -->

# Rights

Every right that the chart asks for, and why. There are no others: no wildcard, no right to users' Pods, and none to a
Secret that is not named here. The gateway's service account reads its own config and can change nothing.
"""


@dataclass(frozen=True, slots=True)
class RightsTable:
    """A table of the page: what is rendered with which values, which of its roles, in whose words."""

    title: str
    words: str
    values: tuple[str, ...]
    roles: tuple[tuple[str, str], ...]
    """(kind, name)."""


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
        "With `rbac.apiServerEndpoints: true`, the default, whichever namespaces are watched. Without it gateways "
        "refuse the address of the API server's Service alone.",
        (),
        (("Role", "ostiary-operator-ostiary-system-api-server"),),
    ),
    RightsTable(
        "The operator, among its replicas",
        "With `operator.leaderElection.enabled: true`, in the operator's own namespace.",
        ("--set", "operator.leaderElection.enabled=true"),
        (("Role", "ostiary-operator-election"),),
    ),
    RightsTable(
        "The operator, beside each gateway",
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
        "With `watch: false` it has none, and its Pods no token.",
        (),
        (("Role", "ostiary-gateway"),),
    ),
    RightsTable(
        "People",
        "With `rbac.aggregate: true`, the default, these are part of Kubernetes' own `view`, `edit` and `admin`; each "
        "can be bound by itself.",
        (),
        (("ClusterRole", "ostiary-viewer"), ("ClusterRole", "ostiary-editor"), ("ClusterRole", "ostiary-admin")),
    ),
)

_CONFIG = "`ostiary-…-0` to `-15`"
_KEYS = "`ostiary-…`"
_USERS = {
    "ostiary-viewer": "see doors and policies with their status; enough for `ostiary status`",
    "ostiary-editor": "make and change doors and policies",
    "ostiary-admin": "the same, and delete them all at once",
}
#: By role, resource and names: why. `None` as the role is any of ours.
_REASONS: dict[tuple[str, str, str], str] = {
    ("ostiary-operator", "mcpproxies, mcppolicies", ""): "what users want",
    ("ostiary-operator", "mcpproxies/status, mcppolicies/status", ""): (
        "what came of it; nothing else of users' objects is ever written"
    ),
    ("ostiary-operator", "services", ""): "which gateways there are, and where the servers of proxies are",
    ("ostiary-operator", "endpointslices", ""): "which Services have endpoints that somebody wrote by hand",
    ("ostiary-operator", "configmaps", ""): "certificates that an MCPProxy refers to, by name",
    ("ostiary-operator", "events", ""): "transitions, for people",
    ("ostiary-operator", "namespaces", ""): "their labels, for the platform's policies",
    ("ostiary-operator", "leases", "`ostiary-claim`"): "which operator serves a namespace: of two, one keeps off",
    ("ostiary-operator-election", "leases", "`ostiary-operator`"): "which of its replicas works",
    ("ostiary-operator-ostiary-system-api-server", "endpointslices", "`kubernetes`"): (
        "which addresses the API server has, so that no MCPProxy leads there"
    ),
    ("ostiary-gateway-config", "configmaps", ""): "the gateway's settings, and what lies there now",
    ("ostiary-gateway-config", "configmaps", _CONFIG): "the compiled config",
    ("ostiary-gateway-config", "secrets", _KEYS): "the gateway's keys, which the operator makes and renews",
    ("ostiary-gateway-config", "endpointslices", ""): "which replicas there are, to ask them what they run",
    ("ostiary-operator-secrets", "secrets", ""): "what an MCPProxy there refers to, by name",
    ("ostiary-gateway", "configmaps", _CONFIG): "its own compiled config",
    ("ostiary-gateway", "secrets", _KEYS): "the keys that prove it and seal sessions",
} | {(role, "mcpproxies, mcppolicies", ""): why for role, why in _USERS.items()}


def render() -> str:
    """The page, as it should be.

    Raises:
        ToolError: a right has no reason, or the chart cannot be rendered.
    """
    used: set[tuple[str, str, str]] = set()
    parts = [_table(part, used) for part in _PARTS]
    idle = _REASONS.keys() - used
    if idle:
        raise ToolError(f"the chart does not ask for {sorted(idle)}: remove the reasons")
    return "\n".join([_HEAD, *parts])


def _table(part: RightsTable, used: set[tuple[str, str, str]]) -> str:
    lines = [
        f"## {part.title}",
        "",
        part.words,
        "",
        "| Role | Resources | Names | Verbs | Why |",
        "|---|---|---|---|---|",
    ]
    for role in _roles(part):
        for rule in role["rules"]:
            key = role["metadata"]["name"], ", ".join(rule["resources"]), _names(rule)
            if key not in _REASONS:
                raise ToolError(f"the chart asks for {key} without a reason: say why in {Path(__file__).name}")
            used.add(key)
            resources = ", ".join(f"`{each}`" for each in rule["resources"])
            lines.append(f"| `{key[0]}` | {resources} | {key[2]} | {', '.join(rule['verbs'])} | {_REASONS[key]} |")
    return "\n".join(lines) + "\n"


def _roles(part: RightsTable) -> Iterator[dict[str, Any]]:
    """The roles of a table, each once."""
    rendered = rules(part.values)
    for wanted in part.roles:
        found = [each for each in rendered if (each["kind"], each["metadata"]["name"]) == wanted]
        if not found:
            raise ToolError(f"the chart has no {' '.join(wanted)} any more")
        yield found[0]


def _names(rule: Mapping[str, Any]) -> str:
    """The names in a rule: all parts of a config, its keys, or any."""
    names = rule.get("resourceNames") or ()
    if not names:
        return ""
    if all(name.startswith("ostiary-default-") for name in names) and len(names) == 16:
        return _CONFIG
    return _KEYS if names == ["ostiary-default"] else ", ".join(f"`{name}`" for name in names)


def rules(values: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The roles that the chart renders with some values.

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
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.rights", description=main.__doc__)
    parser.parse_args()
    try:
        PAGE.write_text(render())
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
