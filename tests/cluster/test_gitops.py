"""How GitOps tools judge the resources: kstatus (Flux, `helm --wait`) and Argo CD's Lua, each by its own library."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import CHART, DEMO, helm
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.errors import CommandError
from ostiary_tools.common.processes import wait_until
from ostiary_tools.toolchain import gitops_health

ROOT = Path(__file__).parents[2]
ARGO = ROOT / "examples" / "gitops" / "argocd"
HEALTH = ARGO / "health.lua"
CHECK_SCRIPT = DEMO / "files" / "check_endpoint.py"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def releases(cluster: LocalCluster) -> Iterator[list[str]]:
    """Names of Helm releases in the namespace default, which are uninstalled after the test."""
    installed: list[str] = []
    yield installed
    for release in installed:
        cluster.control_plane.helm("uninstall", release, "--ignore-not-found")


def install_proxy(cluster: LocalCluster, name: str, *further: str, timeout: str = "30s") -> None:
    """Install the chart ostiary-demo in front of the mock server that is there, and wait as helm does."""
    chosen = (f"proxy.name={name}", f"proxy.url={cluster.mock_url}", "mockServer.enabled=false", *further)
    values = [argument for each in chosen for argument in ("--set", each)]
    cluster.control_plane.helm("install", name, str(DEMO), "--wait", "--timeout", timeout, *values)


def get(cluster: LocalCluster, what: str) -> Any:
    return json.loads(cluster.kubectl("get", what, "-o", "json"))


def verdict(cluster: LocalCluster, what: str) -> tuple[str, str]:
    """The states that kstatus and Argo CD report."""
    obj = get(cluster, what)
    return gitops_health.kstatus(obj).status, gitops_health.lua(obj, HEALTH).status


def test_helm_waits_until_the_proxy_is_ready(cluster: LocalCluster, releases: list[str]) -> None:
    releases.append("works")
    install_proxy(cluster, "works", "proxy.path=/works")
    for kind in ("mcpproxy", "mcppolicy"):
        assert verdict(cluster, f"{kind}/works") == ("Current", "Healthy")
    code, lines = call_proxy(cluster.endpoint(path="/works"))
    assert code == 0, lines
    assert [line.split()[0] for line in lines] == ["ok"] * 7


def call_proxy(url: str, *further: str) -> tuple[int, list[str]]:
    """What `helm test` runs: its exit code and what it says."""
    command = [sys.executable, str(CHECK_SCRIPT), url, *further]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def test_helms_test_fails_where_a_call_is_not_denied_that_should_be(cluster: LocalCluster, releases: list[str]) -> None:
    releases.append("open")
    install_proxy(cluster, "open", "proxy.path=/open", "policy.enabled=false")
    code, lines = call_proxy(cluster.endpoint(path="/open"))
    assert code == 1
    (wrong,) = (line for line in lines if not line.startswith("ok"))
    assert wrong.startswith("WRONG A denied call is refused by the gateway")
    assert call_proxy(cluster.endpoint(path="/open"), "--any-server")[0] == 0


def test_the_helm_test_fails_where_no_gateway_answers(cluster: LocalCluster) -> None:
    code, (line,) = call_proxy(cluster.endpoint(path="/nowhere"), "--patience=0")
    assert code == 2
    assert re.match(r"http://\S+ does not respond: ", line)
    assert call_proxy("http://127.0.0.1:1/mcp", "--patience=0")[0] == 2


def test_helm_fails_where_the_proxy_does_not_become_ready(cluster: LocalCluster, releases: list[str]) -> None:
    releases += ["first", "second"]
    install_proxy(cluster, "first", "proxy.path=/contested")
    with pytest.raises(CommandError, match=r"(?i)mcpproxy"):
        install_proxy(cluster, "second", "proxy.path=/contested", timeout="3s")
    obj = get(cluster, "mcpproxy/second")
    assert gitops_health.kstatus(obj).status == "InProgress"
    assert "PathConflict" in gitops_health.lua(obj, HEALTH).message
    assert verdict(cluster, "mcpproxy/second")[1] == "Degraded"


def test_what_the_operator_has_not_seen_is_not_taken_for_done(cluster: LocalCluster, releases: list[str]) -> None:
    releases.append("unseen")
    cluster.stop_operator()
    try:
        with pytest.raises(CommandError, match=r"(?i)mcpproxy"):
            install_proxy(cluster, "unseen", "proxy.path=/unseen", timeout="2s")
        for kind in ("mcpproxy", "mcppolicy"):
            assert verdict(cluster, f"{kind}/unseen") == ("InProgress", "Progressing")
    finally:
        cluster.start_operator()
    wait_until(lambda: verdict(cluster, "mcpproxy/unseen") == ("Current", "Healthy"), what="the proxy to be ready")


def test_a_new_version_is_in_progress_until_it_is_in_force(cluster: LocalCluster, releases: list[str]) -> None:
    releases.append("changed")
    install_proxy(cluster, "changed", "proxy.path=/changed")
    cluster.stop_operator()
    try:
        cluster.kubectl("patch", "mcppolicy", "changed", "--type=merge", "-p", '{"spec": {"access": {"rules": []}}}')
        assert verdict(cluster, "mcppolicy/changed") == ("InProgress", "Progressing")
    finally:
        cluster.start_operator()
    wait_until(lambda: verdict(cluster, "mcppolicy/changed") == ("Current", "Healthy"), what="the policy to be ready")


def test_nothing_drifts_after_it_was_applied(cluster: LocalCluster, releases: list[str]) -> None:
    releases.append("steady")
    install_proxy(cluster, "steady", "proxy.path=/steady")
    values = cluster.control_plane.directory / "values.yaml"
    template = ("template", "ostiary", str(CHART), "--namespace", "ostiary-system")
    release = cluster.control_plane.helm(*template, "--values", str(values))
    manifests = [release, cluster.control_plane.helm("get", "manifest", "steady")]
    apply = ("--server-side", "--force-conflicts", "--field-manager=helm", "-f", "-")
    for manifest in manifests:
        cluster.kubectl("apply", *apply, input=manifest)
        before = generations(cluster, manifest)
        cluster.kubectl("apply", *apply, input=manifest)
        assert cluster.kubectl("diff", *apply, input=manifest) == ""
        assert generations(cluster, manifest) == before


def generations(cluster: LocalCluster, manifest: str) -> dict[str, Any]:
    text = cluster.kubectl("get", "-f", "-", "-o", "json", input=manifest)
    return {obj["metadata"]["uid"]: obj["metadata"].get("generation") for obj in json.loads(text)["items"]}


def test_an_upgrade_with_the_same_values_changes_nothing(cluster: LocalCluster) -> None:
    cluster.configure({})  # whatever was changed by hand is put back
    before = installed(cluster)
    assert len(before) > 10
    cluster.configure({})
    assert installed(cluster) == before


def installed(cluster: LocalCluster) -> Any:
    """What changes when an object of the release is written; of a Deployment, others write the status."""
    kinds = "configmap,service,serviceaccount,role,rolebinding,networkpolicy,poddisruptionbudget,deployment"
    chosen = ("-n", "ostiary-system", "-l", "app.kubernetes.io/managed-by=Helm", "-o", "json")
    items = json.loads(cluster.kubectl("get", kinds, *chosen))["items"]
    of_spec = {"Deployment", "PodDisruptionBudget"}
    return {
        (each["kind"], each["metadata"]["name"]): each["metadata"][
            "generation" if each["kind"] in of_spec else "resourceVersion"
        ]
        for each in items
    }


def test_argo_cd_is_given_the_script_that_is_tested() -> None:
    data = yaml.safe_load((ARGO / "argocd-cm.yaml").read_text())["data"]
    kinds = {key.removeprefix("resource.customizations.health.ostiary.dev_"): text for key, text in data.items()}
    assert kinds == dict.fromkeys(("MCPProxy", "MCPPolicy"), HEALTH.read_text())


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "gitops").rglob("*.yaml")), ids=lambda path: path.name)
def test_an_example_names_values_that_the_chart_has(path: Path, tmp_path: Path) -> None:
    for obj in yaml.safe_load_all(path.read_text()):
        spec = obj.get("spec", {})
        values = spec.get("values") or spec.get("source", {}).get("helm", {}).get("valuesObject")
        if values:
            file = tmp_path / "values.yaml"
            file.write_text(yaml.safe_dump(values))
            helm("lint", "--strict", str(CHART), "-f", str(file))
