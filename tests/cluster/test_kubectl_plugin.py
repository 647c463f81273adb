"""`kubectl ostiary`, and the completion of its words, by the real kubectl at a real API server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from documented_commands import commands
from operator_environment import CRDS
from shell_terminal import ShellTerminal

from ostiary_operator.cli.complete import TIMEOUT_VARIABLE
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.toolchain import binaries

Kubectl = Callable[..., list[str]]


@pytest.fixture
def environment(control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Two MCPProxies in the namespace of the context, and the plugin on PATH."""
    control_plane.apply_crds(CRDS)
    for name in ("crm", "tickets"):
        control_plane.api.request(
            "POST",
            f"/apis/ostiary.dev/v1alpha1/namespaces/{namespace}/mcpproxies",
            {
                "apiVersion": "ostiary.dev/v1alpha1",
                "kind": "MCPProxy",
                "metadata": {"name": name},
                "spec": {"servers": [{"name": "main", "url": "http://localhost:7878/mcp"}]},
            },
        )
    kubectl = binaries.ensure()["kubectl"]
    programs = os.pathsep.join((str(Path(sys.executable).parent), str(kubectl.parent), os.environ["PATH"]))
    return {**control_plane.environment(), "PATH": programs, TIMEOUT_VARIABLE: "100000"}


@pytest.fixture
def kubectl(environment: dict[str, str]) -> Kubectl:
    def call(*words: str) -> list[str]:
        result = subprocess.run(
            [shutil.which("kubectl", path=environment["PATH"]) or "", *words],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines()

    return call


def test_kubectl_runs_it_as_a_plugin_with_the_users_kubeconfig(kubectl: Kubectl, namespace: str) -> None:
    listed = kubectl("ostiary", "get", "proxies", "-n", namespace, "-o", "name")
    assert listed == ["mcpproxy.ostiary.dev/crm", "mcpproxy.ostiary.dev/tickets"]
    assert kubectl("ostiary", "--help")[0].startswith("usage: kubectl ostiary")


def test_the_commands_of_the_guide_work(kubectl: Kubectl, control_plane: ControlPlane) -> None:
    shown = [command.split() for command in commands("docs/guides/command-line.md")]
    assert shown == [["kubectl", "plugin", "list"], ["kubectl", "ostiary", "get", "proxies", "-A"]]
    printed = [kubectl(*words) for _, *words in shown]
    assert any(line.endswith("/kubectl-ostiary") for line in printed[0])
    assert printed[1][0].split()[:2] == ["NAMESPACE", "NAME"]


def test_kubectl_completes_commands_and_names_of_the_plugin(kubectl: Kubectl, namespace: str) -> None:
    assert "validate\tcheck MCPProxies, MCPPolicies and gateway settings in YAML files" in kubectl(
        "__complete", "ostiary", "va"
    )
    offered = kubectl("__complete", "ostiary", "get", "proxies", "-n", namespace, "")
    assert offered[:2] == ["crm\tUnknown Pending", "tickets\tUnknown Pending"]
    assert f"{namespace}\tActive" in kubectl("__complete", "ostiary", "get", "-n", namespace[:-1])


def test_a_shell_completes_a_line_of_kubectl(kubectl: Kubectl, environment: dict[str, str], namespace: str) -> None:
    with ShellTerminal(["bash", "--norc", "--noprofile", "-i"], environment) as terminal:
        # kubectl's own script wants a function of the package bash-completion, which is not everywhere.
        words = "_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} words=(${COMP_WORDS[@]}) cword=$COMP_CWORD; }"
        terminal.types(f"PS1='rea''dy> '; {words}; source <(kubectl completion bash)\n")
        terminal.shows("ready> ")
        terminal.types(f"kubectl ostiary get proxies -n {namespace} ti\t")
        terminal.shows("tickets ")


def test_who_may_not_list_is_offered_no_names(
    control_plane: ControlPlane, environment: dict[str, str], namespace: str
) -> None:
    kubeconfig = control_plane.kubeconfig_for_service_account(namespace, "default")
    words = ["kubectl_complete-ostiary", "get", "proxies", ""]
    result = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**environment, "KUBECONFIG": str(kubeconfig)}
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, ":4\n", "")
