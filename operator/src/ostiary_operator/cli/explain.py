"""``ostiary explain``: says which rule decides a call, and why each other rule does not."""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostiary_operator.cli import cluster
from ostiary_operator.cli.common_arguments import namespace

if TYPE_CHECKING:
    from ostiary_operator.local.described_caller import CallerDescription
    from ostiary_operator.local.explanation import ExplainedCall
    from ostiary_operator.local.governed_proxy import GovernedProxy

ALLOWED, DENIED, UNUSABLE = 0, 1, 2
"""The exit codes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="a file, a folder (all *.yaml and *.yml below it), or - for stdin; without any, the cluster is read",
    )
    parser.add_argument(
        "--proxy", metavar="NAME", help="the MCPProxy, as NAME or NAMESPACE/NAME (default: the only one)"
    )
    _add_call(parser)
    add_caller(parser)
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="lines for people, or a JSON object"
    )
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NAME",
        type=namespace,
        help="namespace of objects that name none (default: default)",
    )
    cluster.add_connection(parser)


def _add_call(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the call")
    one = group.add_mutually_exclusive_group(required=True)
    one.add_argument("--tool", metavar="NAME", help="a tool")
    one.add_argument("--resource", metavar="URI", help="a resource")
    one.add_argument("--prompt", metavar="NAME", help="a prompt")
    group.add_argument("--verb", metavar="VERB", help="List, Call, Read, Subscribe or Get (default: Call, Read or Get)")
    group.add_argument("--args", metavar="JSON", type=_object, help="arguments of the call, as a JSON object")
    group.add_argument(
        "--header",
        dest="headers",
        metavar="'NAME: VALUE'",
        action="append",
        type=_header,
        help="a header of the request, which conditions may read; may be repeated",
    )
    group.add_argument(
        "--request-host", metavar="HOST", help="its header Host (default: the MCPProxy's first hostname)"
    )
    group.add_argument("--request-path", metavar="PATH", help="its path (default: that of the MCPProxy)")


def add_caller(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that describe a caller."""
    group = parser.add_argument_group("the caller", "Without any of these it is the anonymous caller.")
    group.add_argument("--as", dest="claims", metavar="FILE", type=_object_of_file, help="claims of its token, as JSON")
    group.add_argument("--consumer", metavar="NAME", help="name of the consumer; its API keys give it groups")
    group.add_argument("--groups", metavar="A,B", type=_names, help="its groups")
    group.add_argument("--scopes", metavar="A,B", type=_names, help="its OAuth scopes")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for each in text.split(",") if (name := each.strip()))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not a header, such as 'x-environment: production'")
    return name.strip().lower(), value.strip()


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"it is not JSON: {error}") from None
    except RecursionError:
        raise argparse.ArgumentTypeError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("it must be a JSON object, such as {}")
    return value


def _object_of_file(path: str) -> dict[str, Any]:
    try:
        return _object(sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{path} cannot be read: {error}") from None


def run(arguments: argparse.Namespace) -> int:
    """Explain a call; return 0 if it is allowed, 1 if it is denied, 2 if that cannot be known."""
    from ostiary_core.errors import OstiaryError  # noqa: PLC0415  help needs none of it
    from ostiary_operator.local import (  # noqa: PLC0415  likewise
        decision_changes,
        described_caller,
        explanation,
        explanation_lines,
    )

    try:
        call = _call(arguments)
        proxy = _from_files(arguments) if arguments.paths else asyncio.run(_from_cluster(arguments))
        found = explanation.explain(proxy, described_caller.find_caller(proxy, caller_of(arguments)), call)
    except OstiaryError as error:
        sys.stderr.write(f"ostiary explain: {error}\n")
        return UNUSABLE
    if arguments.output == "json":
        sys.stdout.write(json.dumps(decision_changes.as_object(found), indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in explanation_lines.lines(found))
    return ALLOWED if found.allowed else DENIED


def _call(arguments: argparse.Namespace) -> "ExplainedCall":
    from ostiary_core.errors import OstiaryError  # noqa: PLC0415  likewise
    from ostiary_core.mcp.methods import USE, VERBS, Primitive  # noqa: PLC0415  likewise
    from ostiary_operator.compile.policy_test_runner import DescribedMessage  # noqa: PLC0415  likewise
    from ostiary_operator.local.explanation import ExplainedCall  # noqa: PLC0415  likewise

    named = {
        Primitive.TOOLS: arguments.tool,
        Primitive.RESOURCES: arguments.resource,
        Primitive.PROMPTS: arguments.prompt,
    }
    primitive, name = next((kind, name) for kind, name in named.items() if name is not None)
    verb = next((each for each in VERBS[primitive] if each == (arguments.verb or USE[primitive]).capitalize()), None)
    if verb is None:
        known = ", ".join(VERBS[primitive])
        raise OstiaryError(f"--verb {arguments.verb}: a {primitive.removesuffix('s')} has no such verb; use {known}")
    headers = dict(arguments.headers or ())
    described = DescribedMessage(arguments.args or {}, headers, arguments.request_host, arguments.request_path)
    return ExplainedCall(primitive, verb, name, described)


def caller_of(arguments: argparse.Namespace) -> "CallerDescription":
    """Return the caller that the arguments describe."""
    from ostiary_operator.local.described_caller import CallerDescription  # noqa: PLC0415  likewise

    return CallerDescription(arguments.claims, arguments.consumer, arguments.groups, arguments.scopes)


def _from_files(arguments: argparse.Namespace) -> "GovernedProxy":
    from ostiary_operator.local import governed_proxy  # noqa: PLC0415  likewise

    default = arguments.namespace or "default"
    configs, errors = governed_proxy.compiled_files(
        arguments.paths, namespace=default, operator_namespace=arguments.operator_namespace
    )
    sys.stderr.writelines(f"{error}\n" for error in errors)
    return governed_proxy.find_proxy(configs, arguments.proxy, namespace=default)


async def _from_cluster(arguments: argparse.Namespace) -> "GovernedProxy":
    from ostiary_core.errors import OstiaryError  # noqa: PLC0415  likewise
    from ostiary_operator.kube import kubeconfig  # noqa: PLC0415  likewise
    from ostiary_operator.view import governed_proxies  # noqa: PLC0415  likewise

    if arguments.proxy is None:
        raise OstiaryError("--proxy is required to explain a decision of a cluster; without one, name files")
    found, _, name = arguments.proxy.rpartition("/")
    async with kubeconfig.opened(cluster.credentials(arguments)) as client:
        return await governed_proxies.read(client, namespace=found or cluster.chosen_namespace(arguments), name=name)
