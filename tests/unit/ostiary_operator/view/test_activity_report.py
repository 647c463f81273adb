from collections.abc import Mapping

from ostiary_core.evidence.name_use import NameUse, NameUses
from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_core.evidence.traffic_window import TrafficWindow
from ostiary_operator.view.activity_report import ActivityReport, NamelessUse, ProxyActivity, activity_report
from ostiary_operator.view.traffic_numbers import TrafficRange

NOW = 1_700_000_000_000
SLOT = NOW - NOW % 10_000


def traffic(proxy: str, methods: Mapping[str, int], *names: NameUse) -> ProxyTraffic:
    window = TrafficWindow(at=SLOT, calls=sum(methods.values()), methods=dict(methods))
    return ProxyTraffic(proxy=proxy, since=0, sum_of_range=window, recent_names=NameUses(since=SLOT, names=names))


def report(*found: ProxyTraffic) -> ActivityReport:
    return activity_report(found, span=TrafficRange.QUARTER_HOUR)


def test_a_tool_that_was_called_is_a_primitive_with_its_name() -> None:
    used = NameUse(method="tools/call", name="get_users", calls=2, errors=1, seconds=0.4, slowest=0.3)

    (found,) = report(traffic("default/users", {"tools/call": 2}, used)).primitives

    assert (found.proxy, found.method, found.name) == ("default/users", "tools/call", "get_users")
    assert (found.calls, found.errors, found.mean, found.slowest) == (2, 1, 0.2, 0.3)


def test_initialize_and_lists_stand_apart_and_have_no_name() -> None:
    found = report(traffic("default/users", {"initialize": 1, "tools/list": 3, "": 2}))

    assert found.primitives == ()
    assert found.nameless == (
        NamelessUse("default/users", "tools/list", 3),
        NamelessUse("default/users", "(no message)", 2),
        NamelessUse("default/users", "initialize", 1),
    )


def test_each_proxy_says_what_it_was_used_for() -> None:
    methods = {"tools/call": 5, "resources/read": 2, "prompts/get": 1, "initialize": 4}
    used = NameUse(method="tools/call", name="get_users", calls=3)

    (found,) = report(traffic("default/users", methods, used)).proxies

    assert found == ProxyActivity("default/users", tools=5, resources=2, prompts=1, nameless=4, unnamed=5)


def test_the_most_used_come_first() -> None:
    found = report(
        traffic("a/quiet", {"tools/call": 1}, NameUse(method="tools/call", name="x", calls=1)),
        traffic("b/busy", {"tools/call": 9}, NameUse(method="tools/call", name="y", calls=9)),
        traffic("c/idle", {}),
    )

    assert [each.proxy for each in found.proxies] == ["b/busy", "a/quiet", "c/idle"]
    assert [each.name for each in found.primitives] == ["y", "x"]


def test_a_method_that_another_version_counts_by_name_is_no_primitive() -> None:
    assert report(traffic("a/b", {}, NameUse(method="dance/start", name="x", calls=1))).primitives == ()
