"""What a call costs with each HTTP server of the data port, ungoverned and fully governed.

All are measured in turns of a second on one core, with nginx's hop. A multiple is the median over the rounds of the
quotient with the same call by llhttp in the same round.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from ostiary_bench import servers
from ostiary_bench.access_resources import SigningIssuer
from ostiary_bench.calls import CALL, collector, ending
from ostiary_bench.compared_ways import ComparedFigures, ComparedWay, Target, compared_row, line, measured_costs
from ostiary_bench.gateways_under_test import compile_into, start_gateway
from ostiary_bench.governed_resources import PLAIN, WHOLE, resources, settings, tracing
from ostiary_bench.load import Load, require_result
from ostiary_bench.servers import Upstream
from ostiary_gateway.server.http_servers import AIOHTTP, LLHTTP

TITLE: Final = "## The HTTP server of the data port"
#: The most that a fully governed call may cost with aiohttp, as a multiple of that with llhttp, to make it the default.
AT_MOST: Final = 1.15
_CALLS: Final = (
    ("no policy, spans off", PLAIN, "0 %"),
    ("fully governed, spans of 1 %", WHOLE, "1 %"),
    ("fully governed, spans of 100 %", WHOLE, "100 %"),
)
_SECTION: Final = """{title}

The same calls with each implementation of the data port ([how they differ](reference/http-servers.md)): without a
policy, and fully governed as above. All are measured in turns of a second, in one run on one core. A multiple is the
median over {rounds} rounds, relative to the call that it names in the same round; aiohttp would be the default if a
fully governed call took at most {at_most} times as much with it. `make bench ONLY=http-servers` runs it.

Measured {at} on {machine}.

| a call | CPU | compared with | x | target | |
|---|---:|---|---:|---:|---|
{rows}
"""


def measure(*, rounds: int, seconds: float = 1.0) -> ComparedFigures:
    """Measure everything in one run."""
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        directory = Path(text)
        upstream = Upstream(directory)
        stack.enter_context(ending(upstream.process))
        targets = list(stack.enter_context(_targets(directory, upstream)))
        for each in targets:
            require_result(each.url, each.way.load)
        costs = measured_costs(directory, targets, rounds=rounds, seconds=seconds)
    return ComparedFigures(rounds, [compared_row(targets, costs, index) for index in range(len(targets))])


@contextmanager
def _targets(directory: Path, upstream: Upstream) -> Iterator[list[Target]]:
    """Start nginx, and for each share of traced calls one gateway with each server."""
    issuer, config = SigningIssuer(), directory / "config"
    compile_into(config, list(resources(upstream, issuer)), settings(directory / "audit.jsonl"))
    with ExitStack() as stack:
        floor, port = servers.nginx_proxy(directory, upstream)
        stack.enter_context(ending(floor))
        found = [Target(ComparedWay("nginx", "", Load(CALL)), floor, f"http://127.0.0.1:{port}/call-json")]
        endpoint = stack.enter_context(collector(directory))
        for name, path, share in _CALLS:
            load = Load(CALL, headers={} if path == PLAIN else {"Authorization": f"Bearer {issuer.token()}"})
            for server in (LLHTTP, AIOHTTP):
                env = {**tracing(endpoint, share), "HTTP_SERVER": server}
                gateway, port = start_gateway(directory, f"{server}-{share.split()[0]}", config, env=env)
                stack.enter_context(ending(gateway))
                found.append(Target(_way(name, path, load, server), gateway, f"http://127.0.0.1:{port}/{path}/mcp"))
        yield found


def _way(name: str, path: str, load: Load, server: str) -> ComparedWay:
    if server == LLHTTP:
        return ComparedWay(f"{LLHTTP}, {name}", path, load, "nginx")
    target = AT_MOST if path == WHOLE else None
    return ComparedWay(f"{server}, {name}", path, load, f"{LLHTTP}, {name}", target)


def section(found: ComparedFigures, *, at: str, machine: str) -> str:
    """Return the section of the page."""
    rows = "\n".join(map(line, found.rows))
    return _SECTION.format(title=TITLE, at=at, machine=machine, rounds=found.rounds, at_most=AT_MOST, rows=rows)
