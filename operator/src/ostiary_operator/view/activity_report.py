"""What each proxy was used for: tools, resources and prompts by name, and apart the rest.

Methods of the lifecycle, such as ``initialize``, and lists have no name: they are never shown with an empty one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ostiary_core.evidence.name_use import NameUse
from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_core.mcp.methods import METHODS, AuthorizationKind, Primitive
from ostiary_operator.view.traffic_numbers import TrafficRange
from ostiary_operator.view.traffic_report import NO_MESSAGE

#: Methods that name a tool, a resource or a prompt, and which of them.
NAMING: Final = {
    name: method.primitive
    for name, method in METHODS.items()
    if method.authorization is AuthorizationKind.NAME and method.primitive is not None
}


@dataclass(frozen=True, slots=True)
class PrimitiveUse:
    """How one primitive of one proxy was used. ``mean`` and ``slowest`` are in seconds."""

    proxy: str
    primitive: Primitive
    method: str
    name: str
    calls: int
    errors: int
    denied: int
    mean: float | None
    slowest: float


@dataclass(frozen=True, slots=True)
class NamelessUse:
    """How often one proxy got a method that names nothing."""

    proxy: str
    method: str
    calls: int


@dataclass(frozen=True, slots=True)
class ProxyActivity:
    """How often one proxy was used for each primitive, and for anything else.

    ``unnamed`` are uses of a primitive under names that no server lists, or that are not among the most used.
    """

    proxy: str
    tools: int
    resources: int
    prompts: int
    nameless: int
    unnamed: int


@dataclass(frozen=True, slots=True)
class ActivityReport:
    """The activity of a time: names since ``names_since``, everything else in the range."""

    proxies: tuple[ProxyActivity, ...]
    primitives: tuple[PrimitiveUse, ...]
    nameless: tuple[NamelessUse, ...]
    names_since: int


def activity_report(traffic: Iterable[ProxyTraffic], *, span: TrafficRange) -> ActivityReport:
    """Return the activity of proxies, the most used first.

    Each has the sum of the range.
    """
    proxies: list[ProxyActivity] = []
    primitives: list[PrimitiveUse] = []
    nameless: list[NamelessUse] = []
    since: list[int] = []
    for each in traffic:
        methods = each.sum_of_range.methods if each.sum_of_range is not None else {}
        names = each.recent_names if span is TrafficRange.QUARTER_HOUR else each.names
        found = list(_primitives(each.proxy, names.names)) if names is not None else []
        since += [names.since] if names is not None else []
        primitives += found
        nameless += [
            NamelessUse(each.proxy, name or NO_MESSAGE, count) for name, count in methods.items() if name not in NAMING
        ]
        proxies.append(_activity(each.proxy, methods, sum(use.calls for use in found)))
    return ActivityReport(
        proxies=tuple(sorted(proxies, key=lambda each: (-_uses(each), -each.nameless, each.proxy))),
        primitives=tuple(sorted(primitives, key=lambda use: (-use.calls, use.proxy, use.method, use.name))),
        nameless=tuple(sorted(nameless, key=lambda use: (-use.calls, use.proxy, use.method))),
        names_since=min(since, default=0),
    )


def _activity(proxy: str, methods: dict[str, int], named: int) -> ProxyActivity:
    by_primitive = dict.fromkeys(Primitive, 0)
    for method, count in methods.items():
        if (primitive := NAMING.get(method)) is not None:
            by_primitive[primitive] += count
    used = sum(by_primitive.values())
    return ProxyActivity(
        proxy,
        tools=by_primitive[Primitive.TOOLS],
        resources=by_primitive[Primitive.RESOURCES],
        prompts=by_primitive[Primitive.PROMPTS],
        nameless=sum(methods.values()) - used,
        unnamed=max(0, used - named),
    )


def _uses(each: ProxyActivity) -> int:
    return each.tools + each.resources + each.prompts


def _primitives(proxy: str, uses: Iterable[NameUse]) -> Iterator[PrimitiveUse]:
    for use in uses:
        primitive = NAMING.get(use.method)
        if primitive is not None:
            mean = use.seconds / use.calls if use.calls else None
            yield PrimitiveUse(
                proxy, primitive, use.method, use.name, use.calls, use.errors, use.denied, mean, use.slowest
            )
