"""The operator's command line options."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ostiary_operator.api.labels import is_dns_label
from ostiary_operator.api.server_kinds import (
    BUILT_IN,
    InvalidServerKind,
    ServerKind,
    parse_server_kind,
    with_built_in,
)


@dataclass(frozen=True, slots=True)
class OperatorOptions:
    """The options of :func:`ostiary_operator.controller.app.run_operator`.

    ``watch_namespaces`` is empty for the whole cluster. ``gateway_replicas`` maps a gateway (``namespace/name``) to the
    base URLs of its replicas' admin ports, instead of its EndpointSlices. ``startup_timeout`` is the time in seconds
    within which the first pass must succeed. ``name`` distinguishes operators in one namespace, and is the same for all
    replicas of one; ``secret_namespaces`` are those whose Secrets it may list and watch, where it may not do so in the
    whole cluster. ``leader_elect`` means that there may be several replicas, of which only the leader works.
    ``server_kinds`` are the kinds of other operators' servers that MCPProxies may refer to.
    """

    operator_namespace: str
    watch_namespaces: tuple[str, ...] = ()
    kubeconfig: str | None = None
    context: str | None = None
    gateway_replicas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    admin_host: str = "0.0.0.0"  # noqa: S104  probes and scrapers come from outside the pod
    admin_port: int = 8082
    startup_timeout: float = 60.0
    name: str = "ostiary-operator"
    leader_elect: bool = False
    secret_namespaces: tuple[str, ...] = ()
    server_kinds: tuple[ServerKind, ...] = BUILT_IN

    @property
    def identity(self) -> str:
        """The operator's identity, the same for all its replicas: ``namespace/name``."""
        return f"{self.operator_namespace}/{self.name}"

    @property
    def namespaces(self) -> tuple[str, ...] | None:
        """The namespaces to read, including the operator's own; None for all."""
        if not self.watch_namespaces:
            return None
        return tuple(sorted({self.operator_namespace, *self.watch_namespaces}))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the operator's flags to a parser."""
    parser.add_argument(
        "--operator-namespace",
        metavar="NAMESPACE",
        type=_namespace,
        default=os.environ.get("POD_NAMESPACE"),
        help="where shared gateways and platform policies live (default: $POD_NAMESPACE)",
    )
    parser.add_argument(
        "--watch-namespace",
        metavar="NAMESPACE",
        type=_namespace,
        action="append",
        default=[],
        help="serve this namespace; repeat for several (default: the whole cluster)",
    )
    parser.add_argument(
        "--secret-namespace",
        metavar="NAMESPACE",
        type=_namespace,
        action="append",
        default=[],
        help="watch Secrets in this namespace, where the operator has the right; repeat for several",
    )
    add_server_kinds(parser)
    parser.add_argument(
        "--name",
        metavar="NAME",
        type=_namespace,
        default="ostiary-operator",
        help="name of this operator, the same for all its replicas (default: ostiary-operator)",
    )
    parser.add_argument(
        "--leader-elect",
        action="store_true",
        help="run as one of several replicas with leader election: only the holder of the Lease of that name works",
    )
    parser.add_argument("--kubeconfig", metavar="FILE", help="credentials for the API server (default: the pod's own)")
    parser.add_argument("--context", metavar="NAME", help="which context of the kubeconfig (default: its current one)")
    add_replicas(parser)
    parser.add_argument(
        "--admin-address",
        metavar="HOST:PORT",
        type=_address,
        default=("0.0.0.0", 8082),  # noqa: S104  probes and scrapers come from outside the pod
        help="where to serve /healthz, /readyz and /metrics; port 0 takes a free one (default: 0.0.0.0:8082)",
    )


def add_server_kinds(parser: argparse._ActionsContainer) -> None:
    """Add the flag for further kinds of other operators' servers."""
    parser.add_argument(
        "--server-kind",
        metavar="JSON",
        type=_server_kind,
        action="append",
        default=[],
        help="a kind of another operator's MCP servers that serverRef may name, as the chart's value serverKinds.more "
        "has it; repeat for several (default: those of mcp.x-k8s.io, toolhive.stacklok.dev and kagent.dev)",
    )


def add_replicas(parser: argparse._ActionsContainer) -> None:
    """Add the flag for the addresses of gateway replicas."""
    parser.add_argument(
        "--gateway-replicas",
        metavar="NAMESPACE/NAME=URL[,URL]",
        type=_replicas,
        action="append",
        default=[],
        help="admin URLs of a gateway's replicas, instead of its EndpointSlices; repeat for several gateways",
    )


def from_arguments(arguments: argparse.Namespace) -> OperatorOptions:
    """Return the options from parsed arguments.

    Raises:
        ValueError: the operator's namespace is not known.
    """
    if not arguments.operator_namespace:
        raise ValueError("the operator's namespace is not known: set --operator-namespace or POD_NAMESPACE")
    host, port = arguments.admin_address
    return OperatorOptions(
        operator_namespace=arguments.operator_namespace,
        watch_namespaces=tuple(sorted(set(arguments.watch_namespace))),
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        gateway_replicas=dict(arguments.gateway_replicas),
        admin_host=host,
        admin_port=port,
        name=arguments.name,
        leader_elect=arguments.leader_elect,
        secret_namespaces=tuple(sorted(set(arguments.secret_namespace))),
        server_kinds=with_built_in(arguments.server_kind),
    )


def _namespace(text: str) -> str:
    if not is_dns_label(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a namespace")
    return text


def _server_kind(text: str) -> ServerKind:
    try:
        return parse_server_kind(text)
    except InvalidServerKind as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _replicas(text: str) -> tuple[str, tuple[str, ...]]:
    gateway, separator, urls = text.partition("=")
    namespace, slash, name = gateway.partition("/")
    if not (separator and slash and is_dns_label(namespace) and is_dns_label(name)):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAMESPACE/NAME=URL[,URL]")
    return gateway, tuple(base_url(url) for url in urls.split(",") if url)


def base_url(text: str) -> str:
    """Return an http or https URL without query, and without a trailing slash.

    Raises:
        argparse.ArgumentTypeError: the text is no such URL.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!r} is not a base URL such as http://127.0.0.1:8081")
    return text.rstrip("/")


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  an empty host means every address
