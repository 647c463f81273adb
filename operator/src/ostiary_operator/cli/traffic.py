"""``ostiary traffic``: shows what passed the gateways, as `/traffic` of the console does."""

import argparse
import functools
import json
import sys
import time
from typing import TYPE_CHECKING

from ostiary_operator.cli import cluster, evidence

if TYPE_CHECKING:
    from ostiary_core.evidence.proxy_traffic import ProxyTraffic
    from ostiary_operator.view.evidence.gathered import Gathered
    from ostiary_operator.view.traffic_numbers import TrafficReport

#: What gateways keep; longer ranges are Prometheus', which the console asks.
_RANGES = ("15m", "1h", "6h", "24h")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "--range", choices=_RANGES, default=_RANGES[0], help="how far back; gateways keep a day (default: 15m)"
    )
    evidence.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the traffic; return 0, 1 if a replica did not answer, 2 if none did."""
    return evidence.run(_show, arguments, command="traffic")


async def _show(arguments: argparse.Namespace) -> int:
    from ostiary_operator.view.evidence.proxy_scope import TrafficQuery  # noqa: PLC0415  --help must work without these packages
    from ostiary_operator.view.traffic_numbers import TrafficRange  # noqa: PLC0415  likewise

    async with evidence.asking(arguments, command="traffic") as asked:
        wanted = TrafficQuery(asked.scope, TrafficRange(arguments.range).seconds, is_sum=True)
        read = functools.partial(asked.reader.traffic, wanted)
        write = functools.partial(_write, arguments, asked.where)
        return await evidence.show(asked, read, write, watch=arguments.watch)


def _write(arguments: argparse.Namespace, where: str, seen: "Gathered[dict[str, ProxyTraffic]]") -> None:
    report = _report(arguments.range, seen)
    if arguments.output == "json":
        from ostiary_operator.console.twins import as_json  # noqa: PLC0415  likewise

        document = evidence.as_object(seen, range=arguments.range, report=as_json(report))
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    elif report is None or not report.numbers.calls:
        sys.stdout.write(f"no traffic{where} in the last {arguments.range}\n")
    else:
        from ostiary_operator.view import traffic_text  # noqa: PLC0415  likewise

        sys.stdout.write(traffic_text.render(report, paint=cluster.painter()))


def _report(span: str, seen: "Gathered[dict[str, ProxyTraffic]]") -> "TrafficReport | None":
    from ostiary_operator.view.traffic_numbers import TrafficRange  # noqa: PLC0415  likewise
    from ostiary_operator.view.traffic_report import traffic_report  # noqa: PLC0415  likewise

    traffic = seen.value.get("")
    return None if traffic is None else traffic_report(traffic, span=TrafficRange(span), now=int(time.time() * 1000))
