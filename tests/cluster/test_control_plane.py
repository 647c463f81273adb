"""What every other test here relies on: the control plane is a real one."""

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.cluster.api import ApiError, KubeApi
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.errors import CommandError, ToolError
from ostiary_tools.common.processes import wait_until

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.demo.example}
spec:
  group: demo.example
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [low, high]
            properties: {low: {type: integer}, high: {type: integer}, mode: {type: string, default: slow}}
            x-kubernetes-validations: [{rule: self.low <= self.high, message: low must not exceed high}]
"""


def widget(name: str, *, low: int, high: int) -> str:
    spec = {"low": low, "high": high}
    return yaml.safe_dump({"apiVersion": "demo.example/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


@pytest.fixture(scope="session")
def widgets(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("crds") / "widgets.yaml"
    path.write_text(WIDGETS)
    assert control_plane.apply_crds(path.parent) == ["widgets.demo.example"]


def test_the_version_is_stamped(control_plane: ControlPlane) -> None:
    version = control_plane.api.request("GET", "/version")
    assert (version["major"], version["minor"]) == ("1", "36")
    assert version["gitVersion"].startswith("v1.36.")
    assert control_plane.helm("version", "--template", "{{.Version}}").startswith("v4.")


def test_an_object_can_be_made_as_soon_as_its_definition_is_applied(
    control_plane: ControlPlane, widgets: None, namespace: str
) -> None:
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", input=widget("a", low=1, high=2))
    mode = control_plane.kubectl("get", "widget", "a", "-n", namespace, "-o", "jsonpath={.spec.mode}")
    assert mode == "slow"


def test_a_rule_in_a_definition_refuses_what_breaks_it(
    control_plane: ControlPlane, widgets: None, namespace: str
) -> None:
    with pytest.raises(CommandError, match="low must not exceed high"):
        control_plane.kubectl("apply", "-n", namespace, "-f", "-", input=widget("b", low=3, high=2))


def test_a_folder_without_definitions_is_refused(control_plane: ControlPlane, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="holds no CustomResourceDefinition"):
        control_plane.apply_crds(tmp_path)


def test_applying_the_same_again_keeps_the_resource_version(
    control_plane: ControlPlane, widgets: None, namespace: str
) -> None:
    def applied_version(manifest: str) -> str:
        apply = ("apply", "--server-side", "--field-manager=me", "-n", namespace, "-f", "-")
        return control_plane.kubectl(*apply, "-o", "jsonpath={.metadata.resourceVersion}", input=manifest)

    first = applied_version(widget("c", low=1, high=2))
    assert applied_version(widget("c", low=1, high=2)) == first
    assert applied_version(widget("c", low=1, high=3)) != first


def grant_one_config_map(control_plane: ControlPlane, namespace: str, *, account: str, name: str) -> str:
    control_plane.kubectl("create", "serviceaccount", account, "-n", namespace)
    verbs = ("--verb=get,list,watch", "--resource=configmaps", f"--resource-name={name}")
    control_plane.kubectl("create", "role", account, "-n", namespace, *verbs)
    subject = (f"--role={account}", f"--serviceaccount={namespace}:{account}")
    control_plane.kubectl("create", "rolebinding", account, "-n", namespace, *subject)
    return control_plane.service_account_token(namespace, account)


def test_a_service_account_reads_the_one_config_map_it_was_granted(control_plane: ControlPlane, namespace: str) -> None:
    token = grant_one_config_map(control_plane, namespace, account="reader", name="one")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for name in ("one", "two"):
        control_plane.api.request("POST", path, config_map(name))
    reader = KubeApi(url=control_plane.url, ca_file=control_plane.ca_file, token=token)
    wait_until(lambda: reader.answers(f"{path}/one"), what="the role to be in force")
    with pytest.raises(ApiError) as refused:
        reader.request("GET", f"{path}/two")
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")


def test_a_kubeconfig_of_a_service_account_is_that_account(control_plane: ControlPlane, namespace: str) -> None:
    path = control_plane.kubeconfig_for_service_account(namespace, "default")
    who = json.loads(control_plane.kubectl("auth", "whoami", "-o", "json", "--kubeconfig", str(path)))
    assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(CommandError, match="forbidden"):
        control_plane.kubectl("get", "secrets", "--kubeconfig", str(path))


async def test_a_watch_by_name_shows_a_change(control_plane: ControlPlane, namespace: str) -> None:
    token = grant_one_config_map(control_plane, namespace, account="watcher", name="one")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    created = control_plane.api.request("POST", path, config_map("one", colour="red"))
    tls = ssl.create_default_context(cafile=str(control_plane.ca_file))
    query = f"?watch=1&fieldSelector=metadata.name%3Done&resourceVersion={created['metadata']['resourceVersion']}"
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(control_plane.url, headers=headers) as session,
        asyncio.timeout(TIMEOUT_SECONDS),
        session.get(path + query, ssl=tls) as watch,
    ):
        assert watch.status == 200
        await asyncio.to_thread(control_plane.api.request, "PATCH", f"{path}/one", {"data": {"colour": "blue"}})
        event = json.loads(await watch.content.readline())
    assert (event["type"], event["object"]["data"]) == ("MODIFIED", {"colour": "blue"})


def test_owned_objects_are_deleted_with_their_owner(control_plane: ControlPlane, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = control_plane.api.request("POST", path, config_map("owner"))
    owned = config_map("owned")
    uid = owner["metadata"]["uid"]
    owned["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]
    control_plane.api.request("POST", path, owned)
    control_plane.api.request("DELETE", f"{path}/owner")
    wait_until(lambda: not control_plane.api.answers(f"{path}/owned"), what="garbage collection")


def test_a_deleted_namespace_is_removed_with_everything_in_it(
    control_plane: ControlPlane, widgets: None, new_namespace: Callable[..., str]
) -> None:
    name = new_namespace()
    control_plane.kubectl("apply", "-n", name, "-f", "-", input=widget("d", low=1, high=2))
    control_plane.api.request("DELETE", f"/api/v1/namespaces/{name}")
    wait_until(lambda: not control_plane.api.answers(f"/api/v1/namespaces/{name}"), what=f"{name} to be gone")
    new_namespace_of_same_name = {"metadata": {"name": name}}
    control_plane.api.request("POST", "/api/v1/namespaces", new_namespace_of_same_name)
    assert control_plane.kubectl("get", "widgets", "-n", name) == ""


def test_a_deployment_becomes_pods(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "deployment", "d", "--image=none", "--replicas=2", "-n", namespace)

    def pods() -> int:
        return len(control_plane.api.request("GET", f"/api/v1/namespaces/{namespace}/pods")["items"])

    wait_until(lambda: pods() == 2, what="two pods")


def test_restricted_pod_security_refuses_a_privileged_pod(
    control_plane: ControlPlane, new_namespace: Callable[..., str]
) -> None:
    name = new_namespace({"pod-security.kubernetes.io/enforce": "restricted"})
    with pytest.raises(CommandError, match="violates PodSecurity"):
        control_plane.kubectl("run", "p", "--image=none", "--privileged", "-n", name)


def test_a_control_plane_of_ones_own_survives_the_death_of_its_api_server(tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "own") as own:
        own.api.request("POST", "/api/v1/namespaces/default/configmaps", config_map("kept"))
        own.kill_api_server()
        assert not own.api.answers("/readyz")
        own.start_api_server()
        assert own.api.answers("/api/v1/namespaces/default/configmaps/kept")
    assert not own.api.answers("/readyz")
    assert (tmp_path / "own").stat().st_mode & 0o077 == 0
