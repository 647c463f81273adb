"""The tutorial for kind: every command that needs no container engine is run, in its order, on a real API server.

Operator and gateway run as processes with the rights that the tutorial's own `helm install` gives them; a fake
kubelet marks the Pods as ready.
"""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_kubelet import FakeKubelet
from fenced_blocks import ROOT, fenced_blocks
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.cluster import crd_installer
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until
from ostiary_tools.toolchain import binaries

PAGE = "docs/tutorials/3-kind.md"
COMMANDS = [line for block in fenced_blocks(PAGE, "sh") for line in block.replace("\\\n", " ").splitlines() if line]
INSTALL = next(line for line in COMMANDS if line.startswith("helm install ostiary "))
#: Need a container engine, a kubelet that runs Pods, or Node.js.
NOT_HERE = ("kind ", "docker ", "helm test ", "npx ")


class TutorialCluster(LocalCluster):
    """Installs what the tutorial installs."""

    def _install(self) -> None:
        with FakeKubelet(self.control_plane):
            run(self, INSTALL)
        names = [definition["metadata"]["name"] for definition in crd_installer.read(ROOT / "crds")]
        wait_until(
            lambda: all(crd_installer.usable(name, self.control_plane.api) for name in names), what="the definitions"
        )


def run(cluster: LocalCluster, line: str) -> str:
    name, *arguments = shlex.split(line)
    done = subprocess.run(
        [binaries.ensure(name)[name], *arguments],
        cwd=ROOT,
        env=cluster.control_plane.environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with TutorialCluster(tmp_path_factory.mktemp("cluster")) as running, FakeKubelet(running.control_plane):
        yield running


def test_every_command_works_as_the_page_describes(cluster: LocalCluster) -> None:
    outputs = {}
    for line in COMMANDS[COMMANDS.index(INSTALL) + 1 :]:
        if not line.startswith(NOT_HERE):
            outputs[line] = run(cluster, line)
    listed = outputs["kubectl get mcpproxies,mcppolicies"]
    assert "http://localhost:8080/mock-mcp-server/mcp" in listed
    assert all("True" in row for row in listed.splitlines() if "mock-mcp-server" in row)
    assert "condition met" in outputs["kubectl wait mcppolicy mock-mcp-server --for condition=Ready"]
    assert "PathConflict" in outputs["kubectl get mcpproxy twin -o wide"]
    assert "ostiary-gateway    1/1" in outputs["kubectl -n ostiary-system get deployments"]
    shown = [
        row.split() for block in fenced_blocks(PAGE, "text") for row in block.splitlines() if row.startswith("NAME")
    ]
    printed = [row.split() for text in outputs.values() for row in text.splitlines() if row.startswith("NAME")]
    assert [header for header in shown if header not in printed] == []


def test_the_rest_of_the_commands_are_known() -> None:
    assert {line.split()[0] for line in COMMANDS} == {"kind", "docker", "helm", "kubectl", "npx"}
    files = [word for line in COMMANDS for word in shlex.split(line) if "/" in word and Path(ROOT / word).suffix]
    for word in files:
        if not word.startswith(("http", "@")) and "=" not in word:
            assert (ROOT / word).exists(), word
