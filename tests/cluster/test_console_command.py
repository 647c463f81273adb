"""`ostiary console` of a cluster on the machine of one person, with that person's kubeconfig."""

import json
import os
import re
import subprocess
from pathlib import Path
from urllib.error import HTTPError

import pytest
from console_process import ConsoleProcess

from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

TOKEN = "a-token-for-scripts"
BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def identities(console: ConsoleProcess) -> list[str]:
    """The proxies of the first page."""
    rows = console.twin("/index.json")["proxies"]["rows"]
    return [f"{row['namespace']}/{row['name']}" if "name" in row else row["identity"] for row in rows]


def test_it_shows_the_cluster_of_a_kubeconfig(cluster: LocalCluster) -> None:
    with ConsoleProcess.started("--kubeconfig", str(cluster.control_plane.kubeconfig)) as console:
        with pytest.raises(HTTPError, match="401"):
            console.get("/")
        console.sign_in()
        assert "default/mock-mcp-server" in identities(console)
        assert b"default/mock-mcp-server" in console.get("/")
    assert console.code == 0


def test_a_script_reads_a_twin_as_the_guide_shows(cluster: LocalCluster) -> None:
    kubeconfig = str(cluster.control_plane.kubeconfig)
    _, run, curl, console = (block.strip() for block in BLOCK.findall(Path("docs/guides/console.md").read_text())[:4])
    assert run.splitlines()[-1] == "ostiary run"
    assert console == "ostiary console"
    with ConsoleProcess.started("--kubeconfig", kubeconfig, env={"OSTIARY_CONSOLE_TOKEN": TOKEN}) as process:
        command = curl.replace("http://127.0.0.1:8090", process.url)
        environment = os.environ | {"OSTIARY_CONSOLE_TOKEN": TOKEN}
        shell = ["/bin/sh", "-c", f"exec {command} --silent"]
        answer = subprocess.run(shell, env=environment, capture_output=True, check=True).stdout
        assert json.loads(answer)["proxies"]["total"] == 1


def test_a_viewer_of_one_namespace_sees_that_one(cluster: LocalCluster) -> None:
    cluster.kubectl("create", "serviceaccount", "looks", "-n", "default")
    bind = ("create", "rolebinding", "looks", "--clusterrole=ostiary-viewer", "--serviceaccount=default:looks")
    cluster.kubectl(*bind, "-n", "default")
    kubeconfig = cluster.control_plane.kubeconfig_for_service_account("default", "looks")
    with ConsoleProcess.started("--kubeconfig", str(kubeconfig), "-n", "default") as console:
        console.sign_in()

        def shown() -> bool:
            try:
                return identities(console) == ["default/mock-mcp-server"]
            except HTTPError:
                return False

        wait_until(shown, what="the viewer's role to be in force")


def test_without_a_cluster_it_says_so_on_the_page(control_plane: ControlPlane) -> None:
    text = control_plane.kubeconfig.read_text()
    server = next(line.split()[-1] for line in text.splitlines() if "server:" in line)
    file = control_plane.kubeconfig.with_name("nowhere.yaml")
    file.write_text(text.replace(server, "https://127.0.0.1:1"))
    with ConsoleProcess.started("--kubeconfig", str(file), "-n", "default") as console:
        console.sign_in()
        with pytest.raises(HTTPError, match="503") as error:
            console.get("/")
        assert b"A source does not answer" in error.value.read()
