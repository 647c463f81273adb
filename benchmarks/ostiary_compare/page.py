"""docs/compare.md and its picture, from the figures of a run."""

from collections.abc import Iterator, Sequence
from typing import Final

from ostiary_compare.chart import Bar, chart
from ostiary_compare.gateway import RULES, Gateway
from ostiary_compare.kinds import KNOWN_LIST, NEW_LIST, SESSION, STATELESS, STREAMED
from ostiary_compare.mcp_server import OTHER_TOOL, TOOLS, allowed_tools
from ostiary_compare.results import NGINX, Comparison
from ostiary_compare.running import CALLERS
from ostiary_compare.tables import OWN, failures, governance, name_of, programs, table, targets
from ostiary_compare.verification import CALLS, LOW_RATE

#: A load average before the run, for each core, beyond which the page says that the machine was busy.
BUSY: Final = 0.25
_PAGE: Final = """# Compared with other gateways

What a call costs in this gateway and in others, measured in one run on one machine. `make compare WRITE_DOCS=1` writes
this page. Run it on your own machine: ratios are comparable between machines, microseconds are not.

Measured {at} on {machine}.
{quiet}

![{alt}](images/compare.svg)

## Calls in a session

A legacy session, as most clients have one: each caller opens its own, and every call carries `Mcp-Session-Id`.

{session}

## Calls that stand alone

The same call of the revision 2026-07-28, without a session.

{stateless}

## Calls whose answer is an event stream

In a session; the server answers with a stream of one event, as many servers do for every call.

{streamed}

## Lists of tools

In a session; the server lists {tools} tools, of which the policies of a governed gateway allow {allowed}. Here all
lists have the same bytes, as those of most servers have for hours:

{known}

And here no list has the bytes of another, so that nothing of them can be remembered as a whole. A gateway that asks the
server less than once a list answers from a memory of its own, which this does not measure:

{new}

## Targets

{targets}

Why targets are missed, and what was tried: [decision 0026](decisions/0026-a-call-is-plain-python.md).

## What each gateway does for a call

{policies}

A gateway is called governed only for what was seen before anything was measured: a caller without a key is refused, a
call of `{other}`, which no rule allows, is refused (and served by the same gateway without rules), with a limit
of {low} calls a second some of {calls} calls at once are refused, and spans of {calls} calls arrive at a collector. A
gateway that fails any of these has no figures. Fewer spans under load than at first are spans that its exporter
dropped. The time to the first answer counts from the start of the process, with Redis or a registration where it needs
one.

{failures}## How it is measured

- Every gateway runs on the same core, as one process or a group of processes. Load, MCP server and OTLP collector share
  another core. A gateway that is not measured at the moment is paused (`SIGSTOP`).
- The MCP server (`benchmarks/ostiary_compare/mcp_server.py`) speaks both eras, lists {tools} tools, and refuses a call
  without the session that it gave.
- CPU is the kernel's account of the gateway's process and its children, from the first measured request to the last
  answer, divided by the requests. A multiple is the median over {rounds} rounds (calls) or {fewer} (others) of the
  quotient with nginx in the same round. A gateway that cannot keep up with half the rate of the open loop is measured
  in one round.
- The closed loop has {callers} callers, each of which asks again as soon as it has its answer. The open loop sends
  {rate} calls a second; a latency counts from when the call was due. "too slow" is a gateway that cannot keep up.
- Every answer is checked: status 200, the id of the request, and the result of the server; of a list, the number of
  tools. A gateway with one wrong answer has no figures, and is named with the answer.
- Governed is a key, {rules} rules of which the last allows the tool, a rate limit that is never used up, and a span of
  every call exported over OTLP, as far as the gateway has these. The configs are files in
  `benchmarks/ostiary_compare/configs/`.
- Others are run with the defaults of their documentation; the table below says how each program was obtained. Figures
  of others are never copied.

## Run it yourself

```
make compare                              # everything that is installed
make compare ONLY=nginx,ostiary,tyk       # some of them
make compare LIST=1                       # what is installed, and how to install the rest
make compare PEERS=/opt/gateways          # programs that are not on PATH: DIRECTORY, DIRECTORY/bin, DIRECTORY/*/bin
```

It downloads nothing. nginx is needed for the ratios. How a program was built is
said in one line of the file `PROGRAM.origin` next to it; packages of Debian and of Python are recognised.

{programs}
"""
_QUIET: Final = "The load average before the run was {load:.1f}."
_WAS_BUSY: Final = (
    "**The machine was busy**: the load average before the run was {load:.1f} with {cores} to use. That makes\n"
    "microseconds and latencies larger, above all the p99, and changes the multiples less."
)
_ONE_CORE: Final = (
    "\n**One core only**: load, server and gateway shared it. CPU and multiples count, "
    "calls a second and latencies do not."
)


def page(found: Comparison, gateways: Sequence[Gateway]) -> str:
    """Return the page of a run."""
    of_kind = {each.name.replace("-list", ""): table(found, each) for each in _KINDS}
    return _PAGE.format(
        **of_kind,
        rounds=_rounds(found, is_main=True),
        fewer=_rounds(found, is_main=False),
        at=found.at[:10],
        machine=found.machine,
        quiet=quietness(found),
        alt=_alternative(found),
        targets=targets(found),
        policies=governance(found.governance),
        failures=failures(found.failures),
        tools=TOOLS,
        allowed=len(allowed_tools()),
        other=OTHER_TOOL,
        low=LOW_RATE,
        calls=CALLS,
        callers=CALLERS,
        rate=found.rate,
        rules=RULES,
        programs=programs(gateways, found.versions, found.origins),
    )


_KINDS: Final = (SESSION, STATELESS, STREAMED, KNOWN_LIST, NEW_LIST)


def _rounds(found: Comparison, *, is_main: bool) -> int:
    names = {each.name for each in _KINDS if each.is_main is is_main}
    return max((len(it.rounds) for it in found.calls if it.way.kind in names), default=0)


def quietness(found: Comparison) -> str:
    """Return whether the machine was quiet enough to believe the figures, and had the cores for them."""
    is_busy = found.load_before > BUSY * found.cores
    cores = "one core" if found.cores == 1 else f"{found.cores} cores"
    said = (_WAS_BUSY if is_busy else _QUIET).format(load=found.load_before, cores=cores)
    return said if found.cores > 1 else said + _ONE_CORE


def _alternative(found: Comparison) -> str:
    parts = [f"{each.name} {each.label}" for each in _bars(found)]
    return f"CPU of a call in a session: {', '.join(parts)}."


def picture(found: Comparison) -> str:
    """Return the picture of calls in sessions as SVG."""
    note = f"Microseconds of one core, logarithmic; {found.at[:10]}, {found.machine}"
    return chart("CPU of a tool call in a session", note, list(_bars(found)))


def _bars(found: Comparison) -> Iterator[Bar]:
    rows = [each for each in found.calls if each.way.kind == SESSION.name]
    for call in sorted(rows, key=lambda it: it.cpu_microseconds):
        kind = {NGINX: "floor", OWN: "own"}.get(call.way.gateway, "other")
        floor = found.floor(call)
        times = f" ({call.cost_against(floor):,.1f}x)" if floor else ""
        yield Bar(name_of(call), call.cpu_microseconds, f"{call.cpu_microseconds:,.0f} µs{times}", kind)
