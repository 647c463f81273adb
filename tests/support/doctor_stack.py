"""A whole stack whose links a test breaks, and what `ostiary doctor` reports on it.

stack = DoctorStack(cluster, ostiary_command(capsys))
stack.breaks_at("server", "UpstreamUnreachable")
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml
from command_line import Ostiary

from ostiary_tools.cluster import workloads
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE_PROXY
from ostiary_tools.common.processes import wait_until


@dataclass(frozen=True)
class DoctorStack:
    """A running stack, and `ostiary doctor` to check it with."""

    cluster: LocalCluster
    ostiary: Ostiary

    def diagnose(self, name: str = EXAMPLE_PROXY, *arguments: str) -> dict[str, Any]:
        """Return the findings on one MCPProxy. Replicas and operator are given as URLs: they are no Pods."""
        replicas = ",".join(self.cluster.gateway_admin_urls)
        reach = ("--gateway-replicas", f"{workloads.GATEWAY}={replicas}")
        return self.run_doctor(name, *reach, "--operator-url", self.cluster.operator_admin_url, *arguments)

    def run_doctor(self, *arguments: str) -> dict[str, Any]:
        """Return the findings of `ostiary doctor` with these arguments only."""
        kubeconfig = () if "--kubeconfig" in arguments else ("--kubeconfig", str(self.cluster.control_plane.kubeconfig))
        answer = self.ostiary("doctor", "-n", "default", "-o", "json", "--wait", "0.5", *kubeconfig, *arguments)
        assert self.cluster.admin_token() not in answer.out + answer.err
        (found,) = json.loads(answer.out)
        assert answer.code == (1 if found["broken"] else 0)
        return dict(found)

    def breaks_at(self, link: str, words: str, name: str = EXAMPLE_PROXY, *arguments: str) -> str:
        """Expect that the chain breaks at this link, which ends the report; return the remedy."""
        found = self.diagnose(name, *arguments)
        last = found["links"][-1]
        assert (found["broken"], last["name"], last["state"]) == (link, link, "broken"), found
        assert words in last["detail"], last
        assert last["remedy"]
        return str(last["remedy"])

    def create_proxy(self, name: str, *, until: str, **spec: Any) -> None:
        """Create an MCPProxy, and wait until its status contains this text."""
        servers = [{"name": "main", "url": self.cluster.mock_url}]
        body = {
            "apiVersion": "ostiary.dev/v1alpha1",
            "kind": "MCPProxy",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"servers": servers, **spec},
        }
        self.cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(body))
        wait_until(lambda: until in json.dumps(self.cluster.proxy(name)), what=f"{until} of {name}")


@contextmanager
def without_operator(cluster: LocalCluster) -> Iterator[None]:
    """Stop the operator for the block, and start it again at its end."""
    cluster.stop_operator()
    try:
        yield
    finally:
        cluster.start_operator()
        cluster.wait_until_ready()
