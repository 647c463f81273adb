"""Compiles the servers of a proxy: complete URLs, milliseconds, certificates, addresses."""

from collections.abc import Mapping

from ostiary_core.contract.documents import HeaderConfig, ServerConfig, TimeoutsConfig, TlsConfig
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.proxy import Server as ApiServer
from ostiary_operator.compile.claims import server_url


def compile_servers(
    spec: ProxySpec, namespace: str, *, bundles: Mapping[str, str], addresses: list[str]
) -> list[ServerConfig]:
    """Compile the servers. ``bundles`` are CA certificates by server, ``addresses`` CIDRs."""
    return [_server(server, namespace, bundles.get(server.name), addresses) for server in spec.servers]


def _server(server: ApiServer, namespace: str, bundle: str | None, addresses: list[str]) -> ServerConfig:
    timeouts = server.timeouts
    return ServerConfig(
        name=server.name,
        url=server_url(server, namespace),
        timeouts=TimeoutsConfig(
            connect=timeouts.connect.milliseconds,
            request=timeouts.request.milliseconds,
            idle=timeouts.idle.milliseconds,
        ),
        tls=TlsConfig(ca=bundle, hostname=server.tls.hostname) if server.tls is not None else None,
        addresses=addresses,
        host=server.host,
        headers=[HeaderConfig(name=header.name, value=header.value) for header in server.headers] or None,
    )
