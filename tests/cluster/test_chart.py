"""The chart on a real API server, in a namespace that enforces the restricted Pod Security Standard.

A control plane of its own: a release owns the definitions, which other tests share. There are no nodes, so Pods are
admitted and stay Pending.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import CASES, CHART, NAMESPACE, of_kind, render, values

from ostiary_tools.cluster import crd_installer
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.errors import CommandError
from ostiary_tools.common.processes import wait_until
from ostiary_tools.toolchain import foreign_crds

DEFINITIONS = "mcppolicies.ostiary.dev", "mcpproxies.ostiary.dev"
RELEASE = ("ostiary", str(CHART), "--namespace", NAMESPACE)
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
PROXY = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: crm, namespace: sales}
spec: {servers: [{name: main, url: "http://crm.sales.svc:8000/mcp"}]}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("chart")) as running:
        for name in (NAMESPACE, "sales", "support"):
            body = {"metadata": {"name": name, "labels": RESTRICTED}}
            running.api.request("POST", "/api/v1/namespaces", body)
        running.apply_crds(foreign_crds.ensure())
        yield running


@pytest.fixture
def released(cluster: ControlPlane) -> Iterator[ControlPlane]:
    """With the release of the default values, and without it afterwards."""
    cluster.helm("install", *RELEASE)
    wait_until(
        lambda: all(crd_installer.usable(name, cluster.api) for name in DEFINITIONS),
        what="the definitions to be usable",
    )
    yield cluster
    cluster.helm("uninstall", "ostiary", "--namespace", NAMESPACE, "--ignore-not-found")


@pytest.mark.parametrize("case", ["", *CASES])
def test_the_api_server_accepts_all_that_is_rendered_without_a_warning(cluster: ControlPlane, case: str) -> None:
    objects = render(*(("-f", values(case)) if case else ()))
    manifest = yaml.safe_dump_all(objects)
    applied = cluster.kubectl("apply", "--dry-run=server", "--warnings-as-errors", "-f", "-", input=manifest)
    assert applied.count("created (server dry run)") == len(objects)


@pytest.mark.parametrize("case", ["", *CASES])
def test_every_pod_of_an_installation_is_admitted(cluster: ControlPlane, case: str) -> None:
    chosen = ("-f", values(case)) if case else ()
    cluster.helm("install", *RELEASE, *chosen)
    try:
        wanted = sum(obj["spec"].get("replicas", 1) for obj in of_kind(render(*chosen), "Deployment"))
        wait_until(lambda: len(pods(cluster)) == wanted, what=f"{wanted} Pods")
    finally:
        cluster.helm("uninstall", "ostiary", "--namespace", NAMESPACE)
        wait_until(lambda: not pods(cluster), what="the Pods to be gone")


def pods(cluster: ControlPlane) -> list[Any]:
    items: list[Any] = cluster.api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    return items


def test_flux_takes_the_examples_for_it(cluster: ControlPlane) -> None:
    files = sorted((CHART.parents[1] / "examples" / "gitops" / "flux").iterdir())
    objects = [obj for file in files for obj in yaml.safe_load_all(file.read_text())]
    # The definition of Kustomization is not to be had as a Go module.
    known = [obj | {"metadata": obj["metadata"] | {"namespace": "default"}} for obj in objects if of_flux(obj)]
    assert {obj["kind"] for obj in known} == {"GitRepository", "HelmRelease"}
    manifest = yaml.safe_dump_all(known)
    applied = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=manifest)
    assert applied.count("created (server dry run)") == len(known)


def of_flux(obj: Any) -> bool:
    return obj["apiVersion"].split(".")[0] in {"source", "helm"}


def test_the_notes_name_the_next_commands(cluster: ControlPlane) -> None:
    notes = cluster.helm("install", *RELEASE, "--dry-run=server", "--hide-notes=false")
    for command in ("rollout status deployment/ostiary-gateway", "get mcpproxies", "port-forward"):
        assert command in notes


def test_the_notes_name_the_demos_test_the_gateway_that_is_installed(cluster: ControlPlane) -> None:
    def demo(*further: str) -> str:
        notes = cluster.helm("install", *RELEASE, "--dry-run=server", "--hide-notes=false", *further)
        return next(line.strip() for line in notes.splitlines() if "helm/ostiary-demo" in line)

    assert demo() == "helm install demo helm/ostiary-demo --wait"
    other = ("--set", "fullnameOverride=front,gatewayDefaults.service.port=8080")
    assert demo(*other).endswith(" --set 'test.gatewayURL=http://front-gateway.ostiary-system.svc:8080'")


def test_the_example_of_the_notes_is_a_valid_resource(released: ControlPlane) -> None:
    notes = released.helm("get", "notes", "ostiary", "--namespace", NAMESPACE)
    example = notes.partition("<<EOF\n")[2].partition("\nEOF\n")[0]
    assert "mcpproxy.ostiary.dev/my-server" in released.kubectl("apply", "--dry-run=server", "-f", "-", input=example)


def test_every_command_of_the_notes_works_but_those_for_which_a_node_is_needed(released: ControlPlane) -> None:
    notes = released.helm("get", "notes", "ostiary", "--namespace", NAMESPACE)
    commands = [line.split() for line in notes.splitlines() if line.startswith(" " * 5)]
    needs_a_node = {("docker", "build"), ("kind", "load"), ("minikube", "image"), ("k3d", "image")}
    needs_a_node |= {("helm", "test"), ("kubectl", "port-forward"), ("kubectl", "rollout")}
    printed = {(words[0], words[3] if words[1] == "-n" else words[1]): words[1:] for words in commands}
    assert printed.keys() - needs_a_node == {("helm", "install"), ("kubectl", "get")}
    for command in printed.keys() & {("kubectl", "rollout"), ("kubectl", "port-forward")}:
        named = next(word for word in printed[command] if "/" in word)
        assert released.kubectl("get", "-n", NAMESPACE, named, "-o", "name")
    install = [word for word in printed["helm", "install"] if word != "--wait"]  # no node, no Pod that becomes ready
    path = CHART.parent.parent
    assert released.helm(*[str(path / word) if "/" in word else word for word in install], "--dry-run=server")
    released.kubectl(*printed["kubectl", "get"])


def test_an_upgrade_changes_what_its_values_say(released: ControlPlane) -> None:
    released.helm("upgrade", *RELEASE, "--set", "gatewayDefaults.replicas=3,gatewayDefaults.settings.tenancy=Multi")
    assert get(released, "deployment/ostiary-gateway")["spec"]["replicas"] == 3
    settings = yaml.safe_load(get(released, "configmap/ostiary-gateway-settings")["data"]["settings.yaml"])
    assert settings == {"tenancy": "Multi"}


def test_turning_autoscaling_on_takes_no_pod_away_and_afterwards_it_alone_decides(cluster: ControlPlane) -> None:
    scaling = ("--set", "gatewayDefaults.autoscaling.enabled=true")
    cluster.helm("install", *RELEASE, "--set", "gatewayDefaults.replicas=5")
    try:
        cluster.helm("upgrade", *RELEASE, *scaling)
        assert get(cluster, "deployment/ostiary-gateway")["spec"]["replicas"] == 5
        cluster.kubectl(
            "scale", "deployment/ostiary-gateway", "-n", NAMESPACE, "--replicas=7"
        )  # as the autoscaler does
        cluster.helm("upgrade", *RELEASE, *scaling, "--set", "gatewayDefaults.logFormat=plain")
        assert get(cluster, "deployment/ostiary-gateway")["spec"]["replicas"] == 7
    finally:
        cluster.helm("uninstall", "ostiary", "--namespace", NAMESPACE)


def get(cluster: ControlPlane, what: str, *, namespace: str = NAMESPACE) -> Any:
    return json.loads(cluster.kubectl("get", what, "-n", namespace, "-o", "json"))


def test_definitions_and_resources_outlive_the_release_and_the_next_one_takes_them_over(released: ControlPlane) -> None:
    released.kubectl("apply", "-f", "-", input=PROXY)
    uid = get(released, "mcpproxy/crm", namespace="sales")["metadata"]["uid"]
    released.helm("uninstall", "ostiary", "--namespace", NAMESPACE)
    assert get(released, "mcpproxy/crm", namespace="sales")["metadata"]["uid"] == uid
    released.helm("install", *RELEASE)
    assert get(released, "mcpproxy/crm", namespace="sales")["metadata"]["uid"] == uid
    released.kubectl("delete", "mcpproxy", "crm", "-n", "sales")


def test_an_upgrade_of_the_chart_upgrades_the_definitions(cluster: ControlPlane, tmp_path: Path) -> None:
    old = shutil.copytree(CHART, tmp_path / "ostiary")
    file = old / "files" / "crds" / "ostiary.dev_mcpproxies.yaml"
    definition = yaml.safe_load(file.read_text())
    (version,) = definition["spec"]["versions"]
    columns = len(version.pop("additionalPrinterColumns"))
    file.write_text(yaml.safe_dump(definition))
    cluster.helm("install", "ostiary", str(old), "--namespace", NAMESPACE)
    try:
        assert columns_of(cluster) == 0
        cluster.helm("upgrade", *RELEASE)
        assert columns_of(cluster) == columns
    finally:
        cluster.helm("uninstall", "ostiary", "--namespace", NAMESPACE)


def columns_of(cluster: ControlPlane) -> int:
    (version,) = get(cluster, "crd/mcpproxies.ostiary.dev")["spec"]["versions"]
    return len(version.get("additionalPrinterColumns", ()))


def test_a_further_gateway_is_rendered_next_to_the_first(released: ControlPlane) -> None:
    further = ("--set", "operator.enabled=false,crds.install=false,rbac.aggregate=false,gateways[0].name=edge")
    released.helm("install", "edge", str(CHART), "--namespace", NAMESPACE, *further)
    try:
        found = released.kubectl("get", "services", "-n", NAMESPACE, "-l", "ostiary.dev/gateway", "-o", "name").split()
        assert found == ["service/edge-ostiary-edge-gateway", "service/ostiary-gateway"]
    finally:
        released.helm("uninstall", "edge", "--namespace", NAMESPACE)


def test_a_second_release_may_not_bring_a_gateway_of_the_same_name(released: ControlPlane) -> None:
    further = (
        "--set",
        "operator.enabled=false,crds.install=false,rbac.aggregate=false,gateways[0].name=default",
    )
    with pytest.raises(CommandError, match="Service ostiary-gateway is the gateway default of this namespace already"):
        released.helm("install", "edge", str(CHART), "--namespace", NAMESPACE, *further)
    released.helm("upgrade", *RELEASE, "--set", "fullnameOverride=other")  # its own one is no other's


def test_a_packaged_chart_is_complete(cluster: ControlPlane, tmp_path: Path) -> None:
    cluster.helm("package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.iterdir()
    assert cluster.helm("template", "ostiary", str(package)) == cluster.helm("template", "ostiary", str(CHART))
