"""Costs by number of proxies: the section "Scale" of docs/benchmarks.md."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ostiary_bench import scale_gateway, scale_platform
from ostiary_bench.scale_gateway import ConfigLoad
from ostiary_bench.scale_platform import Platform

TITLE: Final = "## Scale"
_SECTION: Final = """{title}

A real API server (etcd, kube-apiserver and controller manager on the same machine as everything else), one operator,
{replicas} gateway replicas that watch their config, and for each proxy two policies of 20 rules, in namespaces of 20
proxies. `make bench ONLY=scale` runs it, `SIZES=100,1000` chooses the sizes.

Measured {at} on {machine}.

{platforms}

Start: everything was applied before; from the start of the operator's process until its first pass has found that, for
which it writes nothing. An edit at that moment is seen only when kopf, too, has listed everything. First start: nothing
was applied before; until all replicas run all of it, and until every status is written, which costs the API server some
3 ms of CPU for a proxy and 7 ms for a policy of 20 rules. Edit: from the API server's response to an edit of one policy
until the ConfigMap with the manifest has changed, and until every replica enforces it. Burst: from the API server's
response to the last edit; edits are sent as fast as it accepts them.

{loads}

Load: how long the gateway builds a config in the background. Longest call: of 200 calls a second through the same
gateway meanwhile, counted from when a call was due; for comparison the longest call of three seconds without any load,
which is the machine's own share.

The next limits, in the order in which an installation reaches them:

- **The first start** writes the status of everything by server-side apply, at the API server's pace. Configs do not
  wait for it: they are in force long before, and edits go first.
- **Memory of the operator**: a policy of 20 rules is kept as the source text, as rules and as the compiled document,
  some 30 KiB in all with its status. 5,000 proxies with 10,000 of them need 1 GiB.
- **Time of a pass**: it compiles everything, some 0.1 ms for a proxy with two policies, although it reads only the
  namespaces that changed, rewrites only the parts that changed and writes only statuses that differ. A full pass, at
  start and every five minutes, lists everything: 20 KiB for a proxy with two policies, most of it `managedFields`.
- **One namespace**: what it adds to one gateway's config is bounded at 4 MiB, some 1,600 policies of 20 rules, and all
  of it is read again for each edit in it.
- **One gateway's config**: 15 parts of 700 KiB compressed hold some 16,000 proxies with two policies each, and the
  manifest, 900 KiB compressed, some 18,000. Beyond that the proxies must be divided among several gateways.
"""


@dataclass(frozen=True, slots=True)
class Scales:
    """The figures of several sizes."""

    platforms: Sequence[Platform]
    loads: Sequence[ConfigLoad]

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return asdict(self)


def measure(sizes: Sequence[int], *, edits: int) -> Scales:
    """Measure platforms and gateways of these numbers of proxies."""
    loads = [scale_gateway.measure(size) for size in sizes]
    return Scales([scale_platform.measure(size, edits=edits) for size in sizes], loads)


def section(found: Mapping[str, Any]) -> str:
    """Return the section, from :meth:`Scales.document` with `at` and `machine`."""
    platforms, loads = found["platforms"], found["loads"]
    return _SECTION.format(
        title=TITLE,
        replicas=platforms[0]["replicas"],
        at=str(found["at"])[:10],
        machine=found["machine"],
        platforms=_table([("proxies / policies", _size), *_PLATFORM], platforms),
        loads=_table([("a gateway loads", _loaded), *_LOAD], loads),
    )


def _table(rows: Iterable[tuple[str, Any]], columns: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"| {title} | {' | '.join(cell(each) for each in columns)} |" for title, cell in rows]
    return "\n".join([lines[0], f"|---|{'---:|' * len(columns)}", *lines[1:]])


def _size(found: Mapping[str, Any]) -> str:
    return f"{found['proxies']:,} / {found['policies']:,}"


def _loaded(found: Mapping[str, Any]) -> str:
    return f"{found['proxies']:,} proxies"


def _milliseconds(name: str) -> Any:
    return lambda found: f"{found[name]['p50']:,.0f} / {found[name]['p99']:,.0f} / {found[name]['longest']:,.0f} ms"


def _written(found: Mapping[str, Any]) -> str:
    each = {kind: value / found["edits"] for kind, value in sorted(found["edit_writes"].items())}
    return ", ".join(f"{value:.1f} {kind}" for kind, value in each.items())


_PLATFORM: Final = [
    ("operator start", lambda it: f"{it['start']:.1f} s, {it['start_writes']} writes"),
    ("operator start: an edit then is enforced", lambda it: f"{it['start_edit']:.1f} s"),
    ("first start: in force", lambda it: f"{it['first_in_force']:.1f} s"),
    ("first start: statuses written", lambda it: f"{it['first_statuses']:.0f} s"),
    ("edit: ConfigMap, p50 / p99 / longest", _milliseconds("edit_delivered")),
    ("edit: enforced, p50 / p99 / longest", _milliseconds("edit_enforced")),
    ("objects written for one edit", _written),
    ("burst", lambda it: f"{it['burst_edits']} edits in {it['burst_sent']:.1f} s, enforced {it['burst']:.1f} s later"),
    ("operator memory, and peak", lambda it: f"{it['operator_memory']:.0f}, {it['operator_peak']:.0f} MiB"),
    ("gateway memory", lambda it: f"{it['gateway_memory']:.0f} MiB"),
]
_LOAD: Final = [
    ("all of it", lambda it: f"{it['whole']:.0f} ms"),
    ("longest call meanwhile", lambda it: f"{it['whole_longest_call']:.1f} ms"),
    ("one edit of it", lambda it: f"{it['edit']:.0f} ms"),
    ("longest call during ten edits", lambda it: f"{it['edit_longest_call']:.1f} ms"),
    ("longest call without a load", lambda it: f"{it['calm_longest_call']:.1f} ms"),
    ("memory", lambda it: f"{it['memory']:.0f} MiB"),
]
