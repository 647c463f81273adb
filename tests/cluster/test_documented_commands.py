"""Every command that a page shows is run, by a test that is named here, or has a reason why it cannot."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from documented_commands import ROOT, Folder, commands, pages
from fake_kubelet import FakeKubelet
from fenced_blocks import fenced_blocks

from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE
from ostiary_tools.common.processes import wait_until

#: Pages whose commands are run here, on a control plane with operator and gateways, one page after the other.
ON_A_CLUSTER = (
    "docs/troubleshooting.md",
    "docs/guides/adoption.md",
    "docs/guides/gitops.md",  # before the next ones: `helm upgrade` without values keeps those of the release
)
#: Pages that also restore the cluster, and whose commands find `ostiary` only as the page installs it.
TUTORIALS = ("docs/tutorials/4-gateways.md", "docs/tutorials/5-tenancy.md")
#: Pages whose commands are run here, each on a control plane without anything on it.
FROM_NOTHING = (
    "docs/seen-on-a-node.md",  # first: it makes the namespace
    "README.md",
    "helm/ostiary/README.md",
    "helm/ostiary-demo/README.md",
    "docs/guides/sidecar.md",
)
#: Those of them that take it for granted that the definitions are there.
NEED_DEFINITIONS = ("helm/ostiary-demo/README.md", "docs/guides/sidecar.md")
RELEASES = 'import json, sys; [print(each["name"], "-n", each["namespace"]) for each in json.load(sys.stdin)]'
#: Pages whose commands are run by another test.
ELSEWHERE = {
    "docs/tutorials/3-kind.md": "tests/cluster/test_tutorial_kind.py",
    "docs/tutorials/6-known-agents.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/7-allow-one-tool.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/8-access-tiers.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/11-see-everything.md": "tests/protocol/test_tutorial_see_everything.py",
    "docs/tutorials/9-identity-provider.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/10-stop-a-runaway-agent.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/13-one-endpoint.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/14-eu-route.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/15-rollout.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/16-rest-service.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/18-hide-card-numbers.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/19-lock-your-tools.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/20-when-a-server-turns-bad.md": "tests/unit/docs/test_known_agents.py",
    "docs/tutorials/17-servers-of-another-operator.md": "tests/cluster/test_other_operators.py",
    "examples/limits/README.md": "tests/protocol/test_limits_example.py",
    "docs/tutorials/12-prove-it-to-an-auditor.md": "tests/protocol/test_audit_tutorial.py",
    "docs/guides/audit.md": "tests/cluster/test_audit_in_cluster.py",
    "examples/access-tiers/README.md": "tests/cluster/test_access_tiers.py",
    "docs/tutorials/21-see-your-proxies.md": "tests/browser/test_console_example.py",
    "docs/tutorials/22-a-proxy-in-three-steps.md": "tests/browser/test_wizard.py",
    "examples/console/README.md": "tests/browser/test_console_example.py",
    "docs/guides/command-line.md": "tests/cluster/test_kubectl_plugin.py",
    "docs/guides/console.md": "tests/cluster/test_console_command.py",
    "docs/guides/tracing-backends.md": "tests/backends/test_recipes.py",
    "docs/guides/traffic.md": "tests/protocol/test_traffic_commands.py",
    "docs/guides/locks.md": "tests/protocol/test_lock_example.py",
    "docs/guides/decisions.md": "tests/unit/ostiary_operator/cli/test_test.py",
}
#: Commands that another test runs, by their beginning.
RUN_BY = {
    "ostiary run examples/access-tiers": "tests/protocol/test_access_tiers.py",
    "ostiary run examples/console": "tests/browser/test_console_example.py",
    "ostiary run first-proxy": "tests/browser/test_wizard.py",
    "ostiary run one-endpoint": "tests/protocol/test_one_endpoint_example.py",
    "ostiary run eu-route": "tests/protocol/test_eu_route_example.py",
    "ostiary run rest": "tests/protocol/test_openapi_example.py",
    "ostiary run replicas": "tests/protocol/test_replicas_example.py",
    "ostiary run --no-mock-server replicas": "tests/protocol/test_replicas_example.py",
    "ostiary run runaway": "tests/protocol/test_limits_example.py",
    "ostiary whoami": "tests/protocol/test_whoami_command.py",
    "ostiary logs": "tests/protocol/test_logs_command.py",
    "ostiary limits": "tests/protocol/test_limits_command.py",
    "ostiary discover": "tests/cluster/test_other_operators.py",
    "make run": "tests/protocol/test_run.py",
    "make cluster": "tests/cluster/test_make_cluster.py",
}
#: Commands that cannot be run here, by their beginning, and why.
NOT_HERE = {
    "make": "it installs into .venv, or is what runs these tests",
    "kubectl -n ostiary-system edit ": "it opens an editor; test_chart_duties.py checks the name",
    "claude ": "it changes the configuration of a client that is not here",
    "npx ": "it downloads a package; tests/conformance/inspector runs the same one from the lock file",
    "docker ": "it needs a container engine",
    "kind ": "it needs a container engine",
    "minikube ": "it needs a container engine",
    "k3d ": "it needs a container engine",
    "python3 -m venv /opt/": "it changes the machine; tests/protocol/test_compile.py runs what is installed",
    "useradd ": "it changes the machine",
    "mkdir -p /etc/": "it changes the machine",
    "cp deploy/systemd/": "it changes the machine",
    "systemctl ": "it changes the machine",
    "helm test ": "it needs a kubelet that runs Pods",
    "python3 -m venv phoenix": "it installs 850 MB of third-party software",
    "phoenix/bin/": "it installs 850 MB of third-party software, or runs it",
    "git tag ": "it makes a release",
    "git push ": "it makes a release",
    "PHOENIX_HOST": "it runs third-party software",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "it sends to third-party software; tests/unit/telemetry has a sink of its own",
}


def cannot(command: str) -> bool:
    return command.startswith((*NOT_HERE, *RUN_BY))


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[ControlPlane], Folder]:
    def make(control_plane: ControlPlane) -> Folder:
        made = Folder(tmp_path, control_plane)
        made.prepare()
        return made

    return make


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster")) as running, FakeKubelet(running.control_plane):
        running.apply(EXAMPLE)
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Not the session's: releases leave definitions that are theirs."""
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.mark.parametrize("page", ON_A_CLUSTER)
def test_the_commands_work_as_the_page_describes(
    page: str, cluster: LocalCluster, folder: Callable[..., Folder]
) -> None:
    place = folder(cluster.control_plane)
    place.run("kubectl create namespace sales --dry-run=client -o yaml | kubectl apply -f -")
    run_the_commands_of_the_page(page, place)


@pytest.mark.parametrize("page", TUTORIALS)
def test_a_tutorial_works_as_written_and_leaves_the_cluster_as_it_was(
    page: str, cluster: LocalCluster, folder: Callable[..., Folder]
) -> None:
    place = folder(cluster.control_plane)
    wait_until(lambda: place.run("kubectl delete namespace sales --ignore-not-found") == "", what="no namespace sales")
    before = left(place)
    place.has_ostiary = False
    run_the_commands_of_the_page(page, place)
    assert not (place.path / "before.yaml").exists()
    assert left(place) == before


def left(place: Folder) -> list[str]:
    """What a tutorial could leave behind: namespaces, releases and their values, gateways, settings, resources."""
    questions = (
        "kubectl get namespaces -o name",
        "helm list -A -o json | python3 -c '" + RELEASES + "'",
        "helm get values ostiary -n ostiary-system -o yaml",
        "kubectl get services,deployments,configmaps,roles -A -o name -l app.kubernetes.io/part-of=ostiary",
        "kubectl get configmaps -n ostiary-system -l ostiary.dev/usage=settings -o jsonpath='{.items[*].data}'",
        "kubectl get mcpproxies,mcppolicies -A -o name",
    )
    return [place.run(question) for question in questions]


def run_the_commands_of_the_page(page: str, place: Folder) -> None:
    printed = [place.run(each) for each in commands(page) if not cannot(each)]
    headers = [block.splitlines()[0].split() for block in fenced_blocks(page, "text")]
    rows = [row.split() for text in printed for row in text.splitlines()]
    assert [header for header in headers if header not in rows] == []
    for block in fenced_blocks(page, "text"):
        for row in block.splitlines()[1:]:
            name, *fields = row.split()
            assert any(each[:1] == [name] and each[1:3] == fields[:2] for each in rows), row


@pytest.mark.parametrize("page", FROM_NOTHING)
def test_the_commands_are_accepted(page: str, empty: ControlPlane, folder: Callable[..., Folder]) -> None:
    place = folder(empty)
    with FakeKubelet(empty):
        place.run("kubectl create namespace sales --dry-run=client -o yaml | kubectl apply -f -")
        if page in NEED_DEFINITIONS:
            place.run("kubectl apply --server-side -f crds/")
        try:
            for each in commands(page):
                if not cannot(each):
                    # Without an operator no proxy becomes ready, and that is what `--wait` waits for.
                    place.run(each.replace(" --wait", ""))
        finally:
            clear(place)


def clear(place: Folder) -> None:
    """Remove what a page installed, its proxies too."""
    for line in place.run("helm list -A -o json | python3 -c '" + RELEASES + "'").splitlines():
        place.run(f"helm uninstall {line}")
    place.run("kubectl api-resources -o name --api-group=ostiary.dev | xargs -r -I{} kubectl delete {} -A --all")


def test_every_page_with_commands_is_known() -> None:
    known = {*ON_A_CLUSTER, *TUTORIALS, *FROM_NOTHING, *ELSEWHERE}
    unknown = [page for page in pages() if page not in known and any(not cannot(each) for each in commands(page))]
    local = {"docs/tutorials/1-quickstart.md"}  # below
    assert set(unknown) <= local, "add the page to one of the lists above"


def test_commands_that_are_documented_as_tested_elsewhere_are() -> None:
    assert all((ROOT / test).exists() for test in (*ELSEWHERE.values(), *RUN_BY.values()))
    shown = [each for page in pages() for each in commands(page)]
    idle = [begin for begin in (*NOT_HERE, *RUN_BY) if not any(each.startswith(begin) for each in shown)]
    assert idle == [], "no page shows these any more"


def test_commands_that_need_no_cluster(empty: ControlPlane, folder: Callable[..., Folder]) -> None:
    place = folder(empty)
    (validate,) = (each for each in commands("docs/tutorials/1-quickstart.md") if not cannot(each))
    assert place.run(validate).endswith("no problems\n")
