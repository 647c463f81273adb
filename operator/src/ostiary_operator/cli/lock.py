"""``ostiary lock``: writes the MCPLock of a server, or says how the server differs from it."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostiary_operator.cli.common_arguments import add_namespaces

if TYPE_CHECKING:
    from ostiary_operator.local.lock_file import ServedDefinitions

WELL, DIFFERENT, UNUSABLE = 0, 1, 2
"""The exit codes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("proxy", metavar="PROXY", help="the MCPProxy, as NAME or NAMESPACE/NAME")
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="a file or folder with the MCPProxy and its MCPLocks, or - for stdin"
    )
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--check", action="store_true", help="print how servers differ from the MCPLocks; write nothing")
    does.add_argument(
        "--merge", action="store_true", help="keep what the MCPLocks approve, and add what servers show besides"
    )
    parser.add_argument("--server", metavar="NAME", help="one server of the MCPProxy (default: all)")
    parser.add_argument("--url", metavar="URL", help="where that server is reached from here, such as a forwarded port")
    parser.add_argument(
        "--header", metavar="NAME=VALUE", action="append", default=[], help="a header for the server, such as a token"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write (default: standard output)")
    add_namespaces(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write or compare; return the exit code.

    It is 1 if --check finds a difference, 2 if something cannot be read.
    """
    from ostiary_core.errors import OstiaryError  # noqa: PLC0415  help needs none of it

    try:
        return asyncio.run(_run(arguments))
    except OstiaryError as error:
        sys.stderr.write(f"ostiary lock: {error}\n")
    except OSError as error:
        sys.stderr.write(f"ostiary lock: {arguments.output} cannot be written: {error.strerror or error}\n")
    return UNUSABLE


async def _run(arguments: argparse.Namespace) -> int:
    from ostiary_operator.local import governed_proxy, lock_file  # noqa: PLC0415  likewise

    namespaces = {"namespace": arguments.namespace, "operator_namespace": arguments.operator_namespace}
    configs, errors = governed_proxy.compiled_files(arguments.paths, **namespaces)
    sys.stderr.writelines(f"{error}\n" for error in errors)
    (proxy,) = governed_proxy.find_proxies(configs, arguments.proxy, namespace=arguments.namespace)
    entry = proxy.entry
    chosen = [each for each in entry.servers if arguments.server in {None, each.name}]
    if not chosen or (arguments.url and len(chosen) > 1):
        known = ", ".join(each.name for each in entry.servers)
        sys.stderr.write(f"ostiary lock: --server: name one of the servers of {entry.identity}: {known}\n")
        return UNUSABLE
    headers = dict(_header(each) for each in arguments.header)
    texts, lines = [], []
    for server in chosen:
        served = await lock_file.read_server(arguments.url or server.url, headers)
        approved, name = _approved(arguments, entry.namespace, entry.name, server.name)
        lines += [f"{server.name}: {line}" for line in lock_file.changes(approved, served)]
        found = lock_file.merged(approved, served) if arguments.merge else served
        texts.append(lock_file.lock_text(entry.namespace, entry.name, server.name, found, name=name))
    if arguments.check:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return DIFFERENT if lines else WELL
    _write(arguments.output, "---\n".join(texts))
    return WELL


def _approved(
    arguments: argparse.Namespace, namespace: str, proxy: str, server: str
) -> "tuple[ServedDefinitions, str]":
    """Return what the MCPLocks of the files approve of a server, and the name of the first one."""
    from ostiary_operator.api.resources import LOCK_KIND  # noqa: PLC0415  likewise
    from ostiary_operator.local import lock_file, manifests  # noqa: PLC0415  likewise

    read = manifests.read_all(arguments.paths, namespace=arguments.namespace)
    found: list[tuple[str, Any]] = [
        (each.key.name, each.value.get("spec")) for each in read.manifests if each.key[:2] == (LOCK_KIND, namespace)
    ]
    mine = [
        (name, spec)
        for name, spec in found
        if isinstance(spec, dict) and spec.get("server") == server and spec.get("proxyRef") == {"name": proxy}
    ]
    return lock_file.approved_by(spec for _, spec in mine), mine[0][0] if mine else ""


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip()


def _write(path: str | None, text: str) -> None:
    if path is None:
        sys.stdout.write(text)
    else:
        Path(path).write_text(text, encoding="utf-8")
