"""Workloads in a local cluster: values of the chart, command, account and readiness."""

import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.cluster.port_assignment import Ports
from ostiary_tools.common import private
from ostiary_tools.common.ports import LOOPBACK

NAMESPACE = "ostiary-system"
GATEWAY = f"{NAMESPACE}/default"
OPERATOR_ACCOUNT, GATEWAY_ACCOUNT = "ostiary-operator", "ostiary-gateway"
"""The chart's service accounts: a right that the chart lacks is missing here too."""

_OSTIARY = Path(sys.executable).with_name("ostiary")
_DRAIN_SECONDS = 3  # the longest acceptable wait for Ctrl-C
_NOT_INHERITED = ("KUBE", "OTEL_", "POD_", "OSTIARY_")
_PORT_VARIABLES = {"PORT", "ADMIN_PORT", "MOCK_PORT"}

Command = list[str | Path]


def operator(control_plane: ControlPlane, ports: Ports, watched: Iterable[str], keyed: Iterable[str] = ()) -> Command:
    """Return the operator's command.

    It names the gateway's replicas, since without nodes no EndpointSlice does.

    Args:
        control_plane: the API server to use.
        ports: those of the operator and of the replicas.
        watched: the namespaces that it serves; none for the whole cluster.
        keyed: the namespaces whose Secrets it may read.
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
        *(f"--secret-namespace={name}" for name in keyed),
    ]


def gateway(control_plane: ControlPlane, ports: Ports, number: int) -> Command:
    """Return the command of a gateway replica, which watches the API.

    Without nodes there is no volume to mount.
    """
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
    """Return the command of the mock MCP server."""
    return [_OSTIARY, "mock-server", f"--port={ports.mock}"]


def environment(environ: Mapping[str, str], further: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process.

    Ours without variables that would configure it, plus `further`.
    """
    clean = {
        name: value
        for name, value in environ.items()
        if not name.startswith(_NOT_INHERITED) and name not in _PORT_VARIABLES
    }
    direct = ",".join(filter(None, ["localhost", LOOPBACK, environ.get("NO_PROXY") or environ.get("no_proxy")]))
    return clean | {"NO_PROXY": direct, "no_proxy": direct} | dict(further)


def answers(url: str) -> bool:
    """Return whether GET `url` succeeds."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def chart_values(ports: Ports, further: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a cluster on this machine, overridden by `further`."""
    loopback = {"namespaces": ["*"], "addresses": ["127.0.0.0/8", "::1/128"]}
    settings = {"externalURL": f"http://localhost:{ports.data[0]}", "grants": [loopback]}
    return merged_values({"gatewayDefaults": {"replicas": len(ports.data), "settings": settings}}, further)


def merged_values(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two sets of values merged as helm does: mappings are merged, else `above` wins."""
    both = {
        key: merged_values(below[key], above[key])
        for key in below.keys() & above.keys()
        if _are_mappings(below, above, key)
    }
    return {**below, **above, **both}


def _are_mappings(below: Mapping[str, Any], above: Mapping[str, Any], key: str) -> bool:
    return isinstance(below[key], Mapping) and isinstance(above[key], Mapping)


def namespaces_to_create(values: Mapping[str, Any]) -> list[str]:
    """Return the namespaces in which the chart creates roles, without those that exist."""
    return sorted({*values.get("watchNamespaces", ()), *values.get("secretNamespaces", ())} - {"default"})
