"""The page says what each gateway costs, which ones are absent, and which targets hold."""

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ostiary_compare.__main__ import GATEWAYS
from ostiary_compare.gateway import GOVERNED, UNGOVERNED
from ostiary_compare.kinds import KINDS, KNOWN_LIST, NEW_LIST, SESSION, RequestKind
from ostiary_compare.load_generator import Loaded
from ostiary_compare.page import page, picture
from ostiary_compare.peers.ostiary import SPARSELY_TRACED
from ostiary_compare.results import ComparedCall, Comparison, Failure, Governance, WayToCall, comparison_of
from ostiary_compare.tables import governance, table, targets
from ostiary_compare.verification import Verified


def measured(cpu: float, p99: float = 2.0, *, kept_up: bool = True) -> Loaded:
    return Loaded(100, 1.0, cpu * 100, 64.0, 1.0, p99, 100, kept_up, listed=22)


def call(gateway: str, mode: str, cpu: float, *, kind: RequestKind = SESSION, kept_up: bool = True) -> ComparedCall:
    # The second round has a machine that is twice as slow: ratios must not change.
    way = WayToCall(gateway, mode, kind.name, "its policies")
    return ComparedCall(way, [measured(cpu), measured(cpu * 2, 4.0)], measured(cpu, kept_up=kept_up))


def comparison(*calls: ComparedCall, failures: tuple[Failure, ...] = ()) -> Comparison:
    given: dict[str, Any] = {
        "versions": {"nginx": "1.2"},
        "origins": {"nginx": "built from commit 1"},
        "governance": SEEN,
    }
    return Comparison(
        "2026-01-02T03:04:05+00:00", "a machine", 500, calls=calls, failures=failures, load_before=0.1, cores=2, **given
    )


SEEN = [
    Governance("nginx", UNGOVERNED, "none", Verified(0.1), None),
    Governance("Ostiary", GOVERNED, "key", Verified(1.25, "refused (401)", "refused", "16 of 20", "50"), 1.96),
]


FOUND = comparison(
    call("agentgateway", GOVERNED, 100),
    call("nginx", UNGOVERNED, 20),
    call("Ostiary", UNGOVERNED, 40),
    call("Ostiary", SPARSELY_TRACED, 80),
    call("Ostiary", GOVERNED, 50),
    call("slow", UNGOVERNED, 50_000, kept_up=False),
    failures=(Failure("Tyk", "", "", "not installed: tyk"), Failure("other", "governed", "session", "a | b\nc")),
)


def test_a_table_begins_with_the_cheapest_call_and_has_multiples_of_nginx_in_the_same_round() -> None:
    lines = table(FOUND, SESSION).splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines][:2] == ["| nginx", "| Ostiary, ungoverned"]
    assert "| 2.0 |" in lines[1]
    assert "too slow" in lines[-1]


def test_a_target_that_is_missed_is_bold_and_one_that_was_not_measured_says_so() -> None:
    text = targets(FOUND)
    assert "| call, ungoverned, spans off | nginx | 2.00 | 2.4 |" in text
    assert "| call, fully governed, spans of 1 % | nginx | **4.00** | 3.0 |" in text
    assert "| call, fully governed, both spans of every call | agentgateway | 0.50 | 0.55 |" in text
    assert "| filtered list of 200 tools, known bytes | nginx | not measured | 0.6 |" in text
    assert "not measured" in targets(comparison(call("nginx", UNGOVERNED, 20)))


def test_the_page_names_absent_gateways_and_how_to_install_them() -> None:
    text = page(FOUND, GATEWAYS)
    assert "| Tyk | all | all | not installed: tyk |" in text
    assert r"| other | governed | session | a \| b c |" in text
    for each in GATEWAYS:
        assert each.install in text
        known = "1.2 | built from commit 1" if each.name == "nginx" else "absent | "
        assert f"| {each.name} | `{each.program}` | {known} |" in text


def test_figures_of_a_run_are_read_as_they_were_written() -> None:
    assert page(comparison_of(FOUND.document()), GATEWAYS) == page(FOUND, GATEWAYS)


def test_the_picture_has_a_bar_and_the_figures_of_each_call() -> None:
    root = ET.fromstring(picture(FOUND))  # noqa: S314  our own document
    bars = [each for each in root.iter() if each.get("class") in {"own", "other", "floor"}]
    assert len(bars) == 6
    widths = [float(each.attrib["width"]) for each in bars]
    assert widths == sorted(widths)
    assert "75,000 µs (2,500.0x)" in "".join(root.itertext())


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_run_without_nginx_has_figures_but_no_multiples(kind: RequestKind) -> None:
    found = comparison(call("Ostiary", UNGOVERNED, 40, kind=kind))
    assert "| Ostiary, ungoverned | 60.0 µs |  |" in table(found, kind)


@pytest.mark.parametrize("kind", [KNOWN_LIST, NEW_LIST])
def test_a_table_of_lists_says_how_many_tools_each_lists(kind: RequestKind) -> None:
    assert "| 22 | 1.0 |" in table(comparison(call("Ostiary", GOVERNED, 40, kind=kind)), kind)


def test_what_was_not_measured_has_no_table() -> None:
    assert table(FOUND, NEW_LIST) == "Not measured in this run."


def test_the_page_says_what_each_gateway_was_seen_to_enforce() -> None:
    text = page(FOUND, GATEWAYS)
    assert governance(SEEN) in text
    assert "| Ostiary | governed | key | refused (401) | refused | 16 of 20 | 50 | 2.0 | 1.2 s |" in text
    assert "| nginx | ungoverned | none | - | - | - | - | - | 0.1 s |" in text


def test_a_busy_machine_and_a_single_core_mark_the_page() -> None:
    assert "**" not in page(FOUND, GATEWAYS).partition("## Calls in a session")[0]
    assert "**The machine was busy**: the load average before the run was 3.0" in page(
        replace(FOUND, load_before=3.0), GATEWAYS
    )
    assert "**One core only**" in page(replace(FOUND, cores=1), GATEWAYS)
