"""How a gateway process is started: everything that is not config."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KubernetesOptions:
    """Where the gateway's ConfigMap and Secret are watched. Defaults are those of a pod."""

    api: str
    token_file: Path
    ca_file: Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The data port's certificate with its chain, and its key, as PEM; read again when they change."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What ``ostiary gateway`` was told.

    ``config`` is the folder of the config, ``keys`` that of the gateway's Secret, None for the folder ``keys`` in the
    first. ``gateway`` is ``namespace/name``, empty to take whatever the config says. ``drain_seconds`` bounds the wait
    for requests in flight after SIGTERM; ``drain_delay_seconds`` is how long new ones are still taken, while load
    balancers learn. Without ``tls`` the data port speaks plain HTTP. ``installation`` tells
    this installation from others whose proxies have the same uids, as those of files have
    (:mod:`ostiary_gateway.upstream.hops`).
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
