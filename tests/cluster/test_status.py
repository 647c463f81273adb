"""`ostiary get` and `ostiary status` against a real API server, as a person with few rights uses them."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from command_line import CommandResult, ostiary_command

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE
from ostiary_tools.common.processes import wait_until

Ask = Callable[..., CommandResult]

TWIN = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPProxy",
    "metadata": {"name": "twin", "namespace": "default"},
    "spec": {"path": "/mock-mcp-server", "servers": [{"name": "main", "url": "http://localhost:7878/mcp"}]},
}


@pytest.fixture
def ask(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Calls `ostiary` as the administrator."""
    call = ostiary_command(capsys)
    return lambda *arguments: call(arguments[0], "--kubeconfig", str(cluster.control_plane.kubeconfig), *arguments[1:])


@pytest.fixture
def as_viewer(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Calls `ostiary` as a user with the right to view MCPProxies and MCPPolicies of namespace default only."""
    cluster.kubectl("create", "serviceaccount", "viewer", "-n", "default")
    bind = ("create", "rolebinding", "viewer", "--clusterrole=ostiary-viewer", "--serviceaccount=default:viewer")
    cluster.kubectl(*bind, "-n", "default")
    kubeconfig = cluster.control_plane.kubeconfig_for_service_account("default", "viewer")
    call = ostiary_command(capsys)

    def allowed() -> bool:
        return call("get", "proxies", "-n", "default", "--kubeconfig", str(kubeconfig)).code == 0

    wait_until(allowed, what="the viewer's role to be in force")
    return lambda *arguments: call(*arguments, "--kubeconfig", str(kubeconfig))


@pytest.fixture
def conflict(cluster: LocalCluster) -> Iterator[None]:
    """A second MCPProxy wants the first one's path."""
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(TWIN))
    wait_until(lambda: "PathConflict" in json.dumps(cluster.proxy("twin")), what="the conflict to be told")
    yield
    cluster.kubectl("delete", "mcpproxy", "twin", "-n", "default")


def test_readiness_is_printed_with_the_address_and_the_process(ask: Ask, cluster: LocalCluster) -> None:
    answer = ask("status", "-n", "default")
    assert (answer.code, answer.err) == (0, "")
    assert cluster.proxy()["status"]["url"] in answer.out
    assert "2/2" in answer.out
    assert "default/quickstart" in answer.out
    assert answer.out.endswith("1 MCPProxy, 1 MCPPolicy: all ready\n")
    assert "\x1b" not in answer.out


def test_the_digest_is_the_one_that_the_replicas_run(ask: Ask, cluster: LocalCluster) -> None:
    (proxy,) = json.loads(ask("status", "-n", "default", "-o", "json").out)["proxies"]
    (digest,) = proxy["digests"].values()
    config = cluster.control_plane.api.request("GET", "/api/v1/namespaces/ostiary-system/configmaps/ostiary-default-0")
    entries = json.loads(config["data"]["manifest.json"])["entries"]
    assert [entry["digest"] for entry in entries] == [digest]
    assert digest[:12] in ask("get", "proxies", "-n", "default", "-o", "wide").out


@pytest.mark.usefixtures("conflict")
def test_an_unready_object_is_reported_with_cause_and_remedy(ask: Ask) -> None:
    answer = ask("status", "-n", "default")
    assert answer.code == 1
    words = " ".join(answer.out.split())
    assert "MCPProxy default/twin is not ready: PathConflict" in words
    assert "What to do: Choose another path or hostname" in words
    assert answer.out.endswith("`ostiary doctor NAME` finds the first broken link\n")


@pytest.mark.usefixtures("conflict")
def test_programs_get_the_same_as_one_object(ask: Ask) -> None:
    as_json, as_yaml = (ask("status", "-n", "default", "-o", kind) for kind in ("json", "yaml"))
    assert as_json.code == as_yaml.code == 1
    whole = json.loads(as_json.out)
    assert whole == yaml.safe_load(as_yaml.out)
    assert whole["ready"] is False
    assert {it["name"]: (it["ready"], it["reason"]) for it in whole["proxies"]} == {
        "mock-mcp-server": ("True", "Ready"),
        "twin": ("False", "PathConflict"),
    }


def test_an_edit_that_no_operator_has_judged_is_not_ready(ask: Ask, cluster: LocalCluster) -> None:
    cluster.stop_operator()
    try:
        cluster.kubectl("patch", "mcppolicy", "quickstart", "--type=merge", "-p", '{"spec":{"access":{"rules":[]}}}')
        answer = ask("status", "-n", "default")
        assert answer.code == 1
        assert "has not judged generation" in answer.out
    finally:
        cluster.apply(EXAMPLE)
        cluster.start_operator()
        # The proxy did not change: only the policy shows when its new generation is in force.
        wait_until(lambda: ask("status", "-n", "default").code == 0, what="the policy to be in force")


def test_a_viewer_of_one_namespace_sees_what_their_rights_allow(as_viewer: Ask, cluster: LocalCluster) -> None:
    answer = as_viewer("status", "-n", "default")
    assert answer.code == 0
    assert cluster.proxy()["status"]["url"] in answer.out
    assert "you may not read the config of gateway ostiary-system/default: digests are not shown" in answer.err
    refused = as_viewer("status", "-A")
    assert (refused.code, refused.out) == (2, "")
    assert "mcpproxies.ostiary.dev is forbidden" in refused.err


def test_it_lists_as_kubectl_does(ask: Ask, cluster: LocalCluster) -> None:
    table = ask("get", "proxies", "-n", "default").out.splitlines()
    assert table[0].split() == ["NAME", "READY", "REASON", "REPLICAS", "POLICIES", "URL", "AGE"]
    assert table[1].split()[:5] == ["mock-mcp-server", "True", "Ready", "2/2", "1"]
    everywhere = ask("get", "mpx", "-A").out.splitlines()
    assert everywhere[0].split()[0] == "NAMESPACE"
    assert everywhere[1].split()[0] == "default"
    one = ask("get", "proxy", "mock-mcp-server", "-n", "default", "-o", "json")
    expected = json.loads(cluster.kubectl("get", "mcpproxy", "mock-mcp-server", "-n", "default", "-o", "json"))
    assert json.loads(one.out) == expected
    listed = yaml.safe_load(ask("get", "proxies", "-n", "default", "-o", "yaml").out)
    assert (listed["kind"], listed["items"]) == ("List", [expected])


def test_kubectl_shows_by_itself_what_governs_and_why_something_is_not_ready(cluster: LocalCluster) -> None:
    proxies = cluster.kubectl("get", "mpx", "-n", "default").splitlines()
    assert proxies[0].split() == ["NAME", "URL", "READY", "REASON", "POLICIES", "GATEWAYS", "AGE"]
    assert proxies[1].split()[2:5] == ["True", "Ready", "1"]
    policies = cluster.kubectl("get", "mpol", "-n", "default").splitlines()
    assert policies[0].split() == ["NAME", "TARGETS", "ACCEPTED", "READY", "REASON", "AGE"]


def test_names_are_those_that_kubectl_takes(ask: Ask, cluster: LocalCluster) -> None:
    names = ask("get", "-n", "default", "-o", "name").out.split()
    assert names == ["mcpproxy.ostiary.dev/mock-mcp-server", "mcppolicy.ostiary.dev/quickstart"]
    assert cluster.kubectl("get", *names, "-n", "default", "-o", "name").split() == names


def test_gateways_are_known_by_their_name_not_their_service(ask: Ask) -> None:
    answer = ask("get", "gateways", "default", "-n", "ostiary-system", "--no-headers")
    assert answer.out.split()[:3] == ["default", "ostiary-gateway", "80"]
    assert ask("get", "gateways", "other", "-n", "ostiary-system").code == 1


def test_of_two_services_that_claim_a_gateway_the_older_is_shown(cluster: LocalCluster, ask: Ask) -> None:
    cluster.kubectl("create", "service", "clusterip", "zzz", "--tcp=80", "-n", "ostiary-system")
    try:
        cluster.kubectl("label", "service", "zzz", "-n", "ostiary-system", "ostiary.dev/gateway=default")
        (gateway,) = json.loads(ask("status", "-A", "-o", "json").out)["gateways"]
        assert gateway["service"] == "ostiary-gateway"
        assert "ostiary-gateway" in ask("get", "gateways", "default", "-n", "ostiary-system").out
    finally:
        cluster.kubectl("delete", "service", "zzz", "-n", "ostiary-system")


def test_what_is_not_there_is_an_error_and_what_is_empty_is_none(ask: Ask) -> None:
    missing = ask("get", "proxies", "missing", "-n", "default")
    assert (missing.code, missing.out) == (1, "")
    assert "missing" in missing.err
    empty = ask("get", "-n", "kube-system")
    assert (empty.code, empty.out, empty.err) == (0, "", "ostiary get: nothing found in namespace kube-system\n")


def test_the_namespace_is_that_of_the_context(cluster: LocalCluster, ask: Ask, tmp_path: Path) -> None:
    document = yaml.safe_load(cluster.control_plane.kubeconfig.read_text())
    document["contexts"][0]["context"]["namespace"] = "kube-public"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    assert "in namespace kube-public" in ask("get", "--kubeconfig", str(file)).err


def test_an_api_server_that_is_away_and_a_wrong_context_are_named(
    ask: Ask, tmp_path: Path, cluster: LocalCluster
) -> None:
    wrong = ask("status", "--context", "elsewhere")
    assert wrong.code == 2
    assert "elsewhere" in wrong.err
    document = yaml.safe_load(cluster.control_plane.kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    away = ask("status", "--kubeconfig", str(file))
    assert away.code == 2
    assert "the API server at https://127.0.0.1:1 does not answer" in away.err


@pytest.fixture
def following(cluster: LocalCluster, tmp_path: Path) -> Iterator[Callable[..., Callable[[], str]]]:
    """Runs `ostiary` until the test ends; the returned function gives the output so far."""
    running: list[subprocess.Popen[bytes]] = []

    def follow(command: str, *arguments: str) -> Callable[[], str]:
        output = tmp_path / f"output-{len(running)}"
        program = [sys.executable, "-m", "ostiary_operator.cli", command]
        with output.open("wb") as file:
            whole = [*program, "--kubeconfig", str(cluster.control_plane.kubeconfig), *arguments]
            running.append(subprocess.Popen(whole, stdout=file, stderr=subprocess.STDOUT))
        return output.read_text

    yield follow
    for process in running:
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130  # as kubectl's, and without a traceback
    assert all("Traceback" not in path.read_text() for path in tmp_path.glob("output-*"))


def test_get_with_watch_shows_each_change_in_a_row_of_its_own(
    following: Callable[..., Callable[[], str]], cluster: LocalCluster
) -> None:
    watched = following("get", "proxies", "-n", "default", "--watch")
    wait_until(lambda: "mock-mcp-server" in watched(), what="the table")
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(TWIN))
    wait_until(lambda: "PathConflict" in watched(), what="the row of what is new")
    cluster.kubectl("delete", "mcpproxy", "twin", "-n", "default")
    wait_until(lambda: "mcpproxy.ostiary.dev/twin is gone" in watched(), what="the end of it to be told")
    assert watched().count("NAME") == 1


def test_status_with_watch_prints_again_after_a_change(
    following: Callable[..., Callable[[], str]], cluster: LocalCluster
) -> None:
    watched = following("status", "-n", "default", "--watch")
    wait_until(lambda: watched().count("all ready") == 1, what="the status")
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(TWIN))
    wait_until(lambda: "MCPProxy default/twin is not ready: PathConflict" in watched(), what="the status with the twin")
    cluster.kubectl("delete", "mcpproxy", "twin", "-n", "default")
    wait_until(lambda: watched().count("all ready") == 2, what="the status without the twin")


@pytest.mark.parametrize("command", ["get", "status"])
def test_watch_is_for_tables(ask: Ask, command: str) -> None:
    answer = ask(command, "--watch", "-o", "json")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"ostiary {command}: --watch shows tables, and -o json one object: omit one of them\n"
