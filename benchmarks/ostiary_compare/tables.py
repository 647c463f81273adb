"""The tables of a comparison, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Final

from ostiary_compare.gateway import GOVERNED, UNGOVERNED, Gateway
from ostiary_compare.kinds import KNOWN_LIST, NEW_LIST, SESSION, RequestKind
from ostiary_compare.peers.ostiary import SPARSELY_TRACED
from ostiary_compare.results import NGINX, ComparedCall, Comparison, Failure, Governance
from ostiary_compare.running import CALLERS

OWN: Final = "Ostiary"
STRONGEST: Final = "agentgateway"
_HEAD: Final = (
    "| gateway | CPU a call | x nginx | calls/s, one core | p50 / p99, {callers} callers | p50 / p99 at {rate}/s | "
    "memory | requests to the server |\n|---|---:|---:|---:|---:|---:|---:|---:|\n"
)
_SHORT_HEAD: Final = (
    "| gateway | CPU a request | x nginx | requests/s, one core | p50 / p99, {callers} callers |{tools} "
    "requests to the server |\n|---|---:|---:|---:|---:|{line}---:|\n"
)
_GOVERNANCE: Final = (
    "| gateway | mode | policies | no key | tool without a rule | beyond the limit | spans at first | "
    "spans a request under load | first answer after |\n|---|---|---|---|---|---|---|---:|---:|"
)


def table(found: Comparison, kind: RequestKind) -> str:
    """Return the table of one kind of request; the cheapest is the first."""
    rows = [each for each in found.calls if each.way.kind == kind.name]
    if not rows:
        return "Not measured in this run."
    if kind.is_main:
        head = _HEAD.format(callers=CALLERS, rate=found.rate)
    else:
        tools, line = ("", "") if kind.tool else (" tools listed |", "---:|")
        head = _SHORT_HEAD.format(callers=CALLERS, tools=tools, line=line)
    return head + "\n".join(_row(each, found, kind) for each in sorted(rows, key=lambda it: it.cpu_microseconds))


def _row(call: ComparedCall, found: Comparison, kind: RequestKind) -> str:
    floor = found.floor(call)
    cells = [
        name_of(call),
        f"{call.cpu_microseconds:,.1f} µs",
        f"{call.cost_against(floor):,.1f}" if floor else "",
        f"{call.calls_per_second:,.0f}",
        f"{call.p50:,.2f} / {call.p99:,.2f} ms",
    ]
    if kind.is_main:
        cells += [_latency(call), f"{call.resident_mebibytes:,.0f} MiB"]
    elif kind.tool is None:
        cells.append(str(call.listed))
    return f"| {' | '.join([*cells, f'{call.upstream_requests:.1f}'])} |"


def name_of(call: ComparedCall) -> str:
    """Return the gateway and its mode; nginx has one mode only."""
    return call.way.gateway if call.way.gateway == NGINX else f"{call.way.gateway}, {call.way.mode}"


def _latency(call: ComparedCall) -> str:
    if call.latency is None:
        return ""
    return f"{call.latency.p50:,.2f} / {call.latency.p99:,.2f} ms" if call.latency.kept_up else "too slow"


def targets(found: Comparison) -> str:
    """Return the table of our targets: a multiple above its target is bold."""
    lines = ["| request in a session | compared with | multiple | target |", "|---|---|---:|---:|"]
    for name, mode, other, kind, of_p99, most in _TARGETS:
        own = found.find(OWN, mode, kind.name)
        against = found.find(other, UNGOVERNED if other == NGINX else GOVERNED, kind.name)
        if own is None or against is None:
            lines.append(f"| {name} | {other} | not measured | {most} |")
            continue
        multiple = own.p99_against(against) if of_p99 else own.cost_against(against)
        text = f"{multiple:.2f}"
        lines.append(f"| {name} | {other} | {f'**{text}**' if multiple > most else text} | {most} |")
    return "\n".join(lines)


_TARGETS: Final = (
    ("call, ungoverned, spans off", UNGOVERNED, NGINX, SESSION, False, 2.4),
    ("call, fully governed, spans of 1 %", SPARSELY_TRACED, NGINX, SESSION, False, 3.0),
    ("call, fully governed, both spans of every call", GOVERNED, NGINX, SESSION, False, 3.5),
    ("call, fully governed, both spans of every call", GOVERNED, STRONGEST, SESSION, False, 0.55),
    (f"p99 at {CALLERS} callers, governed, every call traced", GOVERNED, NGINX, SESSION, True, 3.0),
    (f"p99 at {CALLERS} callers, governed, every call traced", GOVERNED, STRONGEST, SESSION, True, 1.5),
    ("filtered list of 200 tools, known bytes", SPARSELY_TRACED, NGINX, KNOWN_LIST, False, 0.6),
    ("filtered list of 200 tools, new bytes", SPARSELY_TRACED, NGINX, NEW_LIST, False, 2.5),
)


def governance(rows: Sequence[Governance]) -> str:
    """Return the table of what each mode does for a call, and what of it was seen."""
    lines = [_GOVERNANCE]
    for each in rows:
        seen = each.seen
        checks = [words or "-" for words in (seen.key, seen.rules, seen.limit, seen.spans)]
        spans = "-" if each.spans is None else f"{each.spans:.1f}"
        cells = [each.gateway, each.mode, each.policies, *checks, spans, f"{seen.first_answer:.1f} s"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def failures(rows: Sequence[Failure]) -> str:
    """Return the section of what was not measured, and why; nothing if all was."""
    if not rows:
        return ""
    lines = ["## Not measured", "", "| gateway | mode | request | why |", "|---|---|---|---|"]
    return "\n".join([*lines, *map(_failure, rows), "", ""])


def _failure(it: Failure) -> str:
    reason = _cell(it.reason)[:200]
    return f"| {it.gateway} | {it.mode or 'all'} | {it.kind or 'all'} | {reason} |"


def programs(gateways: Sequence[Gateway], versions: Mapping[str, str], origins: Mapping[str, str]) -> str:
    """Return the table of programs: which were measured, how they were obtained, and how to install them."""
    lines = [
        "| gateway | program | measured version | how it was obtained | how to install it |",
        "|---|---|---|---|---|",
    ]
    for each in gateways:
        version, origin = _cell(versions.get(each.name, "absent")), _cell(origins.get(each.name, ""))
        lines.append(f"| {each.name} | `{each.program}` | {version} | {origin} | {each.install} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
