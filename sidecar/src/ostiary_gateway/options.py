"""The start options of a gateway process: everything that is not config."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

#: The addresses that stand for all of a machine: no other machine can connect to them.
_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  compared, not bound
#: A host, or an IPv6 address in brackets, with a port.
_WITH_PORT: Final = re.compile(r"(?:\[[^\]]+\]|[^:\[\]]+):[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class KubernetesOptions:
    """How to reach the Kubernetes API. The defaults are those of a pod."""

    api: str
    token_file: Path
    ca_file: Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The data port's certificate with its chain, and its key, as PEM.

    Read again when they change.
    """

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """The process's own file for audit records, and whether standard output is free for them.

    With a file the metadata of every request is recorded, whatever the config says.
    """

    file: Path | None = None
    stdout: bool = True


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a process is told that is one of several workers of a gateway.

    See :mod:`ostiary_gateway.workers`. ``index`` counts from 0 to ``count`` - 1 and stays when a worker is replaced;
    ``generation`` counts the replacements. ``folder`` holds the sockets at which the workers' admin applications
    listen; only the user of the process may enter it. ``shared`` are inherited file descriptors by name, the
    same in all workers of a gateway.
    """

    index: int
    count: int
    folder: Path
    generation: int = 0
    shared: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_replacement(self) -> bool:
        """Whether other workers serve already, and an earlier one of this index has ended."""
        return self.generation > 0

    @staticmethod
    def path_of(index: int) -> str:
        """Return what follows the address of the pod's admin port in that of a worker."""
        return f"/workers/{index}"

    def socket_of(self, index: int) -> Path:
        """Return the socket at which the admin application of a worker listens."""
        return self.folder / f"worker-{index}.sock"


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """The options of ``ostiary gateway``.

    ``config`` is the directory of the config, ``keys`` that of the gateway's Secret, None for the directory ``keys`` in
    the first. ``gateway`` is ``namespace/name``, empty to accept the config of any gateway. ``drain_seconds`` limits
    the wait for requests in flight after SIGTERM; ``drain_delay_seconds`` is how long new requests are still accepted,
    until load balancers have noticed. Without ``tls`` the data port uses plain HTTP. ``installation`` distinguishes
    this installation from others whose proxies have the same uids, as those from files may
    (:mod:`ostiary_gateway.upstream.via`). ``advertise`` is the address at which other replicas reach the admin port,
    with a port where that differs; empty for ``admin_host``, unless that is every address. ``http_server`` is the
    implementation of the data port (:mod:`ostiary_gateway.server.http_servers`). ``workers`` is the number of processes
    that share the data port; ``worker`` is set in each of them where there are several.
    """

    config: Path | None
    keys: Path | None = None
    gateway: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 8081
    drain_seconds: float = 25.0
    drain_delay_seconds: float = 0.0
    kubernetes: KubernetesOptions | None = None
    tls: TlsFiles | None = None
    replica: str = field(default="")
    installation: str = ""
    audit: AuditOptions = AuditOptions()
    advertise: str = ""
    http_server: str = "llhttp"
    workers: int = 1
    worker: WorkerOptions | None = None

    def advertised(self, admin_port: int) -> str:
        """Return where other replicas reach the admin port, ``host:port``; empty where they cannot.

        ``admin_port`` is the port that is listened on. The address of a worker ends with :meth:`WorkerOptions.path_of`,
        so it is never empty: the other workers of its pod reach it by its path alone.
        """
        path = "" if self.worker is None else self.worker.path_of(self.worker.index)
        address = self.advertise or ("" if self.admin_host in _EVERY_ADDRESS else self.admin_host)
        if not address or _WITH_PORT.fullmatch(address):
            return address + path
        host = f"[{address}]" if ":" in address and not address.startswith("[") else address
        return f"{host}:{admin_port}{path}"

    def siblings(self, admin_port: int) -> Mapping[str, Path]:
        """Return the sockets of the other workers of this pod, by the address of each."""
        worker = self.worker
        if worker is None:
            return {}
        address = self.advertised(admin_port).removesuffix(worker.path_of(worker.index))
        others = (index for index in range(worker.count) if index != worker.index)
        return {address + worker.path_of(index): worker.socket_of(index) for index in others}


def replica_name(given: str) -> str:
    """Return the name of this process.

    It is the given one, that of its Pod, or one from host and process id.
    """
    return given or os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
