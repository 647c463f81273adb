"""The example roles and the admission policy of the chart: who may make which kind of change, on a real API server."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from charts import CHART, render

from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.errors import CommandError
from ostiary_tools.common.processes import wait_until

ROLES = CHART.parents[1] / "examples" / "roles" / "roles.yaml"
RULE = {"name": "read", "effect": "Allow", "tools": {"names": ["read_ticket"]}}
_NO_FINALIZERS = json.dumps([{"op": "remove", "path": "/metadata/finalizers"}])
OTHER_RULE = RULE | {"tools": {"names": ["refund"]}}


def proxy(name: str = "crm", *, host: str = "crm.sales.svc", **spec: Any) -> dict[str, Any]:
    return _resource("MCPProxy", name, servers=[{"name": "main", "url": f"http://{host}/mcp"}], **spec)


def policy(name: str = "p", *, target: str = "crm", **spec: Any) -> dict[str, Any]:
    given = {"targetRefs": [{"kind": "MCPProxy", "name": target}], "access": {"rules": [RULE]}}
    return _resource("MCPPolicy", name, **(given | spec))


def _resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "ostiary.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def owned_by(owner: dict[str, Any], *, labels: dict[str, str] | None = None) -> dict[str, Any]:
    owned = policy()
    owned["metadata"] |= {"ownerReferences": [owner], "labels": labels or {}}
    return owned


@dataclass(frozen=True)
class Team:
    """A namespace with a proxy and a policy, and a user for each role."""

    control_plane: ControlPlane
    namespace: str

    def complaint(self, user: str, *arguments: str, obj: dict[str, Any] | None = None) -> str:
        """What the API server says against what a user tries; empty if it is permitted."""
        command = (*arguments, "--as", user, "-n", self.namespace)
        try:
            self.control_plane.kubectl(*command, input=json.dumps(obj) if obj is not None else None)
        except CommandError as error:
            return error.stderr or str(error)
        return ""

    def change(self, user: str, obj: dict[str, Any]) -> str:
        """What the API server says against a change or a new object of a user."""
        return self.complaint(user, "apply", "--dry-run=server", "-f", "-", obj=obj)

    def owner(self) -> dict[str, Any]:
        """Create a ConfigMap, and return what refers to it as an owner."""
        self.control_plane.kubectl("create", "configmap", "owner", "-n", self.namespace)
        uid = self.control_plane.kubectl(
            "get", "configmap", "owner", "-n", self.namespace, "-o", "jsonpath={.metadata.uid}"
        )
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}


@pytest.fixture(scope="module")
def separated(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The example roles, and the admission policy in force."""
    control_plane.apply_crds(CHART.parents[1] / "crds")
    chosen = ("--set", "admissionPolicies.enabled=true,admissionPolicies.separateDuties.enabled=true")
    admission = [o for o in render(*chosen, release="duties") if o["metadata"]["name"].endswith("-duties")]
    assert len(admission) == 4
    manifest = yaml.safe_dump_all([*admission, *yaml.safe_load_all(ROLES.read_text())])
    control_plane.kubectl("apply", "-f", "-", input=manifest)
    yield control_plane
    control_plane.kubectl("delete", "-f", "-", input=manifest)


@pytest.fixture
def team(separated: ControlPlane, new_namespace: Callable[..., str]) -> Team:
    it = Team(separated, new_namespace())
    for obj in (proxy(), policy()):
        separated.kubectl("apply", "-n", it.namespace, "-f", "-", input=json.dumps(obj))
    users = {
        "viewer": ["mcp-viewer"],
        "proxy-editor": ["mcp-proxy-editor"],
        "proxy-approver": ["mcp-proxy-editor", "mcp-proxy-approver"],
        "policy-editor": ["mcp-policy-editor"],
        "policy-approver": ["mcp-policy-editor", "mcp-policy-approver"],
    }
    for user, roles in users.items():
        for role in roles:
            bind = ("create", "rolebinding", f"{user}-{role}", f"--clusterrole={role}", f"--user={user}")
            separated.kubectl(*bind, "-n", it.namespace)
    wait_until(lambda: it.change("policy-approver", policy(mode="Shadow")) == "", what="the roles")
    wait_until(
        lambda: "needs the verb" in it.change("policy-editor", policy(mode="Shadow")), what="the policy in force"
    )
    return it


def test_an_editor_of_proxies_edits_them_and_cannot_point_one_elsewhere(team: Team) -> None:
    assert team.change("proxy-editor", proxy(description="Customer records")) == ""
    for elsewhere in (proxy(host="evil.example.com"), proxy("new")):
        assert "needs the verb redirect on mcpproxies" in team.change("proxy-editor", elsewhere)
        assert team.change("proxy-approver", elsewhere) == ""


def test_an_editor_of_proxies_cannot_send_requests_to_another_of_several_servers(team: Team) -> None:
    servers = [{"name": name, "url": f"http://{name}.sales.svc/mcp"} for name in ("eu", "us")]
    rules = [{"name": "eu", "when": "'eu' in groups", "servers": ["eu"]}, {"name": "others", "servers": ["us"]}]

    def routed(*found: dict[str, Any], **spec: Any) -> dict[str, Any]:
        return _resource("MCPProxy", "routed", servers=servers, serverSelection="Route", routing=list(found), **spec)

    team.control_plane.kubectl("apply", "-n", team.namespace, "-f", "-", input=json.dumps(routed(*rules)))
    assert team.change("proxy-editor", routed(*rules, description="Records")) == ""
    for elsewhere in (routed(rules[1]), routed({**rules[0], "servers": ["us"]}, rules[1])):
        assert "spec.routing: to choose where an MCPProxy leads to" in team.change("proxy-editor", elsewhere)
        assert team.change("proxy-approver", elsewhere) == ""


def test_an_editor_of_policies_edits_rules_and_cannot_switch_one_to_shadow(team: Team) -> None:
    assert team.change("policy-editor", policy(access={"rules": [OTHER_RULE]})) == ""
    shadow = policy(mode="Shadow", access={"rules": [OTHER_RULE]})
    assert "spec.mode: to switch an MCPPolicy to Shadow needs the verb shadow" in team.change("policy-editor", shadow)
    assert team.change("policy-approver", shadow) == ""


def test_a_policy_in_shadow_mode_can_be_edited_and_enforced_without_approval(team: Team) -> None:
    team.control_plane.kubectl("apply", "-n", team.namespace, "-f", "-", input=json.dumps(policy(mode="Shadow")))
    assert team.change("policy-editor", policy(mode="Shadow", access={"rules": [OTHER_RULE]})) == ""
    assert team.change("policy-editor", policy()) == ""


def test_only_an_approver_attaches_detaches_or_deletes_a_policy(team: Team) -> None:
    selecting = policy()
    selecting["spec"].pop("targetRefs")
    selecting["spec"]["targetSelector"] = {}
    for moved in (policy(target="other"), selecting):
        assert "needs the verb attach on mcppolicies" in team.change("policy-editor", moved)
        assert team.change("policy-approver", moved) == ""
    assert "forbidden" in team.change("policy-editor", policy("new"))
    assert team.change("policy-approver", policy("new")) == ""
    delete = ("delete", "mcppolicy", "p", "--dry-run=server")
    assert "forbidden" in team.complaint("policy-editor", *delete)
    assert team.complaint("policy-approver", *delete) == ""


def test_the_right_to_approve_is_of_one_namespace(team: Team, new_namespace: Callable[..., str]) -> None:
    other = Team(team.control_plane, new_namespace())
    assert "forbidden" in other.change("policy-approver", policy())


def test_no_role_changes_the_other_kind_and_a_viewer_changes_nothing(team: Team) -> None:
    assert "forbidden" in team.change("proxy-approver", policy(mode="Shadow"))
    assert "forbidden" in team.change("policy-approver", proxy(description="x"))
    assert "forbidden" in team.change("viewer", proxy(description="x"))
    assert team.complaint("viewer", "get", "mcpproxies,mcppolicies") == ""


def test_labels_can_be_changed_without_approval(team: Team) -> None:
    labelled = proxy()
    labelled["metadata"]["labels"] = {"team": "sales"}
    assert team.change("proxy-editor", labelled) == ""


def test_an_object_that_a_finalizer_keeps_cannot_be_changed_without_approval(team: Team) -> None:
    kept = proxy()
    kept["metadata"]["finalizers"] = ["example.com/keeps-it"]
    apply = ("apply", "-f", "-")
    assert team.complaint("proxy-editor", *apply, obj=kept) == ""
    assert team.complaint("proxy-editor", "delete", "mcpproxy", "crm", "--wait=false") == ""
    elsewhere = kept | {"spec": proxy(host="evil.example.com")["spec"]}
    assert "needs the verb redirect" in team.change("proxy-editor", elsewhere)
    assert team.complaint("proxy-editor", "patch", "mcpproxy", "crm", "--type=json", "-p", _NO_FINALIZERS) == ""
    assert "not found" in team.complaint("viewer", "get", "mcpproxy", "crm")


def test_the_break_glass_role_may_edit_the_settings_that_the_chart_writes() -> None:
    labelled = [o for o in render(release="ostiary") if o["kind"] == "ConfigMap" and "labels" in o["metadata"]]
    settings = [o for o in labelled if o["metadata"]["labels"].get("ostiary.dev/usage") == "settings"]
    roles = {role["metadata"]["name"]: role for role in yaml.safe_load_all(ROLES.read_text())}
    names = roles["mcp-break-glass"]["rules"][0]["resourceNames"]
    assert names == [o["metadata"]["name"] for o in settings]


def test_no_editor_deletes_an_object_by_an_owner_that_does_not_exist(team: Team) -> None:
    gone = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "00000000-0000-0000-0000-000000000000"}
    assert "needs the verb delete on mcppolicies" in team.change("policy-editor", owned_by(gone))
    assert team.change("policy-approver", owned_by(gone)) == ""
    # An object that is stored needs an owner that exists: Kubernetes would delete it.
    owner = team.owner()
    team.control_plane.kubectl("apply", "-n", team.namespace, "-f", "-", input=json.dumps(owned_by(owner)))
    assert team.change("policy-editor", owned_by(owner, labels={"team": "sales"})) == ""
    assert "needs the verb delete on mcppolicies" in team.change("policy-editor", owned_by(gone))
    assert team.change("policy-editor", policy()) == ""
