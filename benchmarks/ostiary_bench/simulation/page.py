"""Writes docs/scaling.md and its pictures from the figures of a simulation."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ostiary_bench.simulation import curves

_TEMPLATE: Final = Path(__file__).with_name("scaling.md")
#: Calls a second of one session, in the fleet of the page: one in a minute.
CALLS_A_SECOND: Final = 1 / 60
SESSIONS: Final = 1_000_000


def write(found: Mapping[str, Any], docs: Path) -> None:
    """Write the page and its pictures."""
    images = docs / "images"
    images.mkdir(exist_ok=True)
    for name, picture in _pictures(found).items():
        (images / f"scaling-{name}.svg").write_text(picture)
    (docs / "scaling.md").write_text(text(found))


def write_part(name: str, rows: Sequence[Mapping[str, Any]], docs: Path) -> None:
    """Write the table and the picture of one of :data:`PARTS` into the page as it is.

    What it says of other parts stays: all of them take most of an hour.
    """
    template, page = _TEMPLATE.read_text(), docs / "scaling.md"
    before, _, after = template.partition(f"{{{name}}}")
    heading, picture = before.rstrip().rsplit("\n", 1)[-1], after.lstrip().split("\n", 1)[0]
    above, _, rest = page.read_text().partition(f"\n{heading}\n")
    _, _, below = rest.partition(f"\n{picture}\n")
    page.write_text(f"{above}\n{heading}\n\n{_part_table(name, rows)}\n\n{picture}\n{below}")
    (docs / "images" / f"scaling-{name}.svg").write_text(_part_picture(name, rows))


def text(found: Mapping[str, Any]) -> str:
    """Return the page."""
    values = {
        "at": str(found["at"])[:10],
        "machine": found["machine"],
        "configs": config_table(found["configs"]),
        "gateways": _table(_GATEWAY, found["gateways"]),
        **{name: _part_table(name, found[name]) for name in PARTS},
        "stored": _table(_STORED, found["sessions"]) if found["sessions"] else "Redis was not installed.",
        "watches": _table(_WATCHED, found["watches"]),
        **_edit(found["watches"]),
        "minutes": f"{sum(found['seconds'].values()) / 60:.0f}",
        "leases": _leases(found["leases"]),
        **_store(found),
        **_fleet(found["configs"]),
    }
    return _TEMPLATE.read_text().format(**values)


def config_table(configs: Sequence[Mapping[str, Any]]) -> str:
    """Return what the configs of fleets cost, a column each."""
    return _table(_CONFIG, configs)


def _edit(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what an edit takes of the API server for one replica, and for each further one."""
    few, many = rows[0], rows[-1]
    further = (many["milliseconds"] - few["milliseconds"]) / max(many["replicas"] - few["replicas"], 1)
    return {"edit_alone": f"{few['milliseconds']:.0f}", "edit_replica": f"{max(further, 0.0):.1f}"}


def _part_table(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    return _table(_STREAMS, rows) if name == "streams" else _by_number(_OF_PROCESSES[name], rows)


def _by_number(of: str, rows: Sequence[Mapping[str, Any]]) -> str:
    return _table([(of, lambda it: f"{it['number']:,}"), ("memory", lambda it: f"{it['memory']:,.0f} MiB")], rows)


def _store(found: Mapping[str, Any]) -> dict[str, str]:
    cost, calls = found["store_microseconds"], SESSIONS * CALLS_A_SECOND
    most = 1e6 / cost
    return {
        "store": f"{cost:.0f}",
        "most": _rounded(most),
        "sessions": f"{SESSIONS:,}",
        "calls": _rounded(calls),
        "busy": f"{calls / most:.1f}",
    }


def _fleet(configs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the figures of the largest fleet, which is divided, and of as many MCPProxies at one gateway."""
    divided = max((each for each in configs if each["gateways"] > 1), key=lambda each: each["proxies"])
    whole = next(each for each in configs if each["gateways"] == 1 and each["proxies"] == divided["proxies"])
    return {
        "fleet_gateways": f"{divided['gateways']:,}",
        "fleet_proxies": f"{divided['proxies']:,}",
        "divided_edit": _kibibytes(divided["edited"]),
        "whole_edit": _kibibytes(whole["edited"]),
        "everywhere_edit": _mebibytes(whole["edited"] * divided["gateways"]),
        "everywhere_total": _mebibytes(whole["largest"] * divided["gateways"]),
        "divided_total": _mebibytes(divided["total"]),
        "objects": f"{divided['objects']:.0f}",
    }


def _leases(rows: Sequence[Mapping[str, Any]]) -> str:
    replicas = sorted({row["replicas"] for row in rows})
    lines = [f"| calls a second of one key | {' | '.join(f'{each:,} replicas' for each in replicas)} |"]
    lines.append(f"|---:|{'---:|' * len(replicas)}")
    for rate in sorted({row["rate"] for row in rows}):
        cells = [f"{row['messages_a_call']:.3f}" for row in rows if row["rate"] == rate]
        lines.append(f"| {rate:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _pictures(found: Mapping[str, Any]) -> dict[str, str]:
    whole = [each for each in found["configs"] if each["gateways"] == 1]
    return {
        "operator": curves.drawn(
            "Memory of the compiling process, two policies of 20 rules for each MCPProxy",
            {"operator": [(each["proxies"], each["memory"]) for each in whole]},
            x="MCPProxies",
            y="MiB",
        ),
        "pass": curves.drawn(
            "Processor time of a pass of the operator",
            {
                "nothing known": [(each["proxies"], each["first"]) for each in whole],
                "after an edit": [(each["proxies"], each["again"]) for each in whole],
            },
            x="MCPProxies",
            y="s",
        ),
        "gateway": curves.drawn(
            "Memory of one gateway process",
            {"gateway": [(each["proxies"], each["memory"]) for each in found["gateways"]]},
            x="MCPProxies",
            y="MiB",
        ),
        **{name: _part_picture(name, found[name]) for name in PARTS},
        "sessions": curves.drawn(
            "Data of a store with one counter for each session",
            {"Redis": [(each["sessions"], each["mebibytes"]) for each in found["sessions"]] or [(1, 0)]},
            x="sessions",
            y="MiB",
        ),
        "watches": curves.drawn(
            "Processor of an API server for one edit of a config",
            {"API server": [(each["replicas"], each["milliseconds"]) for each in found["watches"]]},
            x="replicas that watch it",
            y="ms",
        ),
    }


def _part_picture(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    if name == "streams":
        curve = [(each["count"], each["resident_mebibytes"]) for each in rows]
        title, x = "Memory of one gateway process with open streams", "open streams"
    else:
        curve = [(each["number"], each["memory"]) for each in rows]
        title, x = f"Memory of one gateway by {name}", _OF_PROCESSES[name]
    return curves.drawn(title, {"gateway": curve}, x=x, y="MiB")


def _table(rows: Iterable[tuple[str, Any]], columns: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"| {title} | {' | '.join(cell(each) for each in columns)} |" for title, cell in rows]
    return "\n".join([lines[0], f"|---|{'---:|' * len(columns)}", *lines[1:]])


def _rounded(value: float) -> str:
    return f"{round(value, -2):,.0f}"


def _kibibytes(size: float) -> str:
    return f"{size / 1024:,.0f} KiB"


def _mebibytes(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"


_CONFIG: Final = [
    ("MCPProxies / gateways", lambda it: f"{it['proxies']:,} / {it['gateways']:,}"),
    ("pass with nothing known", lambda it: f"{it['first']:.1f} s"),
    ("pass after an edit", lambda it: f"{it['again'] * 1000:,.0f} ms"),
    ("memory of the compiling process", lambda it: f"{it['memory']:,.0f} MiB"),
    ("config of the largest gateway", lambda it: _kibibytes(it["largest"])),
    ("in ConfigMaps", lambda it: f"{it['parts']}"),
    ("of that the one with the manifest", lambda it: _kibibytes(it["head"])),
    ("written for an edit", lambda it: f"{_kibibytes(it['edited'])} in {it['objects']}"),
    ("gateways that an edit concerns", lambda it: f"{it['touched']}"),
]
_GATEWAY: Final = [
    ("a gateway process", lambda it: f"{it['proxies']:,} MCPProxies"),
    ("loads all of it", lambda it: f"{it['whole']:,.0f} ms"),
    ("loads one edit", lambda it: f"{it['edit']:,.0f} ms"),
    ("memory", lambda it: f"{it['memory']:,.0f} MiB"),
]
_OF_PROCESSES: Final = {"policies": "policies of 20 rules", "callers": "callers", "workers": "workers"}
#: The parts with a section of their own, which holds their table and their picture: :func:`write_part`.
PARTS: Final = ("streams", *_OF_PROCESSES)
_STORED: Final = [
    ("one store", lambda it: f"{it['sessions']:,} sessions"),
    ("data", lambda it: f"{it['mebibytes']:,.0f} MiB"),
    ("its processor, for each message", lambda it: f"{it['microseconds']:.0f} µs"),
]
_WATCHED: Final = [
    ("replicas that watch a config", lambda it: f"{it['replicas']:,}"),
    ("watches", lambda it: f"{it['replicas'] * 3:,}"),
    ("processor of the API server for an edit", lambda it: f"{it['milliseconds']:,.0f} ms"),
    ("sent for an edit", lambda it: _kibibytes(it["sent"])),
]
_STREAMS: Final = [
    ("one gateway process", lambda it: f"{it['count']:,} streams"),
    ("memory of a stream", lambda it: f"{it['kibibytes_each']:.1f} KiB"),
    ("memory in all", lambda it: f"{it['resident_mebibytes']:,.0f} MiB"),
    ("an event for each reaches all", lambda it: f"{it['delivered']:,.0f} ms"),
    ("opened a second", lambda it: f"{it['opened']:,.0f}"),
]
