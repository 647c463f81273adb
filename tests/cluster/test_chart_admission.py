"""The chart's admission policies, judged by the API server that enforces them."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from charts import CHART, render

from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.errors import CommandError
from ostiary_tools.common.processes import wait_until

TOKEN = "abcdefghijklmnop0123456789"
SECRETS = (
    f"Bearer {TOKEN}",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2ln",
    f"sk-{TOKEN}",
    f"sk-ant-{TOKEN}",
    f"sk_live_{TOKEN}",
    f"ghp_{TOKEN}0123456789",
    f"github_pat_{TOKEN}",
    f"glpat-{TOKEN}",
    f"hf_{TOKEN}",
    f"npm_{TOKEN}",
    "xoxb-123456789012-abcdefghij",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdefghijklmnopqrstuvw",
    f"ya29.{TOKEN}",
    f"ostiary_{TOKEN}{TOKEN}",
    "-----BEGIN EC PRIVATE KEY-----",
)
HARMLESS = (
    "Customer records, read only. Ask the bearer of the key.",
    "The desk-side assistant of risk-management-for-enterprises",
    "Task ask-questions-about-everything-in-the-archive",
)


def proxy(namespace: str, **spec: Any) -> dict[str, Any]:
    servers = [{"name": "main", "url": "http://crm.sales.svc:8000/mcp"}]
    metadata = {"name": "crm", "namespace": namespace}
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": metadata,
        "spec": {"servers": servers, **spec},
    }


def complaint(control_plane: ControlPlane, obj: dict[str, Any], *, dry: bool = True) -> str:
    """What the API server says against an object; empty if it takes it."""
    try:
        control_plane.kubectl("apply", *(["--dry-run=server"] if dry else []), "-f", "-", input=yaml.safe_dump(obj))
    except CommandError as error:
        return error.stderr
    return ""


@pytest.fixture(scope="module")
def enforced(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    control_plane.apply_crds(CHART.parents[1] / "crds")
    anonymous = "admissionPolicies.anonymousCallers"
    chosen = (
        "--set",
        f"admissionPolicies.enabled=true,{anonymous}.enabled=true,{anonymous}.namespaces={{kube-public}}",
    )
    objects = render(*chosen, release="admission")
    policies = [obj for obj in objects if obj["kind"].startswith("ValidatingAdmissionPolicy")]
    assert len(policies) == 4
    manifest = yaml.safe_dump_all(policies)
    control_plane.kubectl("apply", "-f", "-", input=manifest)
    bad = proxy("default", description=SECRETS[0])
    wait_until(lambda: bool(complaint(control_plane, bad)), what="the policy to be enforced")
    yield control_plane
    control_plane.kubectl("delete", "-f", "-", input=manifest)
    wait_until(lambda: not complaint(control_plane, bad), what="the policy to be gone")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_value_that_looks_like_a_secret_is_refused_everywhere(enforced: ControlPlane, secret: str) -> None:
    warning = complaint(enforced, proxy("default", description=f"Use {secret} to log in"))
    assert "MCPProxy crm holds what looks like a token or a key" in warning
    assert "put it into a Secret" in warning
    assert secret not in warning


def test_a_url_with_a_token_in_its_path_is_refused(enforced: ControlPlane) -> None:
    servers = [{"name": "main", "url": f"https://mcp.example.com/ghp_{TOKEN}/mcp"}]
    assert "looks like a token" in complaint(enforced, proxy("default", servers=servers))
    service = {"name": "crm", "port": 80, "path": f"/sk_live_{TOKEN}"}
    obj = proxy("default", servers=[{"name": "main", "service": service}])
    assert "looks like a token" in complaint(enforced, obj)
    assert "looks like a token" in complaint(enforced, proxy("default", path=f"/crm/npm_{TOKEN}"))


@pytest.mark.parametrize("secret", SECRETS)
def test_a_header_with_a_secret_is_refused(enforced: ControlPlane, secret: str) -> None:
    server = {"name": "main", "url": "http://crm.sales.svc/mcp"}
    headers = [{"name": "X-Tenant", "value": "sales"}, {"name": "X-Account", "value": secret}]
    assert "looks like a token" in complaint(enforced, proxy("default", servers=[server | {"headers": headers}]))
    assert complaint(enforced, proxy("default", servers=[server | {"headers": headers[:1]}])) == ""


def test_instructions_and_routes_with_a_secret_are_refused(enforced: ControlPlane) -> None:
    servers = [{"name": name, "prefix": f"{name}_", "url": f"http://{name}.sales.svc/mcp"} for name in ("crm", "erp")]
    told = {"mode": "Replace", "text": f"Log in with {SECRETS[0]}"}
    merged = proxy("default", servers=servers, serverSelection="Merge", instructions=told)
    assert "looks like a token" in complaint(enforced, merged)
    plain = [{"name": each["name"], "url": each["url"]} for each in servers]
    rules = [{"name": "all", "when": f"headers['x-key'] == '{SECRETS[0]}'", "servers": ["crm"]}]
    assert "looks like a token" in complaint(
        enforced, proxy("default", servers=plain, serverSelection="Route", routing=rules)
    )
    rules[0]["when"] = "'eu' in groups"
    assert complaint(enforced, proxy("default", servers=plain, serverSelection="Route", routing=rules)) == ""


@pytest.mark.parametrize("text", HARMLESS)
def test_words_are_no_secrets(enforced: ControlPlane, text: str) -> None:
    assert complaint(enforced, proxy("default", description=text)) == ""


def test_every_example_passes(enforced: ControlPlane) -> None:
    for folder in sorted((CHART.parents[1] / "examples").iterdir()):
        for file in folder.glob("*.yaml"):
            for obj in yaml.safe_load_all(file.read_text()):
                if not obj["apiVersion"].startswith("ostiary.dev/"):
                    continue  # kinds of others, which are not installed here
                moved = copy.deepcopy(obj)
                admits_anyone = "anonymous" in obj.get("spec", {}).get("authentication", {})
                moved["metadata"]["namespace"] = "kube-public" if admits_anyone else "default"  # as the platform allows
                assert complaint(enforced, moved) == "", file


def test_a_policy_without_any_text_passes(enforced: ControlPlane) -> None:
    obj = {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"targetSelector": {}, "access": {"rules": []}},
    }
    assert complaint(enforced, obj) == ""


def policy(namespace: str, authentication: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"targetSelector": {}, "authentication": authentication},
    }


def test_anonymous_callers_are_admitted_only_in_the_namespaces_that_the_platform_names(enforced: ControlPlane) -> None:
    keys: dict[str, Any] = {"apiKey": {"selector": {}}}

    def refusal() -> str:
        return complaint(enforced, policy("default", {**keys, "anonymous": {}}))

    wait_until(lambda: bool(refusal()), what="the policy to be enforced")
    assert "does not allow anonymous callers in the namespace default; remove it" in refusal()
    assert complaint(enforced, policy("default", keys)) == ""
    assert complaint(enforced, policy("kube-public", {**keys, "anonymous": {}})) == ""


def test_what_was_there_before_can_still_be_labelled_and_deleted(
    enforced: ControlPlane, control_plane: ControlPlane, new_namespace: Callable[..., str]
) -> None:
    namespace = new_namespace()
    obj = proxy(namespace, description=SECRETS[0])
    binding = json.loads(enforced.kubectl("get", "validatingadmissionpolicybinding", "-o", "json"))["items"]
    (ours,) = (each for each in binding if each["metadata"]["name"].endswith("no-inline-secrets"))
    enforced.kubectl("delete", "validatingadmissionpolicybinding", ours["metadata"]["name"])
    wait_until(lambda: not complaint(enforced, obj), what="the policy to rest")
    enforced.kubectl("apply", "-f", "-", input=yaml.safe_dump(obj))
    for key in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        ours["metadata"].pop(key, None)
    enforced.kubectl("apply", "-f", "-", input=yaml.safe_dump(ours))
    fresh = obj | {"metadata": {"name": "fresh", "namespace": namespace}}
    wait_until(lambda: bool(complaint(enforced, fresh)), what="the policy to be enforced again")

    enforced.kubectl("label", "mcpproxy", "crm", "-n", namespace, "team=sales")
    assert complaint(enforced, obj | {"spec": obj["spec"] | {"path": f"/{namespace}/other"}})
    enforced.kubectl("delete", "mcpproxy", "crm", "-n", namespace)
