"""`ostiary doctor` on a real control plane: links are broken one by one, and each time the first one is named."""

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import ostiary_command
from doctor_stack import DoctorStack, without_operator

from ostiary_tools.cluster import workloads
from ostiary_tools.cluster.main import LocalCluster, doctor
from ostiary_tools.cluster.stack import CHART, EXAMPLE_PROXY
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import wait_until

DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/mcpproxies.ostiary.dev"
SYSTEM = "/api/v1/namespaces/ostiary-system"
ELSEWHERE = ("--operator-namespace", "kube-system")
PROXIES = "/apis/ostiary.dev/v1alpha1/namespaces/default/mcpproxies"


@pytest.fixture
def stack(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> Iterator[DoctorStack]:
    yield DoctorStack(cluster, ostiary_command(capsys))
    for name in cluster.kubectl("get", "mcpproxies", "-n", "default", "-o", "name").split():
        if not name.endswith(EXAMPLE_PROXY):
            cluster.kubectl("delete", name, "-n", "default")


def test_a_working_proxy_is_checked_to_the_end_of_the_chain(stack: DoctorStack) -> None:
    found = stack.diagnose()
    assert found["broken"] is None
    assert {link["state"] for link in found["links"]} == {"ok"}
    assert found["links"][-1]["detail"] == "it answers: 15 tools are visible to this client"


@pytest.fixture
def node(cluster: LocalCluster) -> Iterator[None]:
    """The cluster has a node, as most have."""
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(manifest))
    yield
    cluster.kubectl("delete", "node", "one")


def test_without_any_node_the_advice_is_what_can_work_there_and_following_it_helps(
    stack: DoctorStack, cluster: LocalCluster
) -> None:
    links = stack.run_doctor(EXAMPLE_PROXY)["links"]
    notable = {link["name"]: link["remedy"] for link in links if link["state"] != "ok"}
    assert notable.keys() == {"operator", "endpoints", "running"}
    assert all("this cluster has no node" in remedy for remedy in notable.values())
    assert not any(
        f" {verb} " in remedy for remedy in notable.values() for verb in ("describe", "logs", "port-forward")
    )
    assert "--operator-url URL" in notable["operator"]
    assert "--gateway-replicas ostiary-system/default=URL,URL" in notable["running"]
    command = shlex.split(doctor(cluster))
    found = stack.run_doctor(*command[2:])
    assert {link["state"] for link in found["links"]} == {"ok"}


@pytest.mark.usefixtures("node")
def test_the_report_for_people_has_one_line_per_link(stack: DoctorStack, cluster: LocalCluster) -> None:
    kubeconfig = ("--kubeconfig", str(cluster.control_plane.kubeconfig))
    answer = stack.ostiary("doctor", "-n", "default", *kubeconfig)
    assert answer.code == 0
    first, *_, last = answer.out.splitlines()
    assert first == f"MCPProxy default/{EXAMPLE_PROXY}"
    assert last.startswith("No link is broken.")
    assert "port-forward service/ostiary-gateway 8081:admin" in answer.out
    assert "\x1b" not in answer.out


def test_the_api_server_is_unreachable(stack: DoctorStack, tmp_path: Path) -> None:
    document = yaml.safe_load(stack.cluster.control_plane.kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    stack.breaks_at("API server", "does not answer", EXAMPLE_PROXY, "--kubeconfig", str(file))


def test_the_definitions_are_of_an_older_version(stack: DoctorStack) -> None:
    api = stack.cluster.control_plane.api
    schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/description"
    whole = api.request("GET", DEFINITION)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    description = whole["properties"]["spec"]["properties"]["description"]

    def patch(*operations: dict[str, Any]) -> None:
        stack.cluster.kubectl("patch", "crd", "mcpproxies.ostiary.dev", "--type=json", "-p", json.dumps(operations))

    patch({"op": "remove", "path": schema})
    try:
        remedy = stack.breaks_at("definitions", "lack MCPProxy.spec.description")
        assert "ostiary crds | kubectl apply" in remedy
    finally:
        patch({"op": "add", "path": schema, "value": description})


def test_a_definition_has_no_status(stack: DoctorStack) -> None:
    def patch(operation: dict[str, Any]) -> None:
        operation |= {"path": "/spec/versions/0/subresources"}
        stack.cluster.kubectl("patch", "crd", "mcpproxies.ostiary.dev", "--type=json", "-p", json.dumps([operation]))

    before = stack.cluster.control_plane.api.request("GET", DEFINITION)["spec"]["versions"][0]["subresources"]
    patch({"op": "remove"})
    try:
        wait_until(lambda: stack.run_doctor(EXAMPLE_PROXY)["broken"] == "definitions", what="the change to be served")
        stack.breaks_at("definitions", "the definition of MCPProxy has no subresource status")
    finally:
        patch({"op": "add", "value": before})
        wait_until(lambda: stack.run_doctor(EXAMPLE_PROXY)["broken"] != "definitions", what="the change to be undone")


def test_the_name_is_wrong(stack: DoctorStack) -> None:
    remedy = stack.breaks_at("resource", "there is no MCPProxy default/missing", "missing")
    assert EXAMPLE_PROXY in remedy


def test_no_operator_runs(stack: DoctorStack) -> None:
    with without_operator(stack.cluster):
        stack.breaks_at("operator", "nothing answers at http://127.0.0.1")
        edit = ("--type=merge", "-p", '{"spec":{"description":"new"}}')
        stack.cluster.kubectl("patch", "mcpproxy", EXAMPLE_PROXY, "-n", "default", *edit)
        found = stack.run_doctor(EXAMPLE_PROXY)
        assert found["broken"] == "operator"
        assert found["links"][-1]["detail"] == "its Deployment has no ready Pod"


def test_another_operator_claims_the_namespace(stack: DoctorStack) -> None:
    api = stack.cluster.control_plane.api
    claim = "/apis/coordination.k8s.io/v1/namespaces/default/leases/ostiary-claim"
    with without_operator(stack.cluster):
        before = api.request("GET", claim)["spec"]["holderIdentity"]
        api.request("PATCH", claim, {"spec": {"holderIdentity": "elsewhere/ostiary-operator"}})
        before_an_edit = next(each for each in stack.run_doctor(EXAMPLE_PROXY)["links"] if each["name"] == "operator")
        api.request("PATCH", f"{PROXIES}/{EXAMPLE_PROXY}", {"spec": {"description": "claimed"}})
        found = stack.run_doctor(EXAMPLE_PROXY)
        api.request("PATCH", claim, {"spec": {"holderIdentity": before}})
    assert found["broken"] == "operator"
    assert "elsewhere/ostiary-operator claims namespace default" in found["links"][-1]["detail"]
    assert (before_an_edit["state"], before_an_edit["detail"]) == ("warning", found["links"][-1]["detail"])


def test_the_operator_is_in_another_namespace(stack: DoctorStack) -> None:
    remedy = stack.breaks_at("gateways", "its status names ostiary-system/default", EXAMPLE_PROXY, *ELSEWHERE)
    assert remedy == "run again with --operator-namespace ostiary-system"


def test_no_replica_of_the_operator_leads(stack: DoctorStack) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "ostiary-operator", "namespace": "ostiary-system"},
        "spec": {"holderIdentity": "gone", "leaseDurationSeconds": 8, "renewTime": "2026-01-01T00:00:00.000000Z"},
    }
    with without_operator(stack.cluster):
        stack.cluster.kubectl(*("apply", "--server-side", "--force-conflicts", "-f", "-"), input=yaml.safe_dump(lease))
        found = stack.run_doctor(EXAMPLE_PROXY)
        stack.cluster.kubectl("delete", "lease", "ostiary-operator", "-n", "ostiary-system")
    assert found["broken"] == "operator"
    assert "no replica of it leads: gone did so last" in found["links"][-1]["detail"]


def test_the_gateway_that_is_named_does_not_exist(stack: DoctorStack) -> None:
    stack.create_proxy("lost", until="NoGateway", gateways=[{"name": "other"}])
    stack.breaks_at("gateways", "no Service is gateway ostiary-system/other", "lost")


def test_another_has_the_path(stack: DoctorStack) -> None:
    stack.create_proxy("twin", until="PathConflict", path=f"/{EXAMPLE_PROXY}")
    remedy = stack.breaks_at("accepted", "PathConflict", "twin")
    assert remedy.startswith("Choose another path")


def test_a_reference_leads_nowhere(stack: DoctorStack) -> None:
    tls = {"caCertificateRefs": [{"kind": "ConfigMap", "name": "nowhere"}]}
    server = {"name": "main", "url": "https://mcp.example.com/mcp", "tls": tls}
    stack.create_proxy("trusting", until="RefNotFound", servers=[server])
    stack.breaks_at("references", "nowhere", "trusting")


def test_a_policy_cannot_be_used(stack: DoctorStack) -> None:
    policy = "/apis/ostiary.dev/v1alpha1/namespaces/default/mcppolicies/quickstart"
    api = stack.cluster.control_plane.api

    def becomes(spec: dict[str, Any], reason: str) -> None:
        api.request("PATCH", policy, {"spec": spec})
        wait_until(lambda: reason in json.dumps(api.request("GET", policy)["status"]), what=reason)

    becomes({"targetRefs": None, "targetSelector": {"namespaceSelector": {}}}, "SelectorNotPermitted")
    try:
        stack.breaks_at("policies", "MCPPolicy default/quickstart: SelectorNotPermitted")
    finally:
        becomes({"targetRefs": [{"kind": "MCPProxy", "name": EXAMPLE_PROXY}], "targetSelector": None}, "every ready")


def test_the_config_was_edited_by_hand(stack: DoctorStack) -> None:
    api, path = stack.cluster.control_plane.api, f"{SYSTEM}/configmaps/ostiary-default-0"
    with without_operator(stack.cluster):
        manifest = json.loads(api.request("GET", path)["data"]["manifest.json"])
        forged = json.dumps(manifest | {"revision": manifest["revision"] + 1})
        api.request("PATCH", path, {"data": {"manifest.json": forged}})
        # Only the chain up to there: without the operator, which would heal it, the link before is broken.
        found = stack.run_doctor(EXAMPLE_PROXY)
        assert found["broken"] == "config"
        assert "replicas keep their last good config" in found["links"][-1]["detail"]


def test_the_config_cannot_be_written(stack: DoctorStack) -> None:
    def patch(text: str) -> None:
        stack.cluster.kubectl("patch", "configmap", "ostiary-default-0", "-n", "ostiary-system", "-p", text)

    patch('{"immutable": true}')
    stack.create_proxy("late", until="WriteFailed")
    try:
        remedy = stack.breaks_at("config", "field is immutable", "late")
        assert "delete the object that cannot be changed" in remedy
    finally:
        stack.cluster.kubectl("delete", "configmap", "ostiary-default-0", "-n", "ostiary-system")
        stack.cluster.wait_until_ready("late")


def test_a_second_service_claims_to_be_the_gateway(stack: DoctorStack) -> None:
    kubectl = stack.cluster.kubectl
    kubectl("create", "service", "clusterip", "aaa", "--tcp=80", "-n", "ostiary-system")
    try:
        kubectl("label", "service", "aaa", "-n", "ostiary-system", "ostiary.dev/gateway=default")
        found = stack.diagnose()
        link = next(each for each in found["links"] if each["name"] == "gateways")
        assert (found["broken"], link["state"]) == (None, "warning")
        assert (
            "Service ostiary-system/aaa claims to be ostiary-system/default too: the older one is used"
            in link["detail"]
        )
    finally:
        kubectl("delete", "service", "aaa", "-n", "ostiary-system")


def test_a_second_config_map_holds_settings(stack: DoctorStack) -> None:
    kubectl = stack.cluster.kubectl
    kubectl("create", "configmap", "aaa", "--from-literal=settings.yaml=tenancy: Multi", "-n", "ostiary-system")
    try:
        labels = ("ostiary.dev/gateway=default", "ostiary.dev/usage=settings")
        kubectl("label", "configmap", "aaa", "-n", "ostiary-system", *labels)
        found = stack.diagnose()
        link = next(each for each in found["links"] if each["name"] == "settings")
        assert (found["broken"], link["state"]) == (None, "warning")
        assert "ConfigMap ostiary-system/aaa has settings" in link["detail"]
    finally:
        kubectl("delete", "configmap", "aaa", "-n", "ostiary-system")


@pytest.mark.usefixtures("node")
def test_a_gateway_has_no_replica(stack: DoctorStack) -> None:
    values = "operator.enabled=false,crds.install=false,rbac.aggregate=false,gateways[0].name=edge"
    helm = stack.cluster.control_plane.helm
    helm("install", "edge", str(CHART), "-n", "ostiary-system", "--set", values)
    try:
        stack.create_proxy("edgy", until="NoReplicas", gateways=[{"name": "edge"}])
        remedy = stack.breaks_at("endpoints", "gateway ostiary-system/edge has no ready replica", "edgy")
        assert "kubectl -n ostiary-system describe pods -l ostiary.dev/gateway=edge" in remedy
    finally:
        helm("uninstall", "edge", "-n", "ostiary-system")


def test_a_replica_does_not_answer(stack: DoctorStack) -> None:
    stack.cluster.stop_gateway(1)
    try:
        stack.breaks_at("running", "no answer")
    finally:
        stack.cluster.start_gateway(1)


def test_the_operator_reports_that_a_replica_refused_the_entry(stack: DoctorStack) -> None:
    api, path = stack.cluster.control_plane.api, f"{PROXIES}/{EXAMPLE_PROXY}/status"
    with without_operator(stack.cluster):
        conditions = stack.cluster.proxy()["status"]["conditions"]
        for each in conditions:
            if each["type"] in {"Programmed", "Ready"}:
                each.update(status="False", reason="Rejected", message="replica a rejected it")
        api.request("PATCH", path, {"status": {"conditions": conditions}})
        found = stack.run_doctor(EXAMPLE_PROXY)
        assert found["broken"] == "programmed"
        assert found["links"][-1]["detail"] == "Rejected: replica a rejected it"


@pytest.fixture
def external_url(cluster: LocalCluster) -> Iterator[Callable[[str], None]]:
    """Sets the URL that the gateway's settings publish."""

    def publish(url: str) -> None:
        settings = {"gatewayDefaults": {"settings": {"externalURL": url}}} if url else {}
        cluster.configure(settings)
        expected = url or "http://localhost"
        wait_until(lambda: cluster.proxy()["status"]["url"].startswith(expected), what=f"{expected} to be published")
        cluster.wait_until_ready()

    yield publish
    publish("")


@pytest.mark.usefixtures("node")
def test_the_url_leads_nowhere(stack: DoctorStack, external_url: Callable[[str], None]) -> None:
    external_url(f"http://localhost:{reserve_port()}")
    remedy = stack.breaks_at("address", "localhost port")
    assert "kubectl -n ostiary-system port-forward service/ostiary-gateway 8080:80" in remedy
    via = f"http://127.0.0.1:{stack.cluster.ports.data[0]}"
    assert stack.diagnose(EXAMPLE_PROXY, "--via", via)["broken"] is None
    external_url("http://nowhere.invalid")
    stack.breaks_at("address", "no address is known for nowhere.invalid")


def test_something_else_answers_at_the_url(stack: DoctorStack) -> None:
    elsewhere = stack.cluster.mock_url.removesuffix("/mcp")
    remedy = stack.breaks_at("handshake", "HTTP 404", EXAMPLE_PROXY, "--via", elsewhere)
    assert "externalURL" in remedy


def test_the_server_behind_the_proxy_is_unreachable(stack: DoctorStack) -> None:
    stack.cluster.stop_mock_server()
    try:
        remedy = stack.breaks_at("server", f"UpstreamUnreachable: {stack.cluster.mock_url}")
        assert "localhost is that Pod" in remedy
    finally:
        stack.cluster.start_mock_server()


def test_a_viewer_learns_what_their_rights_do_not_let_doctor_read(stack: DoctorStack) -> None:
    cluster = stack.cluster
    cluster.kubectl("create", "serviceaccount", "viewer", "-n", "default")
    cluster.kubectl(
        *("create", "rolebinding", "viewer", "--clusterrole=ostiary-viewer", "--serviceaccount=default:viewer"),
        *("-n", "default"),
    )
    kubeconfig = ("--kubeconfig", str(cluster.control_plane.kubeconfig_for_service_account("default", "viewer")))
    wait_until(lambda: stack.run_doctor(EXAMPLE_PROXY, *kubeconfig)["broken"] is None, what="the role to be in force")
    states = {link["name"]: link["state"] for link in stack.run_doctor(EXAMPLE_PROXY, *kubeconfig)["links"]}
    assert states.pop("gateways") == states.pop("settings") == states.pop("config") == "unknown"
    assert states.pop("endpoints") == states.pop("running") == "unknown"
    assert set(states.values()) == {"ok"}


def test_a_namespace_without_proxies_is_no_fault(stack: DoctorStack) -> None:
    kubeconfig = str(stack.cluster.control_plane.kubeconfig)
    replicas = f"{workloads.GATEWAY}={stack.cluster.gateway_admin_urls[0]}"
    reach = ("--operator-url", stack.cluster.operator_admin_url, "--gateway-replicas", replicas)
    answer = stack.ostiary("doctor", "-n", "kube-public", "--kubeconfig", kubeconfig, *reach)
    assert answer.code == 0
    assert "there is no MCPProxy in namespace kube-public" in " ".join(answer.out.split())


def test_the_settings_of_the_gateway_are_wrong(stack: DoctorStack) -> None:
    api, path = stack.cluster.control_plane.api, f"{SYSTEM}/configmaps/ostiary-gateway-settings"
    before = api.request("GET", path)["data"]
    api.request("PATCH", path, {"data": {"settings.yaml": "withoutPolicy: Maybe\n"}})
    try:
        remedy = stack.breaks_at("settings", "withoutPolicy")
        assert "docs/reference/gateway-settings.md" in remedy
    finally:
        api.request("PATCH", path, {"data": before})


def test_without_definitions_nothing_works(stack: DoctorStack) -> None:
    names = ("mcpproxies.ostiary.dev", "mcppolicies.ostiary.dev", "mcplocks.ostiary.dev")
    stack.cluster.kubectl("delete", "crd", *names)
    kubeconfig = str(stack.cluster.control_plane.kubeconfig)
    answer = stack.ostiary("doctor", EXAMPLE_PROXY, "-n", "default", "-o", "json", "--kubeconfig", kubeconfig)
    (found,) = json.loads(answer.out)
    assert found["broken"] == "definitions"
    assert "helm install" in found["links"][-1]["remedy"]
    for command in ("status", "get"):
        answer = stack.ostiary(command, "-n", "default", "--kubeconfig", kubeconfig)
        assert (answer.code, answer.out) == (2, "")
        assert "the API server does not know" in answer.err
    stack.cluster.control_plane.apply_crds(CHART.parents[1] / "crds")
