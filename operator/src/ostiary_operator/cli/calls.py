"""``ostiary calls``: shows the latest calls, and with `--watch` each as it comes."""

import argparse
import json
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from ostiary_operator.cli import admin_access, cluster, evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ostiary_operator.view.evidence.gathered import Gathered
    from ostiary_operator.view.evidence.reader import ObservedCall, ObservedCalls

_USUAL: Final = 50
_MOST: Final = 500
_OUTCOMES: Final = ("ok", "tool error", "denied", "hidden", "blocked", "limited", "guarded", "refused", "failed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "--limit", metavar="N", type=_limit, default=_USUAL, help=f"how many of the latest (default: {_USUAL})"
    )
    parser.add_argument(
        "--outcome", choices=_OUTCOMES, action="append", default=[], help="only calls that ended so; repeatable"
    )
    evidence.add_arguments(parser)


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"use a number from 1 to {_MOST}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Show the calls; return 0, 1 if a replica did not answer, 2 if none did."""
    return admin_access.answer(lambda: _show(arguments), command="calls")


async def _show(arguments: argparse.Namespace) -> int:
    """Write the latest calls, oldest first, as they would have come with `--watch`."""
    from ostiary_core.evidence.recorded_call import MOST_CALLS  # noqa: PLC0415  --help must work without these packages

    async with evidence.asking(arguments, command="calls") as asked:
        # Those of an outcome may lie far back: they are looked for in all that is kept.
        found = await asked.reader.calls(asked.scope, limit=MOST_CALLS if arguments.outcome else arguments.limit)
        code = evidence.show_once(asked, found, lambda seen: _write_all(arguments, seen, asked))
        if arguments.watch and code != cluster.UNANSWERED:
            await _follow(arguments, asked, found.value.last)
        return code


def _write_all(arguments: argparse.Namespace, seen: "Gathered[ObservedCalls]", asked: evidence.Asking) -> None:
    shown = [each for each in seen.value.calls if _is_wanted(arguments, each)][: arguments.limit]
    for each in reversed(shown):
        _write(arguments, each, several=len(asked.ports) > 1)
    if not shown:
        kind = f" that ended {' or '.join(arguments.outcome)}" if arguments.outcome else ""
        waiting = "; waiting for new ones" if arguments.watch else ""
        cluster.note("calls", f"no calls{asked.where}{kind} are kept{waiting}")


async def _follow(arguments: argparse.Namespace, asked: evidence.Asking, known: "Mapping[str, int]") -> None:
    from ostiary_operator.view.evidence.call_stream import CallGap, ReplicaBack  # noqa: PLC0415  likewise
    from ostiary_operator.view.evidence.gathered import ReplicaProblem  # noqa: PLC0415  likewise

    async with aclosing(asked.follow(known)) as events:
        async for event in events:
            if isinstance(event, ReplicaProblem):
                cluster.note("calls", f"{event.text}; trying again")
            elif isinstance(event, ReplicaBack):
                cluster.note("calls", f"replica {event.replica} answers again")
            elif isinstance(event, CallGap):
                cluster.note("calls", f"replica {event.replica}: {event.missed:,} calls are missing here")
            elif _is_wanted(arguments, event):
                _write(arguments, event, several=len(asked.ports) > 1)


def _is_wanted(arguments: argparse.Namespace, observed: "ObservedCall") -> bool:
    return not arguments.outcome or observed.call.outcome in arguments.outcome


def _write(arguments: argparse.Namespace, observed: "ObservedCall", *, several: bool) -> None:
    from ostiary_operator.view.call_lines import call_line  # noqa: PLC0415  likewise

    if arguments.output == "json":
        sys.stdout.write(json.dumps(as_object(observed), ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(call_line(observed, several=several, paint=cluster.painter()) + "\n")
    sys.stdout.flush()


def as_object(observed: "ObservedCall") -> dict[str, Any]:
    """Return a call for programs, with its outcome and the replica that it came through."""
    place = {"gateway": observed.gateway, "replica": observed.replica, "outcome": observed.call.outcome}
    return place | observed.call.model_dump(by_alias=True, exclude_defaults=True)
