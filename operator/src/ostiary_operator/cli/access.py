"""``ostiary access``: prints which callers may see and use what, as a matrix."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostiary_operator.cli.common_arguments import add_namespaces

if TYPE_CHECKING:
    from ostiary_core.mcp.methods import Primitive
    from ostiary_operator.local.access_matrix import AccessMatrix

WELL, PROBLEMS, UNUSABLE = 0, 1, 2
"""The exit codes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="a file, a folder (all *.yaml and *.yml below it), or - for stdin"
    )
    parser.add_argument("--proxy", metavar="NAME", help="one MCPProxy, as NAME or NAMESPACE/NAME (default: all)")
    parser.add_argument(
        "--list",
        dest="lists",
        metavar="FILE",
        action="append",
        type=_list,
        help="a server's names: the JSON result of tools/list, resources/list or prompts/list (default: from rules)",
    )
    parser.add_argument(
        "-o", "--output", choices=("table", "markdown", "json"), default="table", help="how to print the matrix"
    )
    add_namespaces(parser)


def _list(path: str) -> dict[str, Any]:
    from ostiary_core.mcp.methods import LISTS  # noqa: PLC0415  help needs none of it

    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{path} is not a list as JSON: {error}") from None
    result = value.get("result", value) if isinstance(value, dict) else None
    if not isinstance(result, dict) or not any(isinstance(result.get(key), list) for key in LISTS):
        raise argparse.ArgumentTypeError(f'{path} must be the result of a list method, such as {{"tools": []}}')
    return result


def run(arguments: argparse.Namespace) -> int:
    """Print the matrices; return 0, or 1 if the files have errors, or 2 for wrong usage."""
    from ostiary_core.errors import OstiaryError  # noqa: PLC0415  help needs none of it
    from ostiary_operator.local import access_matrix, governed_proxy  # noqa: PLC0415  likewise

    try:
        configs, errors = governed_proxy.compiled_files(
            arguments.paths, namespace=arguments.namespace, operator_namespace=arguments.operator_namespace
        )
        proxies = governed_proxy.find_proxies(configs, arguments.proxy, namespace=arguments.namespace)
    except OstiaryError as error:
        sys.stderr.write(f"ostiary access: {error}\n")
        return UNUSABLE
    sys.stderr.writelines(f"{error}\n" for error in errors)
    if not proxies:
        sys.stderr.write("ostiary access: there is no usable MCPProxy in these files\n")
    names = _names(arguments.lists) if arguments.lists else None
    _write([access_matrix.matrix(proxy, names) for proxy in proxies], arguments.output)
    return PROBLEMS if errors else WELL


def _names(lists: Sequence[dict[str, Any]]) -> "dict[Primitive, list[str]]":
    from ostiary_core.mcp.methods import LISTS  # noqa: PLC0415  likewise

    found: dict[Primitive, list[str]] = {}
    for result in lists:
        for key, method in LISTS.items():
            items = result.get(key)
            for item in items if isinstance(items, list) else ():
                name = item.get(method.item_key) if isinstance(item, dict) else None
                if isinstance(name, str) and method.primitive is not None:
                    found.setdefault(method.primitive, []).append(name)
    return found


def _write(matrices: "Sequence[AccessMatrix]", output: str) -> None:
    from ostiary_operator.local import access_matrix  # noqa: PLC0415  likewise
    from ostiary_operator.view import tables  # noqa: PLC0415  likewise

    if output == "json":
        sys.stdout.write(json.dumps([each.as_object() for each in matrices], indent=2) + "\n")
        return
    for number, each in enumerate(matrices):
        sys.stdout.write("\n" if number else "")
        if output == "markdown":
            sys.stdout.write(access_matrix.markdown(each))
        else:
            sys.stdout.write(f"MCPProxy {each.proxy}\n{tables.render(*access_matrix.table(each))}")
    sys.stdout.write(_LEGEND)


_LEGEND = "\nuse: see and use; if: depends on the message; see: see only; use unseen: use only; -: neither\n"
