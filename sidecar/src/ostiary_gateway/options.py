"""The start options of a gateway process: everything that is not config."""

import re
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
class GatewayOptions:
    """The options of ``ostiary gateway``.

    ``config`` is the directory of the config, ``keys`` that of the gateway's Secret, None for the directory ``keys`` in
    the first. ``gateway`` is ``namespace/name``, empty to accept the config of any gateway. ``drain_seconds`` limits
    the wait for requests in flight after SIGTERM; ``drain_delay_seconds`` is how long new requests are still accepted,
    until load balancers have noticed. Without ``tls`` the data port uses plain HTTP. ``installation`` distinguishes
    this installation from others whose proxies have the same uids, as those from files may
    (:mod:`ostiary_gateway.upstream.via`). ``advertise`` is the address at which other replicas reach the admin port,
    with a port where that differs; empty for ``admin_host``, unless that is every address.
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

    def advertised(self, admin_port: int) -> str:
        """Return where other replicas reach the admin port, ``host:port``; empty where they cannot.

        ``admin_port`` is the port that is listened on.
        """
        address = self.advertise or ("" if self.admin_host in _EVERY_ADDRESS else self.admin_host)
        if not address or _WITH_PORT.fullmatch(address):
            return address
        host = f"[{address}]" if ":" in address and not address.startswith("[") else address
        return f"{host}:{admin_port}"
