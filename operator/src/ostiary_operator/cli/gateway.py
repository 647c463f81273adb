"""``ostiary gateway``: its arguments as options of the gateway.

It rejects invalid combinations.
"""

import argparse
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ostiary_operator.cli import common_arguments

if TYPE_CHECKING:
    from ostiary_gateway.options import GatewayOptions, KubernetesOptions, TlsFiles

#: A host name, an IPv4 or IPv6 address, perhaps with a port; IPv6 in brackets then.
_ADVERTISED: Final = re.compile(
    r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?|(?=[^:]*:[^:]*:)[0-9A-Fa-f:.]{2,45}"
)
#: The most processes of one gateway: beyond it more replicas are of more use.
_MOST_WORKERS: Final = 64
#: What the gateway knows (:mod:`ostiary_gateway.server.http_servers`), which help must not import; the default first.
HTTP_SERVERS: Final = ("llhttp", "aiohttp")
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class CombinationError(Exception):
    """Arguments cannot be combined, or cannot be used here.

    The message names them and the remedy.
    """


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "--config",
        metavar="DIR",
        type=Path,
        default=os.environ.get("OSTIARY_CONFIG") or None,
        help="folder with the config, such as a projected volume (default: OSTIARY_CONFIG)",
    )
    parser.add_argument(
        "--keys",
        metavar="DIR",
        type=Path,
        default=os.environ.get("OSTIARY_KEYS") or None,
        help="folder with the gateway's keys, such as its Secret, mounted separately from the ConfigMaps; keys are "
        "read from this folder only (default: OSTIARY_KEYS, or the folder keys in --config)",
    )
    parser.add_argument(
        "--gateway",
        metavar="NAMESPACE/NAME",
        type=common_arguments.gateway,
        help="identity of this gateway; a config for another one is refused (default: the one that the config names)",
    )
    common_arguments.add_listeners(parser)
    parser.add_argument(
        "--advertise",
        metavar="HOST[:PORT]",
        type=_advertised,
        default=os.environ.get("OSTIARY_ADVERTISE") or "",
        help="where the other replicas of this gateway reach its admin port, so that the answer to a question in "
        "mid-call may arrive at any of them (default: OSTIARY_ADVERTISE, or --admin-host unless that is every address)",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=_workers,
        # argparse also parses a default that is text.
        default=os.environ.get("WORKERS") or "1",
        help="processes that share the data port, about one for each core; more than one needs Linux (default: "
        "WORKERS, else 1)",
    )
    parser.add_argument(
        "--http-server",
        metavar="NAME",
        type=_http_server,
        default=os.environ.get("HTTP_SERVER") or HTTP_SERVERS[0],
        help="what reads requests on the data port, llhttp or aiohttp; bounds and answers are the same, except what "
        "docs/reference/http-servers.md lists (default: HTTP_SERVER, or llhttp)",
    )
    _add_tls(parser)
    _add_watch(parser)
    parser.add_argument(
        "--drain-seconds",
        metavar="SECONDS",
        type=common_arguments.seconds,
        default=25.0,
        help="how long requests in flight may take after SIGTERM (default: 25)",
    )
    parser.add_argument(
        "--drain-delay-seconds",
        metavar="SECONDS",
        type=common_arguments.seconds,
        default=0.0,
        help="how long to accept new requests after SIGTERM, so that load balancers can remove it (default: 0)",
    )
    common_arguments.add_audit_file(parser)
    common_arguments.add_format(parser)


def _advertised(text: str) -> str:
    """Read --advertise.

    Raises:
        argparse.ArgumentTypeError: it is no host, or its port is none.
    """
    if not text or _ADVERTISED.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(
        f"--advertise or OSTIARY_ADVERTISE: {text!r} is no address such as 10.0.0.7, [fd00::7]:8081 or gateway-1:8081"
    )


def _workers(text: str) -> int:
    """Read --workers.

    Raises:
        argparse.ArgumentTypeError: it is no number of workers, or this system spreads connections over one only.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= _MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"--workers or WORKERS: {text!r} is no number from 1 to {_MOST_WORKERS}")
    if int(text) > 1 and sys.platform != "linux":
        raise argparse.ArgumentTypeError("--workers or WORKERS: only Linux spreads connections over processes: use 1")
    return int(text)


def _http_server(text: str) -> str:
    """Read --http-server.

    Raises:
        argparse.ArgumentTypeError: there is no such one.
    """
    if text in HTTP_SERVERS:
        return text
    raise argparse.ArgumentTypeError(f"--http-server or HTTP_SERVER: {text!r} is neither {' nor '.join(HTTP_SERVERS)}")


def _add_tls(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("TLS on the data port (without these it speaks plain HTTP)")
    group.add_argument(
        "--tls-cert",
        metavar="FILE",
        type=Path,
        help="certificate and its chain as PEM, such as tls.crt of a mounted Secret; a renewed one needs no restart",
    )
    group.add_argument("--tls-key", metavar="FILE", type=Path, help="its key as PEM, such as tls.key of that Secret")


def _add_watch(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("watching the API server (the defaults are for a Pod)")
    group.add_argument(
        "--watch", action="store_true", help="also watch the gateway's ConfigMaps and Secret; needs --gateway"
    )
    group.add_argument("--kubernetes-api", metavar="URL", help="base URL of the API server")
    group.add_argument(
        "--kubernetes-token-file", metavar="FILE", type=Path, help="bearer token, read again when it changes"
    )
    group.add_argument("--kubernetes-ca-file", metavar="FILE", type=Path, help="CA certificates for the API server")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code: 2 for invalid arguments."""
    try:
        options = read_options(arguments)
    except CombinationError as error:
        sys.stderr.write(f"ostiary gateway: {error}\n")
        return 2
    from ostiary_gateway import process  # noqa: PLC0415  an extra, and slow to load

    common_arguments.configure(arguments.log_format)
    return process.run(options)


def read_options(arguments: argparse.Namespace) -> "GatewayOptions":
    """Return the options of a gateway.

    Raises:
        CombinationError: the arguments cannot be combined, or cannot be used here.
    """
    from ostiary_gateway.options import AuditOptions, GatewayOptions  # noqa: PLC0415  the other plane

    if arguments.config is None and not arguments.watch:
        raise CombinationError("there is no source of config: give --config DIR (or OSTIARY_CONFIG), --watch, or both")
    if arguments.config is not None and not arguments.config.is_dir():
        raise CombinationError(f"--config: {arguments.config} is not a folder: correct it, or create it first")
    _check_keys(arguments)
    if arguments.port == arguments.admin_port != 0:
        raise CombinationError(f"--port and --admin-port are both {arguments.port}: give one of them another number")
    return GatewayOptions(
        config=arguments.config,
        keys=arguments.keys,
        gateway=arguments.gateway or "",
        host=arguments.host,
        port=arguments.port,
        admin_host=arguments.admin_host,
        admin_port=arguments.admin_port,
        drain_seconds=arguments.drain_seconds,
        drain_delay_seconds=arguments.drain_delay_seconds,
        kubernetes=_kubernetes(arguments),
        tls=_tls(arguments),
        audit=AuditOptions(file=arguments.audit_file),
        advertise=arguments.advertise,
        workers=arguments.workers,
        http_server=arguments.http_server,
    )


def _check_keys(arguments: argparse.Namespace) -> None:
    """Check --keys. The folder need not exist yet: the operator may write it later."""
    keys, config = arguments.keys, arguments.config
    if keys is None:
        return
    if config is None:
        raise CombinationError("--keys has no effect without --config: with --watch alone keys come from the API")
    if keys.exists() and not keys.is_dir():
        raise CombinationError(f"--keys: {keys} is not a folder: give the one that the gateway's Secret is mounted at")
    if keys.resolve() == config.resolve():
        raise CombinationError(
            f"--keys and --config are both {keys}: mount the Secret at a folder of its own, or anyone who may "
            "write a ConfigMap could write keys"
        )


def _tls(arguments: argparse.Namespace) -> "TlsFiles | None":
    from ostiary_gateway.options import TlsFiles  # noqa: PLC0415  see read_options

    if arguments.tls_cert is None and arguments.tls_key is None:
        return None
    if arguments.tls_cert is None or arguments.tls_key is None:
        given, missing = ("--tls-key", "--tls-cert") if arguments.tls_cert is None else ("--tls-cert", "--tls-key")
        raise CombinationError(f"{given} has no effect without {missing}: give both, or neither")
    return TlsFiles(_readable("--tls-cert", arguments.tls_cert), _readable("--tls-key", arguments.tls_key))


def _kubernetes(arguments: argparse.Namespace) -> "KubernetesOptions | None":
    from ostiary_gateway.options import KubernetesOptions  # noqa: PLC0415  see read_options

    given = {
        "--kubernetes-api": arguments.kubernetes_api,
        "--kubernetes-token-file": arguments.kubernetes_token_file,
        "--kubernetes-ca-file": arguments.kubernetes_ca_file,
    }
    if not arguments.watch:
        for flag, value in given.items():
            if value is not None:
                raise CombinationError(f"{flag} says how to watch, but --watch is missing: add it, or omit {flag}")
        return None
    if not arguments.gateway:
        raise CombinationError("--watch needs --gateway NAMESPACE/NAME: what it watches is named after the gateway")
    return KubernetesOptions(
        api=arguments.kubernetes_api or _api_of_pod(),
        token_file=_readable("--kubernetes-token-file", arguments.kubernetes_token_file or _ACCOUNT / "token"),
        ca_file=_readable("--kubernetes-ca-file", arguments.kubernetes_ca_file or _ACCOUNT / "ca.crt"),
    )


def _api_of_pod() -> str:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise CombinationError("this is not a Pod (KUBERNETES_SERVICE_HOST is not set): give --kubernetes-api URL")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _readable(flag: str, path: Path) -> Path:
    if not os.access(path, os.R_OK) or path.is_dir():
        raise CombinationError(f"{flag}: {path} is not a readable file: give another one")
    return path
