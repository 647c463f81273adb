"""Ostiary's own processes beside a control plane: how each is started, with whose rights, and when it is up."""

import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path

from ostiary_tools import private
from ostiary_tools.cluster_ports import Ports
from ostiary_tools.control_plane import ControlPlane
from ostiary_tools.ports import LOOPBACK

NAMESPACE = "ostiary-system"
GATEWAY = f"{NAMESPACE}/default"
OPERATOR_ACCOUNT, GATEWAY_ACCOUNT = "ostiary-operator", "ostiary-gateway"
"""The chart's service accounts: a right that the chart forgets is missing here too."""

_OSTIARY = Path(sys.executable).with_name("ostiary")
_DRAIN_SECONDS = 3  # nobody waits longer for Ctrl-C
_NOT_INHERITED = ("KUBE", "OTEL_", "POD_", "OSTIARY_")
_PORT_VARIABLES = {"PORT", "ADMIN_PORT", "MOCK_PORT"}

Command = list[str | Path]


def operator(control_plane: ControlPlane, ports: Ports, watched: Iterable[str]) -> Command:
    """The operator, told its gateway's replicas: without nodes there are no EndpointSlices that could list them.

    Args:
        control_plane: whose API server it speaks to.
        ports: of itself and of the replicas.
        watched: the namespaces that it serves; none for the whole cluster.
    """
    admin_urls = ",".join(f"http://{LOOPBACK}:{port}" for port in ports.admin)
    return [
        _OSTIARY,
        "operator",
        f"--operator-namespace={NAMESPACE}",
        f"--kubeconfig={control_plane.kubeconfig_for_service_account(NAMESPACE, OPERATOR_ACCOUNT)}",
        f"--gateway-replicas={GATEWAY}={admin_urls}",
        f"--admin-address={LOOPBACK}:{ports.operator}",
        *(f"--watch-namespace={name}" for name in watched),
    ]


def gateway(control_plane: ControlPlane, ports: Ports, number: int) -> Command:
    """A replica, which watches its config through the API: without nodes there are no volumes."""
    token = control_plane.directory / "kubeconfigs" / f"{GATEWAY_ACCOUNT}.token"
    private.write(token, control_plane.service_account_token(NAMESPACE, GATEWAY_ACCOUNT))
    return [
        _OSTIARY,
        "gateway",
        f"--gateway={GATEWAY}",
        f"--port={ports.data[number]}",
        f"--admin-port={ports.admin[number]}",
        "--watch",
        f"--kubernetes-api={control_plane.url}",
        f"--kubernetes-token-file={token}",
        f"--kubernetes-ca-file={control_plane.ca_file}",
        f"--drain-seconds={_DRAIN_SECONDS}",
    ]


def mock_server(ports: Ports) -> Command:
    """The MCP server behind the door."""
    return [_OSTIARY, "mock-server", f"--port={ports.mock}"]


def environment(environ: Mapping[str, str], further: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process: ours without what would reconfigure it, and `further`."""
    clean = {
        name: value
        for name, value in environ.items()
        if not name.startswith(_NOT_INHERITED) and name not in _PORT_VARIABLES
    }
    direct = ",".join(filter(None, ["localhost", LOOPBACK, environ.get("NO_PROXY") or environ.get("no_proxy")]))
    return clean | {"NO_PROXY": direct, "no_proxy": direct} | dict(further)


def answers(url: str) -> bool:
    """Whether GET `url` succeeds."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
