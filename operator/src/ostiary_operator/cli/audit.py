"""``ostiary audit``: verifies and queries audit trails, and prints public keys."""

import argparse
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ostiary_core.audit.trail_check import Expectations
    from ostiary_operator.local.audit_query import AuditFilter, AuditRecord

GOOD, BAD, UNUSABLE = 0, 1, 2
"""The exit codes."""

#: The columns of a table, each with the members that may fill it.
_COLUMNS: Final = (
    ("TIME", ("stageTimestamp",)),
    ("CALLER", ("user.consumer", "user.username")),
    ("PROXY", ("objectRef.proxy",)),
    ("METHOD", ("mcp.method", "mcp.httpMethod", "kind")),
    ("NAME", ("mcp.tool", "mcp.resource", "mcp.prompt", "mcp.task", "mcp.name", "mcp.path")),
    ("DECISION", ("authz.decision",)),
    ("REASON", ("authz.reason",)),
    ("OUTCOME", ("response.outcome", "stage")),
    ("MS", ("durationMs",)),
)
_TABLE_ROWS: Final = 1000
_CELL: Final = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_verify(_action(actions, parser, "verify", "show that a trail is as the gateway wrote it, or where it is not"))
    _add_query(_action(actions, parser, "query", "find records, and print a table or JSON"))
    _add_keys(_action(actions, parser, "keys", "print the public keys in a gateway's folder of keys, for auditors"))


def run(arguments: argparse.Namespace) -> int:
    """Run the action; return the exit code.

    It is 1 if a trail is not good or nothing matches, 2 if that cannot be known.
    """
    from ostiary_core.errors import OstiaryError  # noqa: PLC0415  --help needs none of it

    actions: dict[str, Callable[[argparse.Namespace], int]] = {"verify": _verify, "query": _query, "keys": _keys}
    try:
        return actions[arguments.action](arguments)
    except OstiaryError as error:
        sys.stderr.write(f"ostiary audit {arguments.action}: {error}\n")
        return UNUSABLE


def _action(actions: Any, parser: argparse.ArgumentParser, name: str, summary: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=parser.description,
        epilog=parser.epilog,
        formatter_class=parser.formatter_class,
    )
    return added


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="files of a trail, rotated ones too, plain or gzip; or - for stdin"
    )


def _add_verify(parser: argparse.ArgumentParser) -> None:
    _add_files(parser)
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument(
        "--public-key",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="the gateway's public keys (PEM or base64url), from another source than the trail; repeat for several",
    )
    trust.add_argument(
        "--keys-from-genesis", action="store_true", help="trust the keys that the trail itself names, without a warning"
    )
    parser.add_argument(
        "--checkpoint",
        metavar="[CHAIN@]SEQ:HASH",
        action="append",
        default=[],
        help="a checkpoint that was published outside of the trail; repeat for several",
    )
    parser.add_argument(
        "--checkpoints",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="published checkpoints: a log, or JSON objects with chain, seq and hash, one a line",
    )
    parser.add_argument("--open", action="store_true", help="accept a trail without its end: it is still being written")
    parser.add_argument("--from-middle", action="store_true", help="accept that the oldest files were deleted")
    parser.add_argument(
        "--mixed", action="store_true", help="skip lines that are no audit records, as in a container's log"
    )
    parser.add_argument("--strict", action="store_true", help="fail for warnings, too")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="lines for people, or JSON")


def _add_query(parser: argparse.ArgumentParser) -> None:
    _add_files(parser)
    for name, what in (
        ("proxy", "the MCPProxy, as NAMESPACE/NAME"),
        ("server", "the server that was called"),
        ("consumer", "the caller, as NAMESPACE/NAME of a consumer"),
        ("user", "the caller, as the subject of its credential"),
        ("method", "the method, such as tools/call"),
        ("tool", "the tool"),
        ("resource", "the resource, as its URI"),
        ("prompt", "the prompt"),
        ("decision", "allow, deny or error"),
        ("policy", "the MCPPolicy that decided, as NAMESPACE/NAME"),
        ("outcome", "how the request ended"),
        ("stage", "RequestReceived or ResponseComplete"),
        ("trace", "the trace id"),
        ("audit-id", "the id of the request"),
    ):
        parser.add_argument(f"--{name}", metavar="VALUE", help=what)
    parser.add_argument("--kind", metavar="KIND", default="Event", help="the kind of record, or All (default: Event)")
    parser.add_argument("--since", metavar="TIME", help="not before this time, or a time ago such as 2h")
    parser.add_argument("--until", metavar="TIME", help="before this time, or a time ago")
    parser.add_argument(
        "--limit",
        metavar="N",
        type=_count,
        help=f"the last N records (default: {_TABLE_ROWS} in a table, all as JSON)",
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "json", "jsonl"),
        default="table",
        help="a table, a JSON array, or the lines as they were written",
    )


def _add_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="the folder with the gateway's keys, such as DIR/keys of its config"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000000")
    return int(text)


def _verify(arguments: argparse.Namespace) -> int:
    from ostiary_operator.local import audit_verification  # noqa: PLC0415  see run

    expected = _expectations(arguments)
    paths, verdict = audit_verification.verify(arguments.files, expected, mixed=arguments.mixed)
    trusts_itself = not expected.keys
    if arguments.output == "json":
        sys.stdout.write(audit_verification.as_json(paths, verdict, trusts_itself=trusts_itself) + "\n")
    else:
        warns = trusts_itself and not arguments.keys_from_genesis
        sys.stdout.writelines(f"{line}\n" for line in audit_verification.render(paths, verdict, trusts_itself=warns))
    return GOOD if verdict.is_good and not (arguments.strict and verdict.warnings) else BAD


def _expectations(arguments: argparse.Namespace) -> "Expectations":
    from ostiary_core.audit.trail_check import Expectations  # noqa: PLC0415  see run
    from ostiary_operator.local import audit_verification  # noqa: PLC0415  likewise

    keys = (key for path in arguments.public_key for key in audit_verification.keys_in(path))
    published = [audit_verification.parse_checkpoint(text) for text in arguments.checkpoint]
    for path in arguments.checkpoints:
        published += audit_verification.published_in(path)
    return Expectations(
        keys=frozenset(keys),
        published=tuple(published),
        is_open=arguments.open,
        from_middle=arguments.from_middle,
    )


def _query(arguments: argparse.Namespace) -> int:
    from ostiary_operator.local import audit_query  # noqa: PLC0415  see run

    found = audit_query.records(arguments.files, _filter(arguments))
    limit = arguments.limit or (_TABLE_ROWS if arguments.output == "table" else None)
    total = 0

    def counted() -> Iterator["AuditRecord"]:
        nonlocal total
        for record in found:
            total += 1
            yield record

    kept = counted() if limit is None else iter(deque(counted(), maxlen=limit))
    shown = _write_table(kept) if arguments.output == "table" else _write_json(kept, array=arguments.output == "json")
    if total > shown:
        sys.stderr.write(f"the last {shown} of {total} records that match; --limit shows more\n")
    return GOOD if total else BAD


def _filter(arguments: argparse.Namespace) -> "AuditFilter":
    from ostiary_core.audit.record_layout import KINDS  # noqa: PLC0415  see run
    from ostiary_core.errors import AuditTrailError  # noqa: PLC0415  likewise
    from ostiary_operator.local import audit_query  # noqa: PLC0415  likewise

    if arguments.kind not in (*KINDS, "All"):
        raise AuditTrailError(f"--kind {arguments.kind}: it is one of {', '.join(KINDS)}, or All")
    exact = {name: getattr(arguments, name) for name in audit_query.MEMBERS}
    return audit_query.AuditFilter(
        exact={name: value for name, value in exact.items() if value is not None},
        kind=None if arguments.kind == "All" else arguments.kind,
        since=audit_query.parse_moment(arguments.since) if arguments.since else "",
        until=audit_query.parse_moment(arguments.until) if arguments.until else "",
    )


def _write_table(records: "Iterator[AuditRecord]") -> int:
    from ostiary_operator.view.tables import render  # noqa: PLC0415  see run

    rows = [[_cell(record, paths) for _, paths in _COLUMNS] for record in records]
    if rows:
        sys.stdout.write(render([name for name, _ in _COLUMNS], rows))
    else:
        sys.stderr.write("no record matches\n")
    return len(rows)


def _cell(record: "AuditRecord", paths: tuple[str, ...]) -> str:
    from ostiary_operator.local.audit_query import member  # noqa: PLC0415  see run
    from ostiary_operator.local.console import printable  # noqa: PLC0415  likewise

    values = (member(record.members, path) for path in paths)
    return printable(next((str(value) for value in values if value not in (None, "")), ""), limit=_CELL)


def _write_json(records: "Iterator[AuditRecord]", *, array: bool) -> int:
    count, write = 0, sys.stdout.write
    for record in records:
        if array:
            write(",\n" if count else "[\n")
        count += 1
        write(record.line.decode("utf-8", "replace") + ("" if array else "\n"))
    if array:
        write("\n]\n" if count else "[]\n")
    return count


def _keys(arguments: argparse.Namespace) -> int:
    from ostiary_operator.local.audit_verification import pems_in  # noqa: PLC0415  see run

    sys.stdout.write("".join(pems_in(arguments.folder)))
    return GOOD
