"""The command lines of etcd, kube-apiserver and kube-controller-manager.

All run in the control plane's directory. etcd listens on a socket file there, so that no other user of the machine can
reach it and no port is needed; the path is relative because the length of a socket's path is limited. Its flags require
the form `host:port`, which here is the file's name.
"""

from pathlib import Path

from ostiary_tools.common.ports import LOOPBACK

#: The advertised address of the API server, where nothing listens: an address for documentation (RFC 5737).
ADVERTISED = "192.0.2.1"
_ETCD_CLIENTS = "unix://etcd-clients:1"
_ETCD_PEERS = "unix://etcd-peers:1"

# The controllers whose effects tests and a local cluster see; without those that need nodes, volumes or a cloud.
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "validatingadmissionpolicy-status-controller",
)


def etcd(binary: Path) -> list[str | Path]:
    """Return the command of etcd, without fsync: its data need not survive a crash."""
    return [
        binary,
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={_ETCD_CLIENTS}",
        f"--advertise-client-urls={_ETCD_CLIENTS}",
        f"--listen-peer-urls={_ETCD_PEERS}",
        f"--initial-advertise-peer-urls={_ETCD_PEERS}",
        f"--initial-cluster=default={_ETCD_PEERS}",
    ]


def api_server(binary: Path, *, port: int) -> list[str | Path]:
    """Return the command of the API server, with its default admission plugins and RBAC."""
    return [
        binary,
        f"--etcd-servers={_ETCD_CLIENTS}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        "--tls-cert-file=certs/server.crt",
        "--tls-private-key-file=certs/server.key",
        "--authorization-mode=RBAC",
        "--token-auth-file=certs/tokens.csv",
        f"--service-account-issuer=https://{LOOPBACK}:{port}",
        "--service-account-key-file=certs/sa.pub",
        "--service-account-signing-key-file=certs/sa.key",
        "--service-cluster-ip-range=10.0.0.0/24",
        # The endpoint of the Service `kubernetes`. The default would be 127.0.0.1, which validation rejects.
        f"--advertise-address={ADVERTISED}",
        "--allow-privileged=true",
    ]


def controller_manager(binary: Path) -> list[str | Path]:
    """Return the command of the controllers, with high rate limits for quick deletions."""
    return [
        binary,
        "--kubeconfig=kubeconfig",
        "--leader-elect=false",
        "--secure-port=0",
        "--root-ca-file=certs/ca.crt",
        f"--controllers={','.join(CONTROLLERS)}",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]
